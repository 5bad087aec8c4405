from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptkit.errors import UserError
from promptkit.prompting import Template, spaced
from promptkit.prompting.spacing import Spacing
from promptkit.prompting.template import MAX_COUNT, Field, Literal, Mask, Soft, fill_in_fields

if TYPE_CHECKING:
    from conftest import Adapter


def test_every_kind_of_slot_is_read_with_its_column() -> None:
    source = '{soft:3}{text} is {mask:2} {soft:"it\'s"}{text_b}{mask}'
    assert Template.parse(source).parts == (
        Soft(3, None, 1),
        Field("text", 9),
        Literal(" is ", 15),
        Mask(2, 19),
        Literal(" ", 27),
        Soft(None, "it's", 28),
        Field("text_b", 41),
        Mask(None, 49),
    )


def test_blanks_within_a_slot_mean_nothing() -> None:
    parts = Template.parse("{ text }{ mask : 2 }{soft: 'a b' }").parts
    assert parts == (Field("text", 1), Mask(2, 9), Soft(None, "a b", 21))


def test_braces_within_quotes_are_words() -> None:
    assert Template.parse('{soft:"a } {b"}{text}').parts[0] == Soft(None, "a } {b", 1)


def test_doubled_braces_are_literal_ones() -> None:
    assert Template.parse("{{{text}}} {{mask}}").parts == (
        Literal("{", 1),
        Field("text", 3),
        Literal("} {mask}", 9),
    )


@given(st.text())
def test_any_text_is_a_literal_once_its_braces_are_doubled(text: str) -> None:
    escaped = text.replace("{", "{{").replace("}", "}}")
    template = Template.parse(escaped + "{text}")
    assert "".join(part.text for part in template.parts if isinstance(part, Literal)) == text


@given(st.text(alphabet="{}:'\" 019tex_bmasko", max_size=30))
def test_any_source_is_a_template_or_a_user_error(source: str) -> None:
    template = None
    with contextlib.suppress(UserError):
        template = Template.parse(source)
    assert template is None or (str(template) == source and template.fields)


@pytest.mark.parametrize(
    ("source", "column", "said"),
    [
        (
            "hello {a b}",
            7,
            "unknown slot '{a b}'. A field is a word: letters, digits and '_', no digit first; a column of another "
            "name becomes one by --fields NAME='a b'. Write '{{' for a literal brace.",
        ),
        ("hello {text-body}", 7, "a column of another name becomes one by --fields NAME=text-body. Write"),
        ("hello {1}", 7, "unknown slot '{1}'. A field is a word"),
        ("{text} {MASK}", 8, "unknown slot '{MASK}'. Did you mean '{mask}'?"),
        ("{text} {sof:3}", 13, "expected 'first' or 'second' after 'sof:', got '3'. Did you mean '{soft}'?"),
        ('{text} {sft:"a"}', 13, "{sft} takes 'first' or 'second', not words. Did you mean '{soft}'?"),
        ("{text} {mask", 13, "expected ':' or '}' to end the slot that begins at column 8"),
        ("{text} {mask:2", 15, "expected '}' to end the slot that begins at column 8"),
        ("{text} {", 8, "expected a slot"),
        ("{text} {}", 8, "expected a slot"),
        ("{text{mask}", 6, "expected ':' or '}'"),
        ("x {text} } y", 10, "'}' closes nothing"),
        ("{text}{soft}", 12, "needs a count or words"),
        ("{text}{soft:0}", 13, "from 1 to 512, got '0'"),
        ("{text}{soft:513}", 13, "from 1 to 512, got '513'"),
        ("{text}{mask:-1}", 13, "expected a count after 'mask:', got '-1'"),
        ("{text}{mask:}", 13, "expected a count"),
        ("{text}{mask:2 3}", 13, "expected a count after 'mask:', got '2 3'"),
        ("{text}{mask:²}", 13, "expected a count"),
        ('{text}{mask:"a"}', 13, "takes a count, not words"),
        ("{text}{soft:ten}", 13, "expected a count or quoted words after 'soft:', got 'ten'"),
        ('{text}{soft:"It was}', 13, "never closed"),
        ('{text}{soft:"  "}', 13, "expected words between the quotes"),
        ('{text}{soft:"a"b}', 16, "expected '}'"),
        ("{text}{sep:2}", 12, "{sep} takes nothing behind a colon"),
        ("{text:3}", 7, "expected 'first' or 'second' after 'text:', got '3'."),
        ("{text: frist}", 8, "got 'frist'. Did you mean 'first'?"),
        ("{text_b:}", 9, "expected 'first' or 'second' after 'text_b:', got ''."),
        ('{text:"a"}', 7, "{text} takes 'first' or 'second', not words"),
        ("{text:first:2}", 7, "got 'first:2'"),
    ],
)
def test_a_fault_is_shown_at_its_column(source: str, column: int, said: str) -> None:
    with pytest.raises(UserError) as caught:
        Template.parse(source)
    assert str(caught.value).startswith(f"template, column {column}: ")
    assert said in str(caught.value)


