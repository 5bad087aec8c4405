"""Test accuracy with its spread, by strategy and by examples a class."""

from __future__ import annotations

from typing import TYPE_CHECKING

from promptkit.analysis.names import shots_name
from promptkit.analysis.rows import Row
from promptkit.analysis.selection import featured, shots_order
from promptkit.analysis.summary import Summary
from promptkit.drawing.legend import Legend, line_key, marker_key
from promptkit.drawing.looks import Look, baseline_looks, strategy_looks
from promptkit.drawing.parts import accuracy_limits, describe, draw_spread, series_name
from promptkit.drawing.svg import WIDTH, add_axes, drawing, new_figure, to_svg
from promptkit.runs.stored import Shots

if TYPE_CHECKING:
    from matplotlib.axes import Axes


_TITLE = "Test accuracy by strategy and K"
_HEIGHT, _BELOW = 190.0, 35.0
_BAND = 0.8


def accuracy(summary: Summary) -> str | None:
    """Draw mean, standard deviation and single runs of each strategy at each K; baselines are horizontal lines.

    Where a strategy has several variants, the one that dev picked stands for it. None without a strategy's row.
    """
    rows = featured(summary)
    if not rows:
        return None
    baselines = summary.baselines
    looks, greys = strategy_looks(summary), baseline_looks(summary)
    bands = shots_order(summary)
    with drawing("accuracy"):
        legend = Legend(
            [(marker_key(look), series_name(summary, name)) for name, look in looks.items()],
            [(line_key(look), f"baseline: {label}") for label, look in greys.items()],
        )
        figure = new_figure(26 + _HEIGHT + _BELOW + legend.height, _TITLE)
        axes = add_axes(figure, 44, _BELOW + legend.height, WIDTH - 54, _HEIGHT)
        for band, shots in enumerate(bands):
            here = [row for row in rows if row.shots == shots]
            for place, row in enumerate(here):
                at = band + _BAND * ((place + 0.5) / len(here) - 0.5)
                draw_spread(axes, at, row, looks[row.strategy])
            if band:
                axes.axvline(band - 0.5, color="#bbbbbb", linewidth=0.8)
        for row in baselines:
            _draw_baseline(axes, row, bands, greys[row.label])
        axes.set_xlim(-0.5, len(bands) - 0.5)
        axes.set_ylim(*accuracy_limits([*rows, *baselines]))
        axes.set_xticks(range(len(bands)), [shots_name(shots) for shots in bands])
        axes.tick_params(axis="x", length=0)
        axes.grid(visible=False, axis="x")
        axes.set_xlabel("training examples a class (K)")
        axes.set_ylabel("test accuracy, %")
        legend.draw(figure)
        return to_svg(figure, "accuracy", _TITLE, describe([*baselines, *rows]))


def _draw_baseline(axes: Axes, row: Row, bands: list[Shots], look: Look) -> None:
    """Draw a line in the band of the row's shots; in all of them, if it learns nothing."""
    if row.shots is None:
        ends = [-0.5, len(bands) - 0.5]
    elif row.shots in bands:
        ends = [bands.index(row.shots) - 0.5, bands.index(row.shots) + 0.5]
    else:
        return
    axes.plot(ends, [100 * row.test.mean] * 2, **look.line(linewidth=1.3, zorder=1))
