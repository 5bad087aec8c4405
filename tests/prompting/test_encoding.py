from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from promptkit.errors import UserError
from promptkit.prompting import Encoded, Encoder, Template
from promptkit.prompting.encoder import share_room

if TYPE_CHECKING:
    from conftest import Adapter

FIXTURES_STAY = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)


def encode(source: str, tokenizer: Adapter, *, slots: int = 1, max_length: int = 64, **fields: str) -> Encoded:
    encoder = Encoder(Template.parse(source), tokenizer, mask_slots=slots, max_length=max_length)
    return encoder.encode_many([fields])[0]


def test_golden_ids_of_the_default_model(mini: Adapter) -> None:
    assert encode("{text} It was {mask}.", mini, text="A fine film") == Encoded(
        token_ids=(101, 1037, 2986, 2143, 2009, 2001, 103, 1012, 102),
        virtual_ids=(-1,) * 9,
        read=(6,),
        dropped=0,
        unknown=0,
        field_tokens=3,
    )


def test_virtual_tokens_are_numbered_through_the_template_and_padded_below(mini: Adapter) -> None:
    encoded = encode("{soft:2}{text}{soft:1}{mask}", mini, slots=2, text="film")
    assert encoded.token_ids == (101, 0, 0, 2143, 0, 103, 103, 102)
    assert encoded.virtual_ids == (-1, 0, 1, -1, 2, -1, -1, -1)
    assert encoded.read == (5, 6)


def test_mask_positions_follow_the_template_and_the_text_before_them(mini: Adapter) -> None:
    encoder = Encoder(Template.parse("{mask:1} {text} {mask}"), mini, mask_slots=3, max_length=32)
    short, long = encoder.encode_many([{"text": "film"}, {"text": "a fine film"}])
    assert short.read == (1, 3, 4)
    assert long.read == (1, 5, 6)


def test_words_of_a_soft_slot_give_one_virtual_token_for_each_piece(mini: Adapter) -> None:
    template = Template.parse('{soft:1}{text} {soft:"It was unwatchable"}')
    encoder = Encoder(template, mini, mask_slots=0, max_length=32)
    assert encoder.num_virtual == 6
    assert encoder.virtual_init[0] is None
    assert mini.tokens(encoder.virtual_init[1:]) == ["it", "was", "un", "##watch", "##able"]


def test_words_of_a_soft_slot_outside_the_vocabulary_are_refused(mini: Adapter) -> None:
    with pytest.raises(UserError, match="column 7: the words '好' are not in the model's vocabulary"):
        Encoder(Template.parse('{text}{soft:"好"}'), mini, mask_slots=0, max_length=32)


def test_only_the_field_is_cut_and_from_the_right(mini: Adapter) -> None:
    encoded = encode("{text} It was {mask}.", mini, max_length=8, text="a fine film of many words")
    assert encoded.token_ids == (101, 1037, 2986, 2009, 2001, 103, 1012, 102)
    assert (encoded.field_tokens, encoded.dropped) == (2, 4)
    assert encoded.read == (5,)


def test_a_text_that_just_fits_is_not_cut(mini: Adapter) -> None:
    assert encode("{text} It was {mask}.", mini, max_length=9, text="A fine film").dropped == 0
    assert encode("{text} It was {mask}.", mini, max_length=8, text="A fine film").dropped == 1


def test_of_two_fields_the_longer_is_cut_first(mini: Adapter) -> None:
    encoded = encode("{text}, {text_b}", mini, slots=0, max_length=7, text="a b c d e f", text_b="x")
    assert mini.tokens(encoded.token_ids) == ["[CLS]", "a", "b", "c", ",", "x", "[SEP]"]


def test_a_repeated_field_is_tokenised_once_and_cut_alike(mini: Adapter) -> None:
    encoder = Encoder(Template.parse("{text} {text}"), mini, mask_slots=0, max_length=6)
    mini.calls = 0
    encoded = encoder.encode_many([{"text": "a b c"}])[0]
    assert mini.calls == 1
    assert mini.tokens(encoded.token_ids) == ["[CLS]", "a", "b", "a", "b", "[SEP]"]


