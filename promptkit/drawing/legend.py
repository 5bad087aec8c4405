"""Legends below a plot: groups of keys, each in as many columns as fit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from promptkit.drawing.looks import Look
from promptkit.drawing.svg import FONT, POINTS, WIDTH
from promptkit.drawing.text import text_width, wrap

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SIZE = FONT - 0.5
_KEY, _LINE = 34.0, 13.0
_WIDEST = WIDTH - _KEY - 10


class Legend:
    """What the looks mean.

    Args:
        groups: of keys and labels; each group begins a line of its own, an empty one is left out.

    Attributes:
        height: in points.
    """

    def __init__(self, *groups: Sequence[tuple[Any, str]]) -> None:
        self._groups = [[(key, wrap(label, _WIDEST, _SIZE)) for key, label in group] for group in groups if group]
        self.height = sum(map(self._height, self._groups)) + 3.0

    def draw(self, figure: Figure) -> None:
        """Write the legend along the lower edge of the figure."""
        top = self.height
        for group in self._groups:
            keys, labels = zip(*group, strict=True)
            figure.legend(
                keys,
                # matplotlib leaves out labels that begin with an underscore; an empty first character helps.
                [f"\u2060{label}" if label.startswith("_") else label for label in labels],
                loc="upper left",
                bbox_to_anchor=(2 / WIDTH, top / (POINTS * figure.get_figheight())),
                ncols=self._columns(group),
                handlelength=2.6,
                columnspacing=1.2,
                handletextpad=0.6,
                borderpad=0.1,
                borderaxespad=0.0,
                labelspacing=0.35,
                alignment="left",
            )
            top -= self._height(group)

    @staticmethod
    def _columns(group: Sequence[tuple[Any, str]]) -> int:
        if any("\n" in label for _, label in group):
            return 1
        widest = max(text_width(label, _SIZE) for _, label in group) + _KEY
        return max(1, min(len(group), int((WIDTH - 4) // widest)))

    def _height(self, group: Sequence[tuple[Any, str]]) -> float:
        columns = self._columns(group)
        # A group with a label of two lines has one column.
        lines = sum(label.count("\n") + 1 for _, label in group) if columns == 1 else -(-len(group) // columns)
        return _LINE * lines


def marker_key(look: Look) -> Any:
    """Return the key of a marker without a line."""
    from matplotlib.lines import Line2D

    return Line2D([], [], **look.dots())


def line_key(look: Look) -> Any:
    """Return the key of a line without markers."""
    from matplotlib.lines import Line2D

    return Line2D([], [], **look.line(linewidth=1.3))


def curve_key(look: Look) -> Any:
    """Return the key of a line with markers."""
    from matplotlib.lines import Line2D

    return Line2D([], [], **{**look.dots(), "linestyle": look.dash})
