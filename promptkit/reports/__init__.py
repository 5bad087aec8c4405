"""Tables of results: of runs, and of comparisons."""

from promptkit.drawing.text import human_count
from promptkit.reports.comparison import comparison_table
from promptkit.reports.table import human_bytes, result_table

__all__ = ["comparison_table", "human_bytes", "human_count", "result_table"]