@pytest.mark.parametrize("source", ["", "It was {mask}.", "{soft:2}{mask}", "{{text}}"])
def test_a_template_without_a_field_is_refused(source: str) -> None:
    with pytest.raises(UserError, match=r"has no field: write \{text\}, or the name of another"):
        Template.parse(source)


def test_a_count_of_thousands_of_digits_is_a_user_error() -> None:
    with pytest.raises(UserError, match="must be from 1 to 512"):
        Template.parse("{text}{soft:" + "9" * 5000 + "}")


def test_the_largest_count_is_taken() -> None:
    assert Template.parse(f"{{soft:0{MAX_COUNT}}}{{text}}").parts[0] == Soft(MAX_COUNT, None, 1)


def test_templates_are_equal_and_hash_by_source() -> None:
    assert {Template.parse("{text}"), Template.parse("{text}")} == {Template.parse("{text}")}
    assert Template.parse("{text} ") != Template.parse("{text}")


def test_fields_are_listed_in_order_and_repeatedly() -> None:
    assert Template.parse("{text_b}{text}{mask}{text}").fields == ("text_b", "text", "text")


@pytest.mark.parametrize("name", ["question", "a", "_x", "b2", "问题", "entity_1", "texts"])
def test_any_word_is_the_name_of_a_field(name: str) -> None:
    template = Template.parse(f"{{{name}}} {{ {name} : second }} {{mask}}")
    assert template.fields == (name, name)
    assert template.parts[2] == Field(name, len(name) + 4, "second")


@pytest.mark.parametrize(
    ("source", "hint"),
    [
        ("[x] It was [mask].", "{text} for [x], {mask} for [mask]."),
        ("<text> is <mask>", "{text} for <text>, {mask} for <mask>."),
        ("[X1] ? [MASK] , [X2]", "{text} for [X1], {mask} for [MASK], {text_b} for [X2]."),
    ],
)
def test_slots_in_brackets_are_told_that_braces_are_meant(source: str, hint: str) -> None:
    with pytest.raises(UserError, match="has no field") as caught:
        Template.parse(source)
    assert str(caught.value).endswith(f"Slots are written in braces: {hint}")


def test_a_mask_in_brackets_is_told_that_braces_are_meant() -> None:
    with pytest.raises(UserError, match=r"has no \{mask\}.*Slots are written in braces: \{mask\} for <mask>\.$"):
        Template.parse("{text} It was <mask>.").mask_counts(1)
    assert Template.parse("{text} [MASK] {mask}").foreign == "Slots are written in braces: {mask} for [MASK]."
    assert Template.parse("{text} [SEP] {text_b}").foreign == "Slots are written in braces: {sep} for [SEP]."
    assert Template.parse("{text} [sic] <b> {mask} {text_b}").foreign == ""


def test_fields_are_filled_in_where_a_template_says_text() -> None:
    assert fill_in_fields("{text} It was {mask}.", ("q", "a")) == "{q} {a} It was {mask}."
    assert fill_in_fields("{{text}} {text:first}", ("q", "a")) == "{{text}} {text:first}"
    assert fill_in_fields("{text} It was {mask}.", ("q", "a"), "{sep}") == "{q}{sep}{a} It was {mask}."


