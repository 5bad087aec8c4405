"""Figures to read: scores in per cent, differences in points, p values, times."""

from __future__ import annotations

from promptkit.analysis.rows import SIGNIFICANCE
from promptkit.analysis.statistics import Difference, Spread

NONE = "-"


def score_text(score: Spread) -> str:
    """Return a share of 1 in per cent with its standard deviation, e.g. `68.0 (1.8)`; one run has none: `68.0`."""
    mean = f"{100 * score.mean:.1f}"
    return mean if score.std is None else f"{mean} ({100 * score.std:.1f})"


def percent_text(share: float | None) -> str:
    """Return a share of 1 in per cent, e.g. `68.0 %`; `-` for None."""
    return NONE if share is None else f"{100 * share:.1f} %"


def metric_text(value: Spread) -> str:
    """Return a metric of which no unit is known with its standard deviation, e.g. `0.612 (0.020)`, `1,234.5`."""
    decimals = 3 if abs(value.mean) < 100 else 1
    mean = f"{value.mean:,.{decimals}f}"
    return mean if value.std is None else f"{mean} ({value.std:,.{decimals}f})"


def difference_text(difference: Difference) -> str:
    """Return a difference in points with its interval, e.g. `+3.2 [1.1, 5.4]`; one that rounds to 0 has no sign."""
    mean, low, high = (_points(share) for share in (difference.mean, difference.low, difference.high))
    return f"{'+' if float(mean) > 0 else ''}{mean} [{low}, {high}]"


def p_text(p: float) -> str:
    """Return a p value with three decimals, e.g. `0.004`, or `< 0.001`; `< 0.05` where they would hide its side."""
    if p < 0.001:
        return "< 0.001"
    short = f"{p:.3f}"
    return short if (float(short) < SIGNIFICANCE) == (p < SIGNIFICANCE) else f"< {SIGNIFICANCE}"


def short_number(value: float | None) -> str:
    """Return a time, a speed or a size with about three digits, e.g. `1,683`, `90.2`, `0.04`; `-` for None."""
    if value is None:
        return NONE
    if value == 0:
        return "0"
    decimals = 0 if value >= 99.95 else 1 if value >= 0.95 else 2
    return f"{value:,.{decimals}f}"


def _points(share: float) -> str:
    # Adding 0.0 turns -0.0 into 0.0.
    return f"{round(100 * share, 1) + 0.0:.1f}"