def test_fields_are_tokenised_in_one_call_for_all_texts(mini: Adapter) -> None:
    encoder = Encoder(Template.parse("{text} {text_b}"), mini, mask_slots=0, max_length=32)
    mini.calls = 0
    encoder.encode_many([{"text": "a", "text_b": "b"}] * 20)
    assert mini.calls == 2


def one_token_at_a_time(lengths: list[int], room: int) -> list[int]:
    """Devlin et al.'s loop: drop from the longest, the last of equals."""
    kept = list(lengths)
    while sum(kept) > room:
        longest = max(range(len(kept)), key=lambda at: (kept[at], at))
        kept[longest] -= 1
    return kept


@given(st.lists(st.integers(0, 30), min_size=1, max_size=4), st.integers(0, 80))
def test_the_closed_form_equals_dropping_one_token_at_a_time(lengths: list[int], room: int) -> None:
    assert share_room(lengths, room) == one_token_at_a_time(lengths, room)


def test_a_template_that_leaves_no_token_for_a_field_is_refused(mini: Adapter) -> None:
    template = Template.parse("{text} It was {mask}. {text_b}")
    with pytest.raises(UserError, match="takes 6 of at most 7 tokens, which leaves 1 for its 2 fields"):
        Encoder(template, mini, mask_slots=1, max_length=7)
    assert Encoder(template, mini, mask_slots=1, max_length=8).fixed_tokens == 6


def test_a_template_longer_than_the_model_leaves_nothing(mini: Adapter) -> None:
    with pytest.raises(UserError, match="takes 102 of at most 64 tokens, which leaves 0 for its 1 field:"):
        Encoder(Template.parse("{soft:100}{text}"), mini, mask_slots=0, max_length=64)


def test_a_missing_field_is_refused_and_an_empty_one_is_not(mini: Adapter) -> None:
    encoder = Encoder(Template.parse("{text} {text_b}"), mini, mask_slots=0, max_length=32)
    with pytest.raises(UserError, match=r"uses \{text_b\}, but example 2 has only: text"):
        encoder.encode_many([{"text": "a", "text_b": ""}, {"text": "a"}])
    assert encoder.encode_many([{"text": "a", "text_b": ""}])[0].field_tokens == 1


def test_no_texts_give_no_prompts(mini: Adapter) -> None:
    assert Encoder(Template.parse("{text}"), mini, mask_slots=0, max_length=8).encode_many([]) == []


def test_slots_that_do_not_fit_the_label_words_are_refused(mini: Adapter) -> None:
    with pytest.raises(UserError, match="has 2 mask slots, but the label words need 1"):
        Encoder(Template.parse("{text} {mask:2}"), mini, mask_slots=1, max_length=32)


@FIXTURES_STAY
@given(st.text(max_size=60), st.text(max_size=60), st.integers(14, 40))
def test_any_text_leaves_the_template_whole(mini: Adapter, text: str, text_b: str, max_length: int) -> None:
    source = "{soft:2}{text} It was {mask}. {text_b}{soft:1}"
    encoder = Encoder(Template.parse(source), mini, mask_slots=2, max_length=max_length)
    encoded = encoder.encode_many([{"text": text, "text_b": text_b}])[0]
    length = len(encoded.token_ids)
    assert length == len(encoded.virtual_ids) == encoder.fixed_tokens + encoded.field_tokens <= max_length
    assert [v for v in encoded.virtual_ids if v >= 0] == [0, 1, 2]
    assert [encoded.token_ids[at] for at in encoded.read] == [103, 103]
    first = encoded.read[0]
    assert encoded.token_ids[first - 2 : first + 3] == (2009, 2001, 103, 103, 1012)
    whole = sum(map(len, mini.encode_many([text, text_b])))
    assert encoded.field_tokens + encoded.dropped == whole
    assert encoded.dropped == max(0, whole + encoder.fixed_tokens - max_length)


