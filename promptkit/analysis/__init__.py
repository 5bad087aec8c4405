"""Every figure that a report shows of a comparison: rows over seeds, differences and what they are worth."""

from promptkit.analysis.rows import Against, Row
from promptkit.analysis.statistics import Difference, Spread, holm, paired_bootstrap, sign_flips, spread
from promptkit.analysis.summary import Pick, Strongest, Summary, summarise

__all__ = [
    "Against", "Difference", "Pick", "Row", "Spread", "Strongest", "Summary", "holm", "paired_bootstrap",
    "sign_flips", "spread", "summarise",
]  # fmt: skip
