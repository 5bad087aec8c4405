"""`{text:first}` and `{text:second}`: where a text is divided, and what is cut of a long one."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from promptkit.prompting import Encoder, Template
from promptkit.prompting.halves import split_halves
from promptkit.prompting.template import Field

if TYPE_CHECKING:
    from conftest import Adapter

FIXTURES_STAY = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
MIDDLE = "{text:first} It was {mask}. {text:second}"


def tokens(source: str, tokenizer: Adapter, *, max_length: int = 64, **fields: str) -> list[str]:
    encoder = Encoder(Template.parse(source), tokenizer, mask_slots="{mask" in source, max_length=max_length)
    return tokenizer.tokens(encoder.encode_many([fields])[0].token_ids[1:-1])


@pytest.mark.parametrize(
    ("text", "first", "second"),
    [
        ("a fine film", "a fine", "film"),
        ("one two three four", "one two", "three four"),
        ("aa bb cc", "aa", "bb cc"),
        ("  a \n\t b  ", "a", "b"),
        ("unforgettable it is", "unforgettable", "it is"),
        ("film", "film", ""),
        ("", "", ""),
        (" \n ", "", ""),
        ("这部电影很好看", "这部电", "影很好看"),
        ("好", "好", ""),
        ("这部iPhone手机", "这部", "iPhone手机"),
        ("不错 味道好极了下次再来", "不错 味道好", "极了下次再来"),
        ("第一次来\u3000味道不错", "第一次来", "味道不错"),
    ],
)
def test_a_text_is_divided_nearest_its_middle(text: str, first: str, second: str) -> None:
    assert split_halves(text) == (first, second)


@given(st.text(max_size=80))
def test_two_halves_hold_every_word_once_and_in_order(text: str) -> None:
    halves = split_halves(text)
    assert "".join("".join(halves).split()) == "".join(text.split())
    assert all(half == half.strip() for half in halves)


@given(st.lists(st.text(alphabet="aé'-9", min_size=1, max_size=9), max_size=12))
def test_no_word_is_cut_and_no_better_place_is_missed(words: list[str]) -> None:
    """Against trying every place: the words stay whole, and no other place makes the halves more alike."""
    first, second = split_halves(" ".join(words))
    assert [*first.split(), *second.split()] == words
    if len(words) > 1:
        every = [(" ".join(words[:at]), " ".join(words[at:])) for at in range(1, len(words))]
        assert (first, second) == min(every, key=lambda halves: abs(len(halves[0]) - len(halves[1])))


@given(st.text(alphabet="好看的电影，。", min_size=2, max_size=30))
def test_chinese_is_divided_at_its_middle_character(text: str) -> None:
    first, second = split_halves(text)
    assert first + second == text
    assert len(second) - len(first) in (0, 1)


def test_halves_are_parts_of_a_template_under_their_fields_name() -> None:
    template = Template.parse("{text:first}{ text_b : second }")
    assert template.parts == (Field("text", 1, "first"), Field("text_b", 13, "second"))
    assert template.fields == ("text", "text_b")


def test_a_prompt_stands_in_the_middle_of_a_text(mini: Adapter) -> None:
    expected = ["a", "fine", "film", "it", "was", "[MASK]", ".", "of", "many", "words"]
    assert tokens(MIDDLE, mini, text="a fine film of many words") == expected


def test_halves_of_both_fields_and_one_half_alone(mini: Adapter) -> None:
    source = "{text_b:second} {text:first}"
    assert tokens(source, mini, text="one two", text_b="three four") == ["four", "one"]


def test_a_text_of_one_word_leaves_the_second_half_empty(mini: Adapter) -> None:
    assert tokens(MIDDLE, mini, text="film") == ["film", "it", "was", "[MASK]", "."]


def test_explain_shows_both_halves_under_the_field(mini: Adapter) -> None:
    encoder = Encoder(Template.parse(MIDDLE), mini, mask_slots=1, max_length=32)
    rows = encoder.explain({"text": "fine film"})
    assert [piece for piece, role in rows if role == "field:text"] == ["fine", "film"]
    assert rows[1] == ("fine", "field:text")
    assert rows[-2] == ("film", "field:text")


def test_a_long_text_loses_its_middle(mini: Adapter) -> None:
    """The first half loses its end and the second its beginning: what stays is a text's beginning and end."""
    text = "a b c d e f g h"
    assert tokens("{text:first} {mask} {text:second}", mini, max_length=8, text=text) == [
        *["a", "b", "c"], "[MASK]", *["g", "h"],
    ]  # fmt: skip
    assert tokens("{text:second}", mini, max_length=4, text=text) == ["g", "h"]
    assert tokens("{text:first}", mini, max_length=4, text=text) == ["a", "b"]


@FIXTURES_STAY
@given(st.text(max_size=60), st.integers(9, 24))
def test_any_text_leaves_the_template_whole(mini: Adapter, text: str, max_length: int) -> None:
    encoder = Encoder(Template.parse(MIDDLE), mini, mask_slots=1, max_length=max_length)
    (encoded,) = encoder.encode_many([{"text": text}])
    (mask,) = encoded.read
    assert len(encoded.token_ids) == encoder.fixed_tokens + encoded.field_tokens <= max_length
    assert encoded.token_ids[mask - 2 : mask + 2] == (2009, 2001, 103, 1012)
    assert encoded.field_tokens + encoded.dropped == sum(map(len, mini.encode_many(split_halves(text))))


def test_halves_carry_their_spaces_where_spaces_are_marked(byte_level: Adapter) -> None:
    whole = "great fun It was terrible"
    found = tokens("{text:first} {text:second}", byte_level, text=whole)
    assert found == byte_level.tokens(byte_level.encode(whole))
    assert found[0] == "great"


def test_piece_ids_stand_as_they_are_and_count_as_no_mask_slot(mini: Adapter) -> None:
    encoder = Encoder(Template.parse("{text} It was {mask}."), mini, mask_slots=1, max_length=32)
    ids, spelt = encoder.encode_many([{"text": [mini.mask_id]}, {"text": "[MASK]"}])
    assert mini.tokens(ids.token_ids) == ["[CLS]", "[MASK]", "it", "was", "[MASK]", ".", "[SEP]"]
    assert (ids.read, ids.field_tokens, ids.dropped) == ((4,), 1, 0)
    assert encoder.explain({"text": [mini.mask_id]})[1] == ("[MASK]", "field:text")
    assert spelt.field_tokens == len(mini.encode("[MASK]"))


def test_piece_ids_are_halved_and_checked(mini: Adapter) -> None:
    encoder = Encoder(Template.parse("{text:first} {mask} {text:second}"), mini, mask_slots=1, max_length=32)
    (encoded,) = encoder.encode_many([{"text": (5, 6, 7)}])
    assert encoded.token_ids == (101, 5, 6, 103, 7, 102)
    with pytest.raises(ValueError, match=re.escape("piece ids must be from 0 to")):
        encoder.encode_many([{"text": [mini.vocab_size]}])