@pytest.mark.parametrize(
    ("source", "mask", "soft"),
    [("{text}", False, False), ("{text}{mask}", True, False), ("{soft:1}{text}", False, True)],
)
def test_it_is_known_whether_there_are_mask_slots_and_virtual_tokens(source: str, mask: bool, soft: bool) -> None:
    template = Template.parse(source)
    assert (template.has_mask, template.has_soft) == (mask, soft)


@pytest.mark.parametrize(
    ("source", "needed", "counts"),
    [
        ("{text}{mask}", 1, (1,)),
        ("{text}{mask}", 3, (3,)),
        ("{text}{mask:2}", 2, (2,)),
        ("{mask:1}{text}{mask}", 3, (1, 2)),
        ("{mask}{text}{mask}", 2, (1, 1)),
        ("{text}", 0, ()),
        ("{text}{mask}{mask:2}", 0, (1, 2)),
    ],
)
def test_open_masks_take_what_the_label_words_need(source: str, needed: int, counts: tuple[int, ...]) -> None:
    template = Template.parse(source)
    assert template.mask_counts(needed) == counts


@pytest.mark.parametrize(
    ("source", "needed", "total"),
    [
        ("{text}{mask:2}", 1, 2),
        ("{text}{mask:2}", 3, 2),
        ("{mask}{text}{mask}", 3, 2),
        ("{mask:2}{text}{mask}", 2, 3),
    ],
)
def test_slots_that_do_not_come_to_the_need_are_refused(source: str, needed: int, total: int) -> None:
    with pytest.raises(UserError, match=f"has {total} mask slots, but the label words need {needed}"):
        Template.parse(source).mask_counts(needed)


def test_label_words_without_a_mask_are_refused() -> None:
    with pytest.raises(UserError, match=r"has no \{mask\}"):
        Template.parse("{text}").mask_counts(1)


def test_a_soft_prefix_stands_in_front_of_everything() -> None:
    template = Template.parse("{text} It was {mask}.").with_soft_prefix(10)
    assert template == Template.parse("{soft:10}{text} It was {mask}.")
    assert template.with_soft_prefix(3) is template.with_soft_before_mask(3) is template


def test_virtual_tokens_stand_right_before_the_first_mask() -> None:
    assert (
        str(Template.parse("{text} It {mask}: {mask}").with_soft_before_mask(2)) == "{text} It {soft:2}{mask}: {mask}"
    )
    assert str(Template.parse("{text}").with_soft_before_mask(2)) == "{text}"


@pytest.mark.parametrize(
    ("source", "spacing"),
    [
        ("{text} It was {mask}.", "space"),
        ("{text} It was\n{mask}", ""),
        ("{text}{mask}", ""),
        ("{text}{soft:3}{mask}", "word"),
        ("{text} ", ""),
        ("{mask} {text} {mask}", ""),
    ],
)
def test_a_mask_begins_a_word_behind_a_space_or_a_virtual_token(source: str, spacing: str) -> None:
    assert Template.parse(source).mask_spacing == spacing


@pytest.mark.parametrize(
    ("text", "spacing", "found"),
    [
        (" great ", "", "great"), ("great", "space", " great"), ("great", "word", " great"),
        ("很好", "", "很好"), ("很好", "space", " 很好"), ("很好", "word", "很好"), ("「很好」", "word", "「很好」"),
        ("すごい", "word", "すごい"), ("ดีมาก", "word", "ดีมาก"), ("훌륭한", "word", " 훌륭한"), ("，", "word", "，"),
        ("", "space", ""),
    ],
)  # fmt: skip
def test_behind_a_virtual_token_a_space_is_due_where_the_script_writes_any(
    text: str, spacing: Spacing, found: str, byte_level: Adapter
) -> None:
    assert spaced(byte_level, text, spacing) == found


def test_a_tokenizer_that_marks_no_spaces_gets_the_text_as_it_is(mini: Adapter) -> None:
    assert spaced(mini, " great ", "space") == " great "
