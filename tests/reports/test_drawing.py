"""Looks that differ without colour, texts that fit, notes that do not cover each other."""

from __future__ import annotations

from itertools import combinations, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptkit.drawing.looks import looks_of
from promptkit.drawing.notes import place_notes
from promptkit.drawing.text import amount, fit, percent, plain, shorten, text_width, wrap

TEXTS = st.text(st.characters(codec="utf-8"), max_size=60)


def lightness(colour: str) -> float:
    """Relative luminance of `#rrggbb` (WCAG 2)."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def test_six_strategies_differ_in_colour_in_marker_and_in_dashes() -> None:
    looks = list(looks_of("abcdef").values())
    for one, other in combinations(looks, 2):
        assert one.colour != other.colour
        assert one.marker != other.marker
        assert one.dash != other.dash


def test_many_strategies_never_share_marker_colour_and_dashes() -> None:
    looks = looks_of(map(str, range(168)))
    assert len({(look.colour, look.marker, look.dash) for look in looks.values()}) == 168


def test_neighbours_differ_in_grey() -> None:
    looks = list(looks_of("abcdefg").values())
    for one, other in pairwise(looks):
        assert abs(lightness(one.colour) - lightness(other.colour)) > 0.08


@given(TEXTS)
def test_plain_text_is_one_printable_line(text: str) -> None:
    assert len(plain(text).splitlines()) <= 1
    assert plain(plain(text)) == plain(text)


@given(TEXTS, st.floats(20, 200))
def test_a_text_that_was_cut_fits_and_is_a_beginning(text: str, width: float) -> None:
    cut = fit(text, width, 9)
    assert text_width(cut, 9) <= width or len(cut) <= 1
    assert plain(text).startswith(cut.removesuffix("…"))


@given(TEXTS, st.floats(60, 200))
def test_a_wrapped_text_fits_and_keeps_its_end(text: str, width: float) -> None:
    lines = wrap(text, width, 9, tail=", K=16").split("\n")
    assert len(lines) <= 2
    assert all(text_width(line, 9) <= width + 1e-9 for line in lines)
    assert lines[-1].endswith("K=16")


def test_chinese_counts_as_wide() -> None:
    assert text_width("好好", 10) > 1.5 * text_width("ab", 10)


def test_a_short_text_is_left_alone() -> None:
    assert shorten("great  / terrible", 20) == "great / terrible"
    assert shorten("great / terrible", 8) == "great /…"


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0"), (0.05, "0.05"), (1, "1"), (12.345, "12.3"), (200.0, "200"), (1234.5, "1,234")]
)
def test_numbers_on_an_axis(value: float, text: str) -> None:
    assert amount(value) == text


def test_a_share_that_was_not_measured_is_a_dash() -> None:
    assert percent(None) == percent(float("nan")) == "–"
    assert percent(0.738) == "73.8 %"


def boxes(points: list[tuple[float, float]], texts: list[str]) -> list[tuple[float, float, float, float]]:
    found = []
    for note in place_notes(points, texts, 8, (0, 0, 1000, 1000)):
        width = text_width(note.text, 8)
        left = note.x - {"left": 0.0, "center": 0.5, "right": 1.0}[note.align] * width
        found.append((left, note.y - 4.4, left + width, note.y + 4.4))
    return found


def overlap(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


@given(st.lists(st.tuples(st.integers(2, 12), st.integers(2, 18)), min_size=1, max_size=12, unique=True))
def test_notes_with_room_cover_neither_each_other_nor_a_point(cells: list[tuple[int, int]]) -> None:
    points = [(60.0 * x, 50.0 * y) for x, y in cells]
    placed = boxes(points, ["K=16"] * len(points))
    assert not any(overlap(one, other) for one, other in combinations(placed, 2))
    assert not any(overlap(box, (x - 4, y - 4, x + 4, y + 4)) for box in placed for x, y in points)


def test_notes_of_two_points_side_by_side_go_apart() -> None:
    placed = boxes([(500, 500), (512, 500)], ["one of them", "the other"])
    assert not overlap(*placed)


def test_a_note_at_the_edge_stays_inside_and_an_empty_one_is_left_out() -> None:
    (box,) = boxes([(990, 500), (10, 10)], ["long enough", ""])
    assert box[2] <= 1000


def test_a_word_that_is_longer_than_a_line_is_broken_and_not_cut() -> None:
    """As a name in Chinese is, which has no spaces."""
    name = "这是一个很长的变体名称"
    one, two = wrap(name, 60, 9).split("\n")
    assert one + two == name
    one, two = wrap(name * 3, 60, 9, tail=", K=16").split("\n")
    assert name.startswith(one)
    assert two.endswith("…, K=16")


def test_long_texts_are_cut_in_no_time() -> None:
    text = "word " * 20_000
    assert fit(text, 100, 9).endswith("…")
    assert text_width(fit(text, 100, 9), 9) <= 100
