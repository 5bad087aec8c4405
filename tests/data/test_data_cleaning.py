"""Cleaning of film reviews."""

from __future__ import annotations

import unicodedata
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptkit.data import Example, clean_text
from promptkit.data.cleaning import clean_task
from promptkit.errors import UserError


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("It's  GREAT -- 10/10 , really !", "it s great really"),
        ("a\tb\u00a0c\nd", "a b c d"),
        ("snake_case costs $5 + tax", "snake case costs tax"),
        ("Café naïve", "café naïve"),
        ("“quoted”… ½ price", "quoted price"),
        ("房间很大，三星，住了2天！", "房间很大 三星 住了 天"),
        ("... 12 !", ""),
    ],
)
def test_punctuation_digits_and_case_go_and_words_stay(text, cleaned):
    assert clean_text(text) == cleaned


def test_only_the_first_51_tokens_are_kept():
    words = [f"w{chr(97 + i % 26)}{chr(97 + i // 26)}" for i in range(60)]
    assert clean_text(" ".join(words)).split() == words[:51]


@given(st.text())
def test_no_punctuation_symbol_or_number_is_left(text):
    cleaned = clean_text(text)
    assert cleaned == " ".join(cleaned.split())
    assert {unicodedata.category(char)[0] for char in cleaned.replace(" ", "").replace("〇", "")} <= {"L", "M", "C"}


@given(st.text(alphabet=st.characters(min_codepoint=0x4E00, max_codepoint=0x9FFF)))
def test_chinese_characters_are_left_alone(text):
    assert clean_text(text) == text
    assert clean_text("二〇一〇年") == "二〇一〇年"


def test_a_cleaned_task_keeps_its_splits_and_counts_what_vanished(toy):
    task = replace(toy(), train=(Example("Fine!", "a", "B 2"), Example("!!", "a"), Example("No.", "b")))
    cleaned = clean_task(task)
    assert cleaned.train == (Example("fine", "a", "b"), Example("no", "b"))
    assert cleaned.test == (Example("test a", "a"), Example("test b", "b"))
    assert cleaned.notes == ("texts cleaned: lower case, letters only, at most 51 tokens",)
    assert cleaned.cautions == ("1 text dropped: nothing left after cleaning",)


@pytest.mark.parametrize("split", ["train", "dev", "test"])
def test_a_split_of_which_cleaning_leaves_nothing_is_refused(toy, split):
    with pytest.raises(UserError, match=f"^data 'toy': cleaning leaves no text in {split}; leave out --clean"):
        clean_task(replace(toy(), **{split: (Example("1 2 3", "a"), Example("!", "b"))}))
