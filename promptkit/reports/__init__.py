"""Tables of results: of runs, and of comparisons."""

from promptkit.reports.comparison import comparison_table
from promptkit.reports.summary import Against, Pick, Row, Summary, summarise
from promptkit.reports.table import human_bytes, human_count, result_table

__all__ = [
    "Against",
    "Pick",
    "Row",
    "Summary",
    "comparison_table",
    "human_bytes",
    "human_count",
    "result_table",
    "summarise",
]
