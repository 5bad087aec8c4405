"""Where virtual tokens lie: their principal components as SVG text, or as a file."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from promptkit.drawing import (
    FONT,
    GREY,
    POINTS,
    WIDTH,
    Legend,
    add_axes,
    drawing,
    fit,
    new_figure,
    place_notes,
    shorten,
    to_svg,
)
from promptkit.errors import UserError
from promptkit.inspection.report import Kind, Mark, PromptReport, VirtualPrompt
from promptkit.runs.files import write_where_asked

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ENDINGS = (".svg", ".png")
NAME = "virtual-tokens"
_TITLE = "Virtual tokens among words"
_HEIGHT, _LEFT, _BELOW, _ABOVE = 250.0, 22.0, 26.0, 18.0
_DOTS_PER_INCH = 200
# Of more virtual tokens than this only the label words are named: nothing could be read.
_MOST_NAMED = 20
# Ring, cross, filled and star: told apart without colour. A cross in a ring is a token's nearest word where the token
# started. The ring is wider than the token, so that it is seen around one that has not moved.
_LOOKS: dict[Kind, dict[str, Any]] = {
    "start": {"marker": "o", "markersize": 11.0, "markerfacecolor": "none", "markeredgecolor": "black", "zorder": 2},
    "nearest": {"marker": "x", "markersize": 4.0, "markeredgecolor": "black", "markeredgewidth": 1.0, "zorder": 3},
    "token": {"marker": "o", "markersize": 5.5, "color": "#0072B2", "markeredgecolor": "black", "zorder": 4},
    "label": {"marker": "*", "markersize": 11.0, "color": "#E69F00", "markeredgecolor": "black", "zorder": 5},
}
_KEYS: dict[Kind, str] = {
    "token": "virtual token, after training",
    "start": "where it started",
    "label": "label word",
    "nearest": "nearest word of a virtual token",
}
# Fonts with Chinese characters; whichever is there stands in for DejaVu Sans where that has none.
_CHINESE = (
    "Noto Sans CJK SC",
    "WenQuanYi Micro Hei",
    "Source Han Sans SC",
    "Microsoft YaHei",
    "PingFang SC",
    "SimHei",
)


def draw(report: PromptReport) -> str:
    """Return the picture as an SVG element, a panel for each template."""
    with drawing(NAME):
        return to_svg(_figure(report), NAME, _TITLE, _describe(report))


def save_picture(report: PromptReport, path: Path) -> None:
    """Write the picture to a file whose name ends in `.svg` or `.png`.

    Raises:
        UserError: for another ending, or if the file cannot be written.
    """
    check_ending(path)
    if path.suffix.lower() == ".svg":
        write_where_asked(path, f'<?xml version="1.0" encoding="utf-8"?>\n{draw(report)}\n')
    else:
        with drawing(NAME):
            write_where_asked(path, _png(report))


def check_ending(path: Path) -> None:
    """Refuse a file name that does not say how to draw."""
    if path.suffix.lower() not in ENDINGS:
        raise UserError(f"--plot takes a file name ending in {' or '.join(ENDINGS)}, not '{path}'.")


def _png(report: PromptReport) -> bytes:
    import matplotlib
    from matplotlib import font_manager

    installed = set(font_manager.get_font_names())
    matplotlib.rcParams["font.family"] = ["DejaVu Sans", *(name for name in _CHINESE if name in installed)]
    stream = io.BytesIO()
    with _unheard("matplotlib.font_manager"):
        _figure(report).savefig(stream, format="png", dpi=_DOTS_PER_INCH, metadata={"Software": None})
    return stream.getvalue()


@contextmanager
def _unheard(name: str) -> Iterator[None]:
    """Keep a logger's warnings back: that a Chinese font has no bold face is no news to anyone."""
    logger = logging.getLogger(name)
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def _figure(report: PromptReport) -> Figure:
    from matplotlib.lines import Line2D

    there = {mark.kind for template in report.templates for mark in template.marks}
    keys = [(kind, label) for kind, label in _KEYS.items() if kind in there]
    legend = Legend([(Line2D([], [], linestyle="none", **_LOOKS[kind]), label) for kind, label in keys])
    panel = _HEIGHT + _BELOW + _ABOVE
    figure = new_figure(20 + panel * len(report.templates) + legend.height, _TITLE)
    for number, template in enumerate(reversed(report.templates)):
        bottom = legend.height + number * panel + _BELOW
        axes = add_axes(figure, _LEFT, bottom, WIDTH - _LEFT - 10, _HEIGHT)
        _draw_panel(axes, template)
        name = fit(template.template, WIDTH - 12, FONT)
        figure.text(6 / WIDTH, (bottom + _HEIGHT + 6) / (POINTS * figure.get_figheight()), name, fontsize=FONT)
    legend.draw(figure)
    return figure


