"""Pieces that several plots are put together from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from promptkit.analysis.names import with_shots
from promptkit.analysis.rows import Row
from promptkit.analysis.summary import Summary
from promptkit.drawing.looks import Look
from promptkit.drawing.svg import POINTS
from promptkit.drawing.text import percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes


_BESIDE = 8.0
"""How far the dots of single runs stand from the mean, in points."""


def series_name(summary: Summary, strategy: str) -> str:
    """Return what a legend calls the featured rows of a strategy."""
    picked = any(pick.strategy == strategy for pick in summary.picks)
    return f"{strategy} (picked on dev)" if picked else strategy


def draw_spread(axes: Axes, at: float, row: Row, look: Look, *, across: bool = False, picked: bool = False) -> None:
    """Draw a row's mean with its standard deviation and, beside it, a small dot for every run.

    Args:
        axes: to draw on; one of its directions counts accuracy in per cent.
        at: the place in the other direction.
        row: what to draw.
        look: of the marker.
        across: accuracy runs from left to right instead of upwards.
        picked: put a ring around the mean.
    """
    mean = 100 * row.test.mean
    if row.test.std is not None:
        error = 100 * row.test.std
        axes.errorbar(
            *((mean, at) if across else (at, mean)),
            xerr=error if across else None,
            yerr=None if across else error,
            fmt="none",
            ecolor=look.colour,
            elinewidth=1.4,
            capsize=3.0,
            capthick=1.4,
        )
        _draw_runs(axes, at, [100 * value for value in row.accuracies], across)
    axes.plot(*((mean, at) if across else (at, mean)), **look.dots(zorder=3))
    if picked:
        axes.plot(*((mean, at) if across else (at, mean)), **ring())


def ring() -> dict[str, Any]:
    """Return the keywords of the ring around what dev picked, or what is on the Pareto front."""
    shape = {"linestyle": "none", "marker": "o", "markersize": 12.5, "markerfacecolor": "none"}
    return {**shape, "markeredgecolor": "black", "markeredgewidth": 0.9, "zorder": 4}


def ring_key() -> Any:
    """Return the legend's key of a ring."""
    from matplotlib.lines import Line2D

    return Line2D([], [], **{**ring(), "markersize": 10})


def _draw_runs(axes: Axes, at: float, values: Sequence[float], across: bool) -> None:
    from matplotlib.transforms import ScaledTranslation

    shift = (0.0, _BESIDE / POINTS) if across else (_BESIDE / POINTS, 0.0)
    transform = axes.transData + ScaledTranslation(*shift, axes.figure.dpi_scale_trans)
    places = [at] * len(values)
    shape: dict[str, Any] = {"linestyle": "none", "marker": "o", "markersize": 2.6, "markeredgecolor": "black"}
    axes.plot(
        *((values, places) if across else (places, values)),
        **{**shape, "markerfacecolor": "white", "markeredgewidth": 0.7, "transform": transform},
    )


def accuracy_limits(rows: Sequence[Row]) -> tuple[float, float]:
    """Return limits in per cent that hold every run and every bar of the rows, with room around them."""
    values = [100 * value for row in rows for value in row.accuracies]
    for row in rows:
        std = row.test.std or 0.0
        values += [100 * (row.test.mean - std), 100 * (row.test.mean + std)]
    low, high = np.nanmin(values), np.nanmax(values)
    room = max(0.08 * (high - low), 1.5)
    return float(max(low - room, -2.0)), float(min(high + room, 102.0))


def describe(rows: Sequence[Row]) -> str:
    """Return the rows' test accuracies in words, for who cannot see the plot."""
    said = []
    for row in rows:
        spread = f" (standard deviation {100 * row.test.std:.1f})" if row.test.std is not None else ""
        said.append(f"{with_shots(row.label, row.shots)}: {percent(row.test.mean)}{spread}")
    return "Mean over seeds. " + "; ".join(said) + "."
