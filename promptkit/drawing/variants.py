"""Test accuracy of a strategy's variants: a curve over a numeric option, dots for all others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from promptkit.analysis.names import shots_phrase
from promptkit.analysis.selection import Variants, is_picked, shots_order, variants_of
from promptkit.analysis.summary import Summary
from promptkit.drawing.legend import Legend, curve_key, marker_key
from promptkit.drawing.looks import Look, looks_of
from promptkit.drawing.parts import accuracy_limits, describe, draw_spread, ring_key
from promptkit.drawing.svg import FONT, WIDTH, add_axes, drawing, new_figure, to_svg
from promptkit.drawing.text import amount, plain, text_width, wrap
from promptkit.runs.stored import Shots

if TYPE_CHECKING:
    from matplotlib.axes import Axes


_CURVE = 170.0
_NAME = FONT - 1


def variant_curves(summary: Summary) -> str | None:
    """Draw test accuracy over the number that a strategy's variants set, a curve for each K.

    Only for strategies all of whose variants read `option=number`, of one option; each has its own axes. The
    scale is logarithmic where all numbers are positive and the largest is at least ten times the smallest. None if
    there is no such strategy.
    """
    found = [variants for variants in variants_of(summary) if variants.option]
    if not found:
        return None
    looks = _looks(summary)
    step = _CURVE + 18 + 36
    title = "Test accuracy by an option's value"
    with drawing("variant-curves"):
        legend = _legend(looks, curve_key)
        figure = new_figure(22 + step * len(found) + legend.height, title)
        for place, variants in enumerate(found):
            bottom = legend.height + step * (len(found) - 1 - place) + 36
            axes = add_axes(figure, 44, bottom, WIDTH - 58, _CURVE)
            _draw_curves(axes, summary, variants, looks)
        legend.draw(figure)
        return to_svg(figure, "variant-curves", title, _describe(found))


def variant_dots(summary: Summary) -> str | None:
    """Draw test accuracy of the variants that are not just a number, a line each.

    Each strategy has its own axes. None if there is no such strategy.
    """
    found = [variants for variants in variants_of(summary) if not variants.option]
    if not found:
        return None
    looks = _looks(summary)
    line = 22.0 + 12.0 * max(0, len(looks) - 1)
    heights = [line * len(variants.names) + 8 for variants in found]
    names = [_variant_name(name) for variants in found for name in variants.names]
    left = min(max(text_width(name, _NAME) for name in names) + 12, 0.45 * WIDTH)
    title = "Test accuracy by variant"
    with drawing("variant-dots"):
        legend = _legend(looks, marker_key)
        figure = new_figure(22 + sum(heights) + (18 + 36) * len(found) + legend.height, title)
        top = figure.get_figheight() * 72 - 22
        for variants, height in zip(found, heights, strict=True):
            axes = add_axes(figure, left, top - 18 - height, WIDTH - left - 12, height)
            _draw_dots(axes, summary, variants, looks, left - 8)
            top -= 18 + height + 36
        legend.draw(figure)
        return to_svg(figure, "variant-dots", title, _describe(found))


def _looks(summary: Summary) -> dict[Shots, Look]:
    """Return a look for each K that some strategy's variants were run with."""
    used = {row.shots for variants in variants_of(summary) for row in variants.rows}
    shots = [k for k in shots_order(summary) if k in used]
    return dict(zip(shots, looks_of(map(str, shots)).values(), strict=True))


def _legend(looks: dict[Shots, Look], key: Callable[[Look], object]) -> Legend:
    picked = (ring_key(), "picked on dev")
    return Legend([*((key(look), shots_phrase(shots)) for shots, look in looks.items()), picked])


def _draw_curves(axes: Axes, summary: Summary, variants: Variants, looks: dict[Shots, Look]) -> None:
    values = sorted(set(variants.values.values()))
    for shots, look in looks.items():
        rows = sorted((r for r in variants.rows if r.shots == shots), key=lambda row: variants.values[row.variant])
        places = [variants.values[row.variant] for row in rows]
        axes.plot(places, [100 * row.test.mean for row in rows], **look.line(linewidth=1.2, zorder=1))
        for place, row in zip(places, rows, strict=True):
            draw_spread(axes, place, row, look, picked=is_picked(summary, row))
    if values[0] > 0 and values[-1] >= 10 * values[0]:
        axes.set_xscale("log")
        axes.minorticks_off()
    axes.margins(x=0.08)
    axes.set_xticks(values, [amount(value) for value in values])
    axes.set_ylim(*accuracy_limits(variants.rows))
    axes.set_xlabel(plain(variants.option or ""))
    axes.set_ylabel("test accuracy, %")
    axes.set_title(plain(variants.strategy), loc="left", fontsize=FONT)


def _draw_dots(axes: Axes, summary: Summary, variants: Variants, looks: dict[Shots, Look], room: float) -> None:
    shots = [k for k in looks if any(row.shots == k for row in variants.rows)]
    for place, name in enumerate(variants.names):
        for row in (row for row in variants.rows if row.variant == name):
            at = place + 0.1 + 0.66 * ((shots.index(row.shots) + 0.5) / len(shots) - 0.5)
            draw_spread(axes, at, row, looks[row.shots], across=True, picked=is_picked(summary, row))
    names = [wrap(_variant_name(name), room, _NAME) for name in variants.names]
    axes.set_yticks(range(len(names)), names, fontsize=_NAME, linespacing=1.0)
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.set_xlim(*accuracy_limits(variants.rows))
    axes.set_xlabel("test accuracy, %")
    axes.set_title(plain(variants.strategy), loc="left", fontsize=FONT)


def _variant_name(name: str) -> str:
    return plain(name) or "(as it is)"


def _describe(found: Sequence[Variants]) -> str:
    rows = [row for variants in found for row in variants.rows]
    return describe(rows)
