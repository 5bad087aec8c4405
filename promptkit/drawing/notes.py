"""Small texts beside points, put where they cover as little as possible."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Literal

from promptkit.drawing.text import text_width

Box = tuple[float, float, float, float]  # left, bottom, right, top

_SIDES = tuple(product((1, -1, 0), (0, 1, -1)))  # right of the point first, then left, then above and below


@dataclass(frozen=True)
class Note:
    """Where a text goes: x of the end that `align` names, or of its centre, and y of the middle of its height."""

    x: float
    y: float
    text: str
    align: Literal["left", "right", "center"]


def place_notes(
    points: Sequence[tuple[float, float]], texts: Sequence[str], size: float, area: Box, obstacles: Sequence[Box] = ()
) -> list[Note]:
    """Return a place for each text next to its point.

    Greedy, in order: the first place that covers no point and no text placed before, or else the one that covers
    the least. Everything is in points from the lower left corner.

    Args:
        points: where the markers are, (N,) of x, y.
        texts: what to write at each, (N,); nothing is placed for an empty one.
        size: of the font.
        area: that the texts should stay within.
        obstacles: what else the texts should not cover.
    """
    radius = 4.5
    taken: list[Box] = [(x - radius, y - radius, x + radius, y + radius) for x, y in points]
    taken += obstacles
    notes = []
    for (x, y), text in zip(points, texts, strict=True):
        if not text:
            continue
        boxes = {side: _box(x, y, side, text_width(text, size), size) for side in _SIDES if side != (0, 0)}
        covered = {
            side: sum(_overlap(box, other) for other in taken) + 3 * _outside(box, area)
            for side, box in boxes.items()
        }
        side = min(covered, key=covered.__getitem__)
        left, low, right, high = boxes[side]
        taken.append(boxes[side])
        # The width is a guess, so the end next to the point is the one to hold on to.
        ends: dict[int, tuple[float, Literal["left", "right", "center"]]] = {
            1: (left, "left"),
            -1: (right, "right"),
            0: (x, "center"),
        }
        at, align = ends[side[0]]
        notes.append(Note(at, (low + high) / 2, text, align))
    return notes


def _box(x: float, y: float, side: tuple[int, int], width: float, size: float) -> Box:
    across, up = side
    gap = 6.5 if not up else 4.0
    left = {1: x + gap, -1: x - gap - width, 0: x - width / 2}[across]
    middle = y + up * (size * 0.6 + 4.5)
    return left, middle - size * 0.55, left + width, middle + size * 0.55


def _overlap(one: Box, other: Box) -> float:
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    return width * height if width > 0 and height > 0 else 0.0


def _outside(box: Box, area: Box) -> float:
    inside = _overlap(box, area)
    return (box[2] - box[0]) * (box[3] - box[1]) - inside
