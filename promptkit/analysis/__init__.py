"""Every figure that a report shows of a comparison: rows over seeds, differences and what they are worth."""

from promptkit.analysis.summary import Summary, summarise

__all__ = ["Summary", "summarise"]
