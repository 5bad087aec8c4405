"""Where a model reads its answer: at the mask, before the answer that comes next, or at one token for a head."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from promptkit.errors import UserError
from promptkit.prompting import Encoded, Encoder, Template
from promptkit.prompting.layout import Layout

if TYPE_CHECKING:
    from conftest import Adapter

START = 101
CAUSAL = Layout(front=(START,), back=(), mask=None, filler=0)
BARE = Layout(front=(), back=(), mask=None, filler=0)


def encoder(source: str, tokenizer: Adapter, layout: Layout, **settings: object) -> Encoder:
    return Encoder(
        Template.parse(source), tokenizer, layout=layout, **{"mask_slots": 1, "max_length": 32, **settings}
    )


def encode(source: str, tokenizer: Adapter, layout: Layout, text: str = "a fine film", **settings: object) -> Encoded:
    return encoder(source, tokenizer, layout, **settings).encode_many([{"text": text}])[0]


def test_a_masked_layout_stands_between_cls_and_sep_and_is_read_at_the_mask(mini: Adapter) -> None:
    layout = Layout.of(mini, "masked")
    assert layout == Layout(
        (mini.cls_id,), (mini.sep_id,), mini.mask_id, mini.pad_id, (mini.sep_id,), between=(mini.sep_id,)
    )
    encoded = encode("{text} it was {mask}.", mini, layout)
    assert mini.tokens(encoded.token_ids) == ["[CLS]", "a", "fine", "film", "it", "was", "[MASK]", ".", "[SEP]"]
    assert encoded.read == (6,)
    assert encode("{text} it was {mask}.", mini, layout, readout="head").read == (0,)


def test_a_causal_layout_is_read_before_its_answer_which_takes_no_position(mini: Adapter) -> None:
    encoded = encode("{text} it was {mask}", mini, CAUSAL)
    assert mini.tokens(encoded.token_ids) == ["[CLS]", "a", "fine", "film", "it", "was"]
    assert encoded.read == (5,)
    assert len(encoded.virtual_ids) == 6


def test_a_causal_answer_may_follow_the_text_or_a_virtual_token(mini: Adapter) -> None:
    assert encode("{text}{mask}", mini, CAUSAL).read == (3,)
    assert encode("{text}{mask}", mini, CAUSAL, text="").read == (0,)
    virtual = encode("{text}{soft:2}{mask}", mini, CAUSAL)
    assert virtual.virtual_ids == (-1, -1, -1, -1, 0, 1)
    assert virtual.read == (5,)


def test_a_causal_head_reads_the_last_token_whatever_was_cut(mini: Adapter) -> None:
    assert encode("{text} is a film", mini, CAUSAL, readout="head", mask_slots=0).read == (6,)
    cut = encode("{text} is a film", mini, CAUSAL, "many " * 60, readout="head", mask_slots=0, max_length=10)
    assert (len(cut.token_ids), cut.dropped, cut.read) == (10, 54, (9,))


def test_a_head_needs_a_token_to_read(mini: Adapter) -> None:
    """A text of which cleaning leaves nothing, behind a tokenizer that opens with nothing."""
    assert encode("{text}", mini, BARE, text="a", readout="head", mask_slots=0).read == (0,)
    with pytest.raises(UserError, match="a prompt here has none"):
        encode("{text}", mini, BARE, text="", readout="head", mask_slots=0)


def test_a_cut_text_moves_the_causal_read_with_it(mini: Adapter) -> None:
    cut = encode("{text} it was {mask}", mini, CAUSAL, "many " * 60, max_length=8)
    assert mini.tokens(cut.token_ids)[-2:] == ["it", "was"]
    assert (len(cut.token_ids), cut.read) == (8, (7,))


def test_the_answer_of_a_causal_model_costs_no_room(mini: Adapter) -> None:
    source = "{text} it was {mask}"
    assert encoder(source, mini, CAUSAL).fixed_tokens == 3
    assert encoder(source, mini, Layout.of(mini, "masked")).fixed_tokens == 5


def test_a_separator_stands_between_two_texts_of_a_masked_model(mini: Adapter) -> None:
    made = encoder("{text}{sep}{text_b}", mini, Layout.of(mini, "masked"), readout="head", mask_slots=0, max_length=8)
    fields = {"text": "a fine long film", "text_b": "it was"}
    assert made.explain(fields) == [
        ("[CLS]", "special"), ("a", "field:text"), ("fine", "field:text"), ("long", "field:text"),
        ("[SEP]", "separator"), ("it", "field:text_b"), ("was", "field:text_b"), ("[SEP]", "special"),
    ]  # fmt: skip
    with pytest.raises(UserError, match=r"column 7: \{sep\} is for a masked model; a causal one has no token"):
        encoder("{text}{sep}{text_b}", mini, CAUSAL, mask_slots=0)


@pytest.mark.parametrize(("written", "count"), [("[SEP]", 1), ("</s>", 2)])
def test_a_separator_that_ends_texts_stands_twice_between_them_as_roberta_has_it(written: str, count: int) -> None:
    tokenizer: Any = SimpleNamespace(cls_id=0, sep_id=2, mask_id=4, pad_id=1, token=lambda id: written)
    assert Layout.of(tokenizer, "masked").between == (2,) * count


def test_a_causal_prompt_explains_itself_without_a_mask(mini: Adapter) -> None:
    rows = encoder("{text} it was {mask}", mini, CAUSAL).explain({"text": "fine"})
    assert rows == [("[CLS]", "special"), ("fine", "field:text"), ("it", "template"), ("was", "template")]


def test_the_space_before_a_causal_answer_belongs_to_it(byte_level: Adapter) -> None:
    made = encoder("{text} It was {mask}", byte_level, BARE)
    (encoded,) = made.encode_many([{"text": "great"}])
    assert byte_level.tokens(encoded.token_ids) == ["great", "ĠIt", "Ġwas"]
    assert (encoded.read, made.template.mask_spacing) == ((2,), "space")


def test_a_causal_answer_stands_behind_something(mini: Adapter) -> None:
    with pytest.raises(UserError, match="here nothing stands before"):
        encode("{text} {mask}", mini, BARE, "")
    assert encode("{text} {mask}", mini, CAUSAL, "").read == (0,)


def test_a_head_does_not_mind_where_the_answer_would_stand(mini: Adapter) -> None:
    assert encode("{mask} {text}", mini, BARE, readout="head", mask_slots=0).read == (2,)
    assert encode("{text} {mask} {mask}", mini, BARE, readout="head", mask_slots=0).read == (2,)


def test_a_causal_layout_opens_with_what_the_tokenizer_opens_with(mini: Adapter) -> None:
    assert Layout.of(mini, "causal") == Layout((mini.cls_id,), (), None, mini.pad_id)
    bare: Any = SimpleNamespace(cls_id=-1, pad_id=0, unk_id=-1, encode=lambda text: [8, 8] if text == "\n\n" else [])
    layout = Layout.of(bare, "causal")
    assert (layout.front, layout.closing) == ((), (8, 8))
    bare.unk_id = 8
    assert Layout.of(bare, "causal").closing == ()


def test_an_empty_line_is_cut_as_it_is_in_front_of_a_word(byte_level: Adapter) -> None:
    """As in "It was\\n\\ngreat", and not as in "It was\\n\\n"."""
    assert byte_level.tokens(byte_level.encode("\n\n")) == ["ĊĊ"]
    assert byte_level.tokens(byte_level.encode("It was\n\ngreat")) == ["It", "Ġwas", "Ċ", "Ċ", "great"]
    assert byte_level.tokens(Layout.of(byte_level, "causal").closing) == ["Ċ", "Ċ"]
    (found,) = encoder("It was\n\n{text} {mask}", byte_level, BARE).encode_many([{"text": "great"}])
    assert list(found.token_ids) == byte_level.encode("It was\n\ngreat")
    (found,) = encoder("{text}\n\n", byte_level, BARE, readout="head", mask_slots=0).encode_many([{"text": "great"}])
    assert list(found.token_ids) == byte_level.encode("great\n\n")


@pytest.mark.parametrize("source", ["{mask} {text}", "{text} It was {mask}."])
def test_a_causal_answer_comes_last(mini: Adapter, source: str) -> None:
    with pytest.raises(UserError, match=r"goes on behind \{mask\}: .* put \{mask\} last"):
        encoder(source, mini, CAUSAL)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(
    words=st.integers(0, 40),
    room=st.integers(6, 30),
    readout=st.sampled_from(["cloze", "head"]),
    causal=st.booleans(),
)
def test_what_is_read_lies_within_the_prompt(
    mini: Adapter, words: int, room: int, readout: str, causal: bool
) -> None:
    layout = CAUSAL if causal else Layout.of(mini, "masked")
    encoded = encode("{text} it was {mask}", mini, layout, "many " * words, readout=readout, max_length=room)
    assert len(encoded.token_ids) <= room
    assert all(0 <= place < len(encoded.token_ids) for place in encoded.read)
    expected = "was" if causal else {"cloze": "[MASK]", "head": "[CLS]"}[readout]
    assert mini.token(encoded.token_ids[encoded.read[0]]) == expected
