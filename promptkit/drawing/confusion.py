"""Confusion matrices, one a row of the table."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from promptkit.analysis.confusion import shares
from promptkit.analysis.names import shots_name, with_shots
from promptkit.analysis.rows import Row
from promptkit.analysis.selection import featured
from promptkit.analysis.summary import Summary
from promptkit.drawing.svg import FONT, WIDTH, add_axes, drawing, new_figure, to_svg
from promptkit.drawing.text import fit, plain, text_width, wrap

if TYPE_CHECKING:
    from matplotlib.axes import Axes


_TITLE = "Confusion matrices on test"
_GAP, _TOP, _BOTTOM, _NAME, _AXIS = 12.0, 22.0, 20.0, 26.0, 18.0
_MOST_COUNTS = 4
_MOST_WRITTEN = 25  # classes; of more a cell is too small for a number, and what nothing fell into is left white
_LABEL = FONT - 1
# Okabe and Ito's blue and orange, mixed with white: even the deepest leaves black text a contrast of 7 to 1.
_RIGHT, _WRONG = (0.0, 0.447, 0.698), (0.902, 0.624, 0.0)
_DEEPEST = 0.6


@dataclass(frozen=True)
class _Layout:
    """Sizes in points: of a matrix, and of what its labels need to its left and below.

    Few classes have their names along the cells, many across them.
    """

    columns: int
    side: float
    left: float
    below: float
    across: bool

    @classmethod
    def of(cls, rows: Sequence[Row]) -> _Layout:
        labels = max((row.runs[0].record.task.labels for row in rows), key=len)
        across = len(labels) > 3
        columns = min(len(rows), 1 if across else 2)
        widest = max(text_width(plain(label), _LABEL) for label in labels) + 4
        room = min(max(widest, 16.0), 64.0) if across else 16.0
        side = (WIDTH - 8 - _AXIS - room - _GAP * (columns - 1)) / columns
        return cls(columns, min(side, 280.0 if across else 116.0), _AXIS + room, room, across)

    @property
    def step(self) -> float:
        """From one line of matrices to the next."""
        return _NAME + self.side + self.below


def confusion(summary: Summary) -> str | None:
    """Draw a matrix for each row: true classes down, predicted ones across.

    The majority class has none, for it always gives the same answer; of a strategy with several variants the one
    that dev picked has one. A cell says what share of the true class it is, and how many examples, mean over seeds;
    with more than four classes only the share in per cent, with more than 25 only the colour. Right answers are blue
    and wrong ones orange, the deeper, the larger the share. None without rows.
    """
    rows = [*summary.answering_baselines, *featured(summary)]
    if not rows:
        return None
    layout = _Layout.of(rows)
    lines = -(-len(rows) // layout.columns)
    height = _TOP + layout.step * lines + _BOTTOM
    with drawing("confusion"):
        figure = new_figure(height, _TITLE)
        for number, row in enumerate(rows):
            line, column = divmod(number, layout.columns)
            left = layout.left + column * (layout.side + _GAP)
            bottom = height - _TOP - layout.step * line - _NAME - layout.side
            axes = add_axes(figure, left, bottom, layout.side, layout.side)
            _draw(axes, row, layout, first=column == 0)
        middle = layout.left + (layout.columns * (layout.side + _GAP) - _GAP) / 2
        figure.text(middle / WIDTH, 4 / height, "predicted class", ha="center", va="bottom")
        # Beside the first line of matrices, where it is seen first.
        up = (height - _TOP - _NAME - layout.side / 2) / height
        figure.text(4 / WIDTH, up, "true class", rotation=90, ha="left", va="center")
        return to_svg(figure, "confusion", _TITLE, _describe(rows))


def _draw(axes: Axes, row: Row, layout: _Layout, *, first: bool) -> None:
    labels = row.runs[0].record.task.labels
    size = len(labels)
    share, count = shares(row)
    cell = layout.side / size
    for true in range(size):
        for predicted in range(size):
            if size > _MOST_WRITTEN and not share[true, predicted]:
                continue
            number = float(count[true, predicted]) if size <= _MOST_COUNTS else None
            _draw_cell(axes, true, predicted, float(share[true, predicted]), number, cell, size <= _MOST_WRITTEN)
    axes.set_xlim(0, size)
    axes.set_ylim(size, 0)
    axes.grid(visible=False)
    for spine in axes.spines.values():
        spine.set_visible(size > _MOST_WRITTEN)
    small = max(4.0, min(_LABEL, cell / 1.2))
    names = [fit(label, layout.below - 2 if layout.across else cell - 2, small) for label in labels]
    # Of very many classes as many have their name as there is room for.
    named = range(0, size, max(1, math.ceil(1.2 * small / cell - 1e-6)))
    names, middles = [names[place] for place in named], [place + 0.5 for place in named]
    axes.set_xticks(middles, names, fontsize=small, rotation=90 if layout.across else 0)
    own = names if first else [""] * len(names)
    axes.set_yticks(middles, own, fontsize=small, rotation=0 if layout.across else 90, va="center")
    axes.tick_params(length=0, pad=2)
    shots = "" if row.shots is None else f", K={shots_name(row.shots)}"
    title = wrap(row.label, layout.side, _LABEL, tail=shots)
    axes.set_title(title, fontsize=_LABEL, loc="left", pad=3, linespacing=1.1)


def _draw_cell(
    axes: Axes, true: int, predicted: int, share: float, count: float | None, side: float, written: bool
) -> None:
    from matplotlib.patches import Rectangle

    font = max(4.0, min(FONT + 1, side / (3.2 if count is not None else 2.2)))
    face = tint(share, right=true == predicted)
    edge = "#4d4d4d" if written else "none"
    axes.add_patch(Rectangle((predicted, true), 1, 1, facecolor=face, edgecolor=edge, linewidth=0.5))
    if not written:
        return

    def write(text: str, down: float, **look: object) -> None:
        axes.text(predicted + 0.5, true + down, text, ha="center", va="center", color="black", **look)  # type: ignore[arg-type]

    weight = "bold" if true == predicted else "normal"
    if count is None:
        write(f"{100 * share:.0f}", 0.5, fontsize=font, weight=weight)
    else:
        write(f"{100 * share:.0f} %", 0.4, fontsize=font, weight=weight)
        write(f"{count:,.0f}", 0.7, fontsize=max(4.0, font - 1))


def tint(share: float, *, right: bool) -> tuple[float, float, float]:
    """Return the colour of a cell, red, green and blue of 1: white to blue or orange, light enough for black text."""
    full = _RIGHT if right else _WRONG
    return tuple(1 - _DEEPEST * share * (1 - part) for part in full)  # type: ignore[return-value]


def _describe(rows: Sequence[Row]) -> str:
    said = []
    for row in rows:
        share, _ = shares(row)
        labels = row.runs[0].record.task.labels
        right = ", ".join(f"{100 * share[i, i]:.0f} % of {label}" for i, label in enumerate(labels))
        said.append(f"{with_shots(row.label, row.shots)}: {right}")
    return "Share of each true class that is predicted right. " + "; ".join(said) + "."
