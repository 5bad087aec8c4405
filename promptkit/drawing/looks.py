"""One look for each strategy, the same in every plot: colour, marker and line style all differ.

Colours are those of Okabe & Ito (2008), which colour-blind readers can tell apart, ordered so that neighbours
differ in lightness as well. Yellow is left out, for it does not show on white.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from promptkit.analysis.summary import Summary

Dash = str | tuple[int, tuple[float, ...]]

_COLOURS = ("#0072B2", "#E69F00", "#009E73", "#000000", "#CC79A7", "#56B4E9", "#D55E00")
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
_DASHES: tuple[Dash, ...] = (
    "solid",
    (0, (5.0, 2.0)),
    (0, (1.2, 1.4)),
    (0, (6.0, 1.6, 1.2, 1.6)),
    (0, (9.0, 2.5)),
    (0, (3.0, 1.2, 1.0, 1.2, 1.0, 1.2)),
)
_BASELINE_GREYS = ("#4d4d4d", "#808080", "#666666")
_BASELINE_DASHES: tuple[Dash, ...] = (
    (0, (1.0, 1.6)),
    (0, (7.0, 3.0)),
    (0, (7.0, 2.0, 1.5, 2.0)),
    (0, (3.0, 3.0)),
)
_BASELINE_MARKERS = ("|", "x", "+", "1")


@dataclass(frozen=True)
class Look:
    """How something is drawn."""

    colour: str
    marker: str
    dash: Dash

    def line(self, **more: Any) -> dict[str, Any]:
        """Return the keywords of a line."""
        return {"color": self.colour, "linestyle": self.dash, **more}

    def dots(self, **more: Any) -> dict[str, Any]:
        """Return the keywords of filled markers without a line."""
        # A dark rim keeps the light colours visible on white, in grey as well.
        rim = {"markeredgecolor": "black", "markeredgewidth": 0.6}
        thin = {"markeredgecolor": self.colour, "markeredgewidth": 1.6}
        edge = thin if self.marker in _BASELINE_MARKERS else rim
        return {"linestyle": "none", "marker": self.marker, "color": self.colour, **edge, **more}


def looks_of(names: Iterable[str]) -> dict[str, Look]:
    """Return a look for each name, in order; 168 names pass before two look the same."""
    return {
        name: Look(
            _COLOURS[place % len(_COLOURS)],
            _MARKERS[place % len(_MARKERS)],
            _DASHES[place % len(_DASHES)],
        )
        for place, name in enumerate(dict.fromkeys(names))
    }


def strategy_looks(summary: Summary) -> dict[str, Look]:
    """Return the look of every strategy of a comparison, by name."""
    return looks_of(row.strategy for row in summary.strategies)


def baseline_looks(summary: Summary) -> dict[str, Look]:
    """Return the look of every baseline of a comparison, by label: grey, and told apart by dashes."""
    labels = dict.fromkeys(row.label for row in summary.baselines)
    return {
        label: Look(
            _BASELINE_GREYS[place % len(_BASELINE_GREYS)],
            _BASELINE_MARKERS[place % len(_BASELINE_MARKERS)],
            _BASELINE_DASHES[place % len(_BASELINE_DASHES)],
        )
        for place, label in enumerate(labels)
    }
