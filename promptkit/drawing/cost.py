"""What training costs against what it reaches."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from promptkit.analysis.front import front
from promptkit.analysis.names import shots_name, with_shots
from promptkit.analysis.rows import Row
from promptkit.analysis.selection import featured
from promptkit.analysis.summary import Summary
from promptkit.drawing.legend import Legend, marker_key
from promptkit.drawing.looks import Look, baseline_looks, strategy_looks
from promptkit.drawing.notes import Box, place_notes
from promptkit.drawing.parts import accuracy_limits, ring, ring_key
from promptkit.drawing.svg import FONT, GREY, POINTS, WIDTH, add_axes, drawing, new_figure, to_svg
from promptkit.drawing.text import amount, human_count, percent, shorten

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


_TITLE = "Training time and test accuracy"
_FRONT = "no row is both faster and more accurate"
_HEIGHT, _BELOW = 210.0, 35.0
_NOTE = FONT - 1


def cost(summary: Summary) -> str | None:
    """Draw test accuracy over seconds of training, on a logarithmic scale, a marker a row.

    The legend says how many parameters each strategy learns. Rows that train nothing stand apart, on the left.
    Variants that dev did not pick are small and have no text. Of the others those on the Pareto front have a ring:
    no other row is both as fast to train and as accurate. None if no strategy's training time is known.
    """
    rows = [row for row in summary.rows if row.learning_seconds or not row.parameters.total]
    strategies, baselines = ([row for row in rows if row.is_baseline == which] for which in (False, True))
    if not any(row.learning_seconds for row in strategies):
        return None
    looks = _looks(summary)
    shown = [row for row in featured(summary) if row in rows] + baselines
    best = front(shown)
    with drawing("cost"):
        legend = Legend(_keys(strategies, looks), _keys(baselines, looks), [(ring_key(), _FRONT)])
        figure = new_figure(26 + _HEIGHT + _BELOW + legend.height, _TITLE)
        axes = add_axes(figure, 44, _BELOW + legend.height, WIDTH - 54, _HEIGHT)
        places = dict(zip(map(id, rows), _scale(axes, rows), strict=True))
        axes.set_ylim(*accuracy_limits(rows))
        for row in rows:
            x, y, look = places[id(row)], 100 * row.test.mean, looks[_key(row)]
            if row not in shown:
                axes.plot(x, y, **look.dots(markersize=4.0))
                continue
            if row.test.std:
                axes.errorbar(x, y, yerr=100 * row.test.std, fmt="none", ecolor=look.colour, elinewidth=1.0)
            axes.plot(x, y, **look.dots(zorder=3))
        axes.set_ylabel("test accuracy, %")
        axes.set_xlabel("training time, seconds a run (logarithmic)")
        for row in best:
            axes.plot(places[id(row)], 100 * row.test.mean, **{**ring(), "markersize": 11.0})
        _annotate(figure, axes, rows, shown, places)
        legend.draw(figure)
        return to_svg(figure, "cost", _TITLE, _describe(rows, best))


def _key(row: Row) -> str:
    """Return what the legend calls the row; variants and shots are told apart by the texts beside the points."""
    return f"{row.label} (baseline)" if row.is_baseline else row.strategy


def _looks(summary: Summary) -> dict[str, Look]:
    greys = {f"{label} (baseline)": look for label, look in baseline_looks(summary).items()}
    return {**strategy_looks(summary), **greys}


def _keys(rows: Sequence[Row], looks: Mapping[str, Look]) -> list[tuple[object, str]]:
    """Return the legend of rows, with how much each learns."""
    counts: dict[str, set[int]] = {}
    for row in rows:
        counts.setdefault(_key(row), set()).add(row.parameters.total)
    return [(marker_key(looks[key]), f"{key}: {_range(several)} learnt") for key, several in counts.items()]


def _range(counts: set[int]) -> str:
    ends = (human_count(count) if count else "nothing" for count in (min(counts), max(counts)))
    return " to ".join(dict.fromkeys(ends))


def _scale(axes: Axes, rows: Sequence[Row]) -> list[float]:
    """Set up the horizontal axis and return the place of each row on it."""
    from matplotlib.ticker import LogLocator

    known = [row.learning_seconds for row in rows]
    seconds = [value for value in known if value]
    low, high = math.log10(min(seconds)), math.log10(max(seconds))
    room = max(0.12 * (high - low), 0.25)
    low, high = low - room, high + room
    decades = LogLocator(subs=(1.0,) if high - low > 1.5 else (1.0, 2.0, 5.0)).tick_values(10**low, 10**high)
    ticks = {float(tick): amount(float(tick)) for tick in decades if 10**low < tick < 10**high}
    left, nothing = low, 10**low
    if len(seconds) < len(rows):
        left, nothing = low - 0.2 * (high - low), 10 ** (low - 0.1 * (high - low))
        axes.axvline(10**low, color=GREY, linewidth=0.8, linestyle=(0, (1, 2)))
        ticks[nothing] = "none"
    axes.set_xscale("log")
    axes.set_xlim(10**left, 10**high)
    axes.set_xticks(list(ticks), list(ticks.values()))
    axes.minorticks_off()
    return [value or nothing for value in known]


def _annotate(
    figure: Figure, axes: Axes, rows: Sequence[Row], shown: Sequence[Row], places: dict[int, float]
) -> None:
    """Write shots and variant beside the points shown, as far as there are several."""
    several = len({row.shots for row in rows if row.shots is not None}) > 1
    texts = []
    for row in shown:
        parts = [f"K={shots_name(row.shots)}"] if several and row.shots is not None else []
        parts += [shorten(row.variant, 16)] if row.variant else []
        texts.append(", ".join(parts))
    scale = POINTS / figure.dpi

    def place(row: Row, share: float) -> tuple[float, float]:
        x, y = axes.transData.transform((places[id(row)], 100 * share))
        return scale * float(x), scale * float(y)

    bars: list[Box] = []
    for row in rows:
        std = (row.test.std or 0.0) if row in shown else 0.0
        (x, low), (_, high) = place(row, row.test.mean - std), place(row, row.test.mean + std)
        bars.append((x - 1, low, x + 1, high))
    points = [place(row, row.test.mean) for row in shown]
    box = axes.get_window_extent()
    area = (scale * box.x0, scale * box.y0, scale * box.x1, scale * box.y1)
    total = figure.get_figheight() * POINTS
    for note in place_notes(points, texts, _NOTE, area, bars):
        figure.text(note.x / WIDTH, note.y / total, note.text, fontsize=_NOTE, ha=note.align, va="center")


def _describe(rows: Sequence[Row], best: Sequence[Row]) -> str:
    said = []
    for row in rows:
        seconds = row.learning_seconds
        time = f"{amount(seconds)} s" if seconds else "no training"
        said.append(f"{with_shots(row.label, row.shots)}: {time}, {percent(row.test.mean)}")
    names = ", ".join(with_shots(row.label, row.shots) for row in best)
    return f"Means over seeds. {'; '.join(said)}. {_FRONT.capitalize()}: {names}."
