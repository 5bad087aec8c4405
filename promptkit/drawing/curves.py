"""Learning curves: dev accuracy and training loss by epoch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from promptkit.analysis.curves import Quantity, curves, mean_curve
from promptkit.analysis.names import shots_phrase, with_shots
from promptkit.analysis.rows import Row
from promptkit.analysis.selection import featured, shots_order
from promptkit.analysis.summary import Summary
from promptkit.drawing.legend import Legend, curve_key
from promptkit.drawing.looks import Look, strategy_looks
from promptkit.drawing.parts import series_name
from promptkit.drawing.svg import FONT, WIDTH, add_axes, drawing, new_figure, to_svg
from promptkit.drawing.text import percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes


_TITLE = "Learning curves"
_PANEL, _HEIGHT, _ABOVE, _BELOW = 100.0, 96.0, 20.0, 20.0


def learning_curves(summary: Summary) -> str | None:
    """Draw dev accuracy and training loss by epoch: the mean over runs thick, every run, of a seed or a fold, thin.

    The mean ends where the first run stopped, for beyond it would be of other runs. A run of several templates
    counts with their mean. Where a strategy has several variants, the one that dev picked stands for it. None if
    nothing was trained in epochs.
    """
    rows = [row for row in featured(summary) if any(curves(row, "loss") or curves(row, "dev_accuracy"))]
    if not rows:
        return None
    looks = {name: look for name, look in strategy_looks(summary).items() if any(r.strategy == name for r in rows)}
    bands = [shots for shots in shots_order(summary) if any(row.shots == shots for row in rows)]
    step = _ABOVE + _HEIGHT + _BELOW
    with drawing("learning-curves"):
        legend = Legend([(curve_key(look), series_name(summary, name)) for name, look in looks.items()])
        figure = new_figure(22 + step * len(bands) + 14 + legend.height, _TITLE)
        for place, shots in enumerate(bands):
            bottom = legend.height + 14 + step * (len(bands) - 1 - place) + _BELOW
            left = add_axes(figure, 36, bottom, _PANEL, _HEIGHT)
            right = add_axes(figure, WIDTH - 8 - _PANEL, bottom, _PANEL, _HEIGHT)
            for row in (row for row in rows if row.shots == shots):
                _draw(left, row, "dev_accuracy", looks[row.strategy], 100.0)
                _draw(right, row, "loss", looks[row.strategy], 1.0)
            left.set_ylabel("dev accuracy, %")
            right.set_ylabel("training loss, nats")
            left.set_title(shots_phrase(shots), loc="left", fontsize=FONT)
            for axes in (left, right):
                _whole_epochs(axes)
                if place == len(bands) - 1:
                    axes.set_xlabel("epoch")
        legend.draw(figure)
        return to_svg(figure, "learning-curves", _TITLE, _describe(rows))


def _draw(axes: Axes, row: Row, quantity: Quantity, look: Look, scale: float) -> None:
    several = curves(row, quantity)
    if len(several) > 1:
        for curve in several:
            values = [scale * curve[epoch] for epoch in sorted(curve)]
            axes.plot(sorted(curve), values, **look.line(linewidth=0.6, alpha=0.65, linestyle="solid"))
    mean = mean_curve(several)
    axes.plot(
        list(mean),
        [scale * value for value in mean.values()],
        **{**look.dots(markersize=5), "linestyle": look.dash},
        markevery=max(1, len(mean) // 6),
    )


def _whole_epochs(axes: Axes) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=5, min_n_ticks=1))
    axes.yaxis.set_major_locator(MaxNLocator(nbins=5, steps=[1, 2, 2.5, 5, 10]))


def _describe(rows: list[Row]) -> str:
    said = []
    for row in rows:
        mean = mean_curve(curves(row, "dev_accuracy"))
        if mean:
            first, last = percent(mean[min(mean)]), percent(mean[max(mean)])
            epochs = f"epoch {min(mean)} to {max(mean)}"
            said.append(f"{with_shots(row.label, row.shots)}: dev accuracy {first} to {last} from {epochs}")
    return "Dev accuracy on the left, training loss on the right, by epoch. " + "; ".join(said) + "."
