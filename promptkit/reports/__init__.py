"""Tables of results: of runs, and of comparisons."""

from promptkit.reports.comparison import comparison_table
from promptkit.reports.table import result_table

__all__ = ["comparison_table", "result_table"]