def _draw_panel(axes: Axes, prompt: VirtualPrompt) -> None:
    groups = {kind: [mark for mark in prompt.marks if mark.kind == kind] for kind in _LOOKS}
    for start, token in zip(groups["start"], groups["token"], strict=True):
        axes.plot((start.x, token.x), (start.y, token.y), color=GREY, linewidth=0.7, zorder=1)
    for kind, marks in groups.items():
        axes.plot([mark.x for mark in marks], [mark.y for mark in marks], linestyle="none", **_LOOKS[kind])
    # Set, not left to be found when the figure is drawn: the names are placed before.
    axes.set_xlim(*_limits([mark.x for mark in prompt.marks]))
    axes.set_ylim(*_limits([mark.y for mark in prompt.marks]))
    shares = [f"{100 * share:.0f} % of the variance" for share in prompt.shares]
    axes.set_xlabel(f"first component, {shares[0]}")
    axes.set_ylabel(f"second component, {shares[1]}")
    axes.set_xticks([])
    axes.set_yticks([])
    # Label words first: a name that is placed early finds more room.
    order = [*groups["label"], *groups["token"], *groups["nearest"], *groups["start"]]
    shown = len(groups["label"]) if len(prompt.tokens) > _MOST_NAMED else len(order) - len(groups["start"])
    _name(axes, order[:shown], order[shown:])


def _limits(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    room = 0.12 * (high - low) or 1.0
    return low - room, high + room


def _name(axes: Axes, named: Sequence[Mark], unnamed: Sequence[Mark]) -> None:
    """Write names beside the marks, so that they cover no mark and no other name where that can be had."""
    figure = axes.get_figure(root=True)
    assert figure is not None
    scale = POINTS / figure.dpi
    every = [*named, *unnamed]
    points = [(float(x) * scale, float(y) * scale) for x, y in axes.transData.transform([(m.x, m.y) for m in every])]
    # A vocabulary may hold pieces of which nothing can be shown.
    texts = [*(shorten(mark.name, 18) or "␣" for mark in named), *("" for _ in unnamed)]
    box = axes.get_window_extent()
    area = (box.x0 * scale, box.y0 * scale, box.x1 * scale, box.y1 * scale)
    for mark, note in zip(named, place_notes(points, texts, FONT - 1, area), strict=True):
        axes.annotate(
            note.text, (note.x, note.y), xycoords="figure points", ha=note.align, va="center", fontsize=FONT - 1,
            zorder=6,
            fontweight="bold" if mark.kind == "label" else "normal",
            color=GREY if mark.kind == "nearest" else "black",
        )  # fmt: skip


def _describe(report: PromptReport) -> str:
    """Return the picture in words, for who cannot see it."""
    said = []
    for prompt in report.templates:
        first, second = (f"{100 * share:.0f} %" for share in prompt.shares)
        words = ", ".join(mark.name for mark in prompt.marks if mark.kind == "label")
        labels = f", and the label words {words}" if words else ""
        said.append(
            f"{len(prompt.tokens)} virtual tokens of the template {prompt.template}, where each started, its nearest "
            f"word{labels}. The two axes hold {first} and {second} of the variance."
        )
    return " ".join(said)