def test_a_space_before_a_field_goes_with_it_where_spaces_are_marked(byte_level: Adapter) -> None:
    spaced = encode("It was {text}", byte_level, slots=0, text="great fun")
    assert byte_level.tokens(spaced.token_ids) == ["<s>", "It", "Ġwas", "Ġgreat", "Ġfun", "</s>"]
    first = encode("{text} It was", byte_level, slots=0, text=" great\n")
    assert byte_level.tokens(first.token_ids) == ["<s>", "great", "ĠIt", "Ġwas", "</s>"]


def test_a_space_before_a_mask_goes_to_the_label_word(byte_level: Adapter) -> None:
    encoder = Encoder(Template.parse("{text} It was {mask}"), byte_level, mask_slots=1, max_length=32)
    assert encoder.template.mask_spacing == "space"
    ids = encoder.encode_many([{"text": "fun"}])[0].token_ids
    assert byte_level.tokens(ids) == ["<s>", "fun", "ĠIt", "Ġwas", "<mask>", "</s>"]


def test_no_space_before_a_mask_means_none_for_the_label_word() -> None:
    assert not Template.parse("{text}{mask}").mask_spacing


def test_words_of_a_soft_slot_carry_the_space_before_them(byte_level: Adapter) -> None:
    template = Template.parse("{soft:'It was'}{text} {soft:'It was'}")
    encoder = Encoder(template, byte_level, mask_slots=0, max_length=32)
    assert byte_level.tokens(encoder.virtual_init) == ["It", "Ġwas", "ĠIt", "Ġwas"]


def test_an_empty_field_adds_no_lone_space(byte_level: Adapter) -> None:
    assert encode("It was {text}", byte_level, slots=0, text="  ").field_tokens == 0


def test_the_prompt_reads_as_the_plain_sentence_does(byte_level: Adapter) -> None:
    encoded = encode("It was {text} It was", byte_level, slots=0, text="great fun")
    assert list(encoded.token_ids[1:-1]) == byte_level.encode("It was great fun It was")


def test_chinese_with_its_unknown_characters_counted(chinese: Adapter) -> None:
    encoded = encode("{text}。总之很{mask}。", chinese, slots=2, text="这部电影味道怪")
    assert chinese.tokens(encoded.token_ids) == [
        *["[CLS]", *"这部电影味道", "[UNK]", *"。总之很"],
        *["[MASK]", "[MASK]", "。", "[SEP]"],
    ]
    assert (encoded.unknown, encoded.field_tokens) == (1, 7)


def test_unknown_pieces_that_were_cut_are_not_counted(chinese: Adapter) -> None:
    encoded = encode("{text}{mask}", chinese, max_length=5, text="很好怪怪")
    assert (encoded.unknown, encoded.field_tokens, encoded.dropped) == (0, 2, 2)


def test_unknown_pieces_of_the_template_are_counted_apart(mini: Adapter, chinese: Adapter) -> None:
    template = Template.parse("{text}总之很{mask}")
    assert Encoder(template, mini, mask_slots=1, max_length=32).template_unknown == 2
    assert Encoder(template, chinese, mask_slots=1, max_length=32).template_unknown == 0


def test_explain_gives_a_row_for_every_position_that_is_encoded(mini: Adapter) -> None:
    template = Template.parse('{soft:1}{soft:"It"}{text} was {mask}.')
    encoder = Encoder(template, mini, mask_slots=1, max_length=10)
    fields = {"text": "an unwatchable film"}
    assert encoder.explain(fields) == [
        ("[CLS]", "special"),
        ("[V0]", "virtual"),
        ("[V1=it]", "virtual"),
        ("an", "field:text"),
        ("un", "field:text"),
        ("##watch", "field:text"),
        ("was", "template"),
        ("[MASK]", "mask"),
        (".", "template"),
        ("[SEP]", "special"),
    ]
    assert len(encoder.encode_many([fields])[0].token_ids) == 10


def test_prompting_needs_no_mindspore() -> None:
    code = "import sys, promptkit.prompting; sys.exit('mindspore' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
