"""Tables of results."""

from promptkit.reports.table import human_bytes, human_count, result_table

__all__ = ["human_bytes", "human_count", "result_table"]
