"""Label words of several pieces behind the prompt of a causal model: its rows, and where they are read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptkit.data import Packer, Rows
from promptkit.errors import UserError
from promptkit.prompting import Encoder, Template, Verbalizer
from promptkit.prompting.continuations import Continuations
from promptkit.prompting.layout import Layout
from promptkit.prompting.resolved import PromptTask, resolve_prompt

if TYPE_CHECKING:
    from conftest import Adapter

words_of_pieces = st.lists(st.lists(st.integers(1, 3), min_size=1, max_size=4).map(tuple), min_size=1, max_size=6)


def prompt(tokenizer: Adapter, words: str, **settings: object) -> PromptTask:
    usual = {"slots": "same", "max_length": 32, "readout": "cloze", "rng": np.random.default_rng(0), "kind": "causal"}
    labels = Verbalizer.parse(words).labels
    template = Template.parse("{text} it was {mask}")
    return resolve_prompt(template, Verbalizer.parse(words), labels=labels, tokenizer=tokenizer, **usual | settings)  # type: ignore[arg-type]


def test_words_of_one_piece_are_read_at_one_position_of_the_prompt_alone(mini: Adapter) -> None:
    task = prompt(mini, "a=great; b=bad")
    assert task.verbalizer is not None
    assert (task.verbalizer.slots, task.verbalizer.needs_normalising) == (1, False)
    (encoded,) = task.encoder.encode_many([{"text": "fine"}])
    assert (encoded.read, encoded.parts) == ((3,), ())
    assert mini.tokens(encoded.token_ids) == ["[CLS]", "fine", "it", "was"]


def test_each_word_has_a_row_with_its_pieces_before_the_last(mini: Adapter) -> None:
    task = prompt(mini, "a=not good; b=very very bad; c=great")
    (encoded,) = task.encoder.encode_many([{"text": "fine"}])
    assert encoded.parts == (5, 6)
    start = ["[CLS]", "fine", "it", "was"]
    assert mini.tokens(encoded.token_ids) == [*start, "not", *start, "very", "very"]
    assert task.verbalizer is not None
    verbalizer = task.verbalizer
    assert verbalizer.needs_normalising
    for ids in (each for group in verbalizer.pieces for each in group):
        for number in range(len(ids)):
            at = encoded.read[verbalizer.slot(ids, number)]
            assert encoded.token_ids[at] == (mini.encode("was")[0] if number == 0 else ids[number - 1])


def test_words_that_begin_alike_share_a_row() -> None:
    found = Continuations.of([(1,), (1, 2), (1, 2, 3), (4, 5)])
    assert (found.rows, found.beginnings) == (((4,), (1, 2)), ((), (1,), (4,), (1, 2)))
    assert found.read(3) == (2, 7, 3, 8)


@given(words=words_of_pieces, length=st.integers(1, 5))
def test_what_is_read_stands_behind_the_prompt_and_the_beginning(words: list[tuple[int, ...]], length: int) -> None:
    found = Continuations.of(words)
    row = [-place for place in range(1, length + 1)]
    ids = [piece for each in found.rows for piece in (*row, *each)]
    for beginning, at in zip(found.beginnings, found.read(length), strict=True):
        wanted = [*row, *beginning]
        assert ids[at - len(wanted) + 1 : at + 1] == wanted
    assert sum(map(len, found.rows)) <= sum(len(word) - 1 for word in set(words))


def test_rows_of_an_example_see_nothing_of_each_other_and_count_from_zero(mini: Adapter) -> None:
    task = prompt(mini, "a=not good; b=very bad")
    encoded = task.encoder.encode_many([{"text": "fine"}, {"text": "a film"}])
    (batch,) = Packer(encoded, [0, 1], batch_size=2, rows=Rows(1, 26, 3), pad_id=0).epoch(None)
    assert batch.index.tolist() == [1, 0, -1]
    assert batch.inputs["segment_ids"][0].tolist() == [1] * 6 + [4] * 6 + [2] * 5 + [5] * 5 + [0] * 4
    assert batch.inputs["position_ids"][0].tolist() == [*range(6)] * 2 + [*range(5)] * 2 + [0] * 4
    assert batch.inputs["read"][0].tolist() == [[4, 5, 11], [15, 16, 21], [0, 0, 0]]


def test_label_words_take_room_from_the_text(mini: Adapter) -> None:
    task = prompt(mini, "a=not good; b=very very bad", max_length=8)
    (encoded,) = task.encoder.encode_many([{"text": "many " * 60}])
    assert (max(encoded.parts), encoded.field_tokens) == (8, 3)
    assert task.encoder.longest == sum(encoded.parts)
    with pytest.raises(UserError, match="leaves 0 for its 1 field"):
        prompt(mini, "a=not good; b=very very bad", max_length=5)


def test_rules_say_how_lengths_count(mini: Adapter) -> None:
    words = "a=not good; b=bad"
    first = prompt(mini, words, slots="first").verbalizer
    assert first is not None
    assert (first.slots, first.needs_normalising) == (1, False)
    for rule, weight in (("same", 1.0), ("mean", 0.5)):
        found = prompt(mini, words, slots=rule).verbalizer
        assert found is not None
        assert np.asarray(found.selection()).sum(0).tolist() == [2 * weight, 1.0]


@pytest.mark.parametrize("source", ["{text} {mask}{mask}", "{text} {mask:2}", "{text} {mask:1}"])
def test_a_count_of_slots_is_refused(mini: Adapter, source: str) -> None:
    with pytest.raises(UserError, match="counts mask slots: a causal language model answers once"):
        Encoder(Template.parse(source), mini, mask_slots=1, max_length=32, layout=Layout.of(mini, "causal"))
