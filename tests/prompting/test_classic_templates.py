"""The templates that teaching material on prompting uses run as they are written."""

from __future__ import annotations

from typing import Any

from promptkit.prompting import Encoder, Template, Verbalizer

CHOICE = "Question: {q} Options: A. {a} B. {b} C. {c} D. {d}. The result is {mask}."


def prompt(source: str, words: str, tokenizer: Any, **fields: str) -> tuple[str, list[list[str]]]:
    """Return the prompt as the model sees it, and the pieces of each class's first word."""
    template, verbalizer = Template.parse(source), Verbalizer.parse(words)
    resolved = verbalizer.resolve(tokenizer, verbalizer.labels, spacing=template.mask_spacing)
    encoder = Encoder(template, tokenizer, mask_slots=resolved.slots, max_length=128)
    encoded = encoder.encode_many([fields])[0]
    assert len(encoded.read) == resolved.slots
    assert all(encoded.token_ids[at] == tokenizer.mask_id for at in encoded.read)
    return " ".join(tokenizer.tokens(encoded.token_ids)), [tokenizer.tokens(group[0]) for group in resolved.pieces]


def test_film_review(mini: Any) -> None:
    seen, words = prompt("{text} It was {mask}.", "1=great; 0=terrible", mini, text="A fine film.")
    assert seen == "[CLS] a fine film . it was [MASK] . [SEP]"
    assert words == [["great"], ["terrible"]]


def test_news_topic(mini: Any) -> None:
    seen, words = prompt(
        "A {mask} News: {text}", "w=world; s=sports; b=business; t=technology", mini, text="The final was close."
    )
    assert seen == "[CLS] a [MASK] news : the final was close . [SEP]"
    assert [word for (word,) in words] == ["world", "sports", "business", "technology"]


def test_entity_typing(mini: Any) -> None:
    seen, _ = prompt(
        "{text} {entity} is a {mask}.", "place=city; human=person", mini, text="She lives in Rome.", entity="Rome"
    )
    assert seen == "[CLS] she lives in rome . rome is a [MASK] . [SEP]"


def test_multiple_choice(mini: Any) -> None:
    fields = {"q": "What is wet?", "a": "Fire", "b": "Water", "c": "Sand", "d": "Glass"}
    seen, words = prompt(CHOICE, "A=A; B=B; C=C; D=D", mini, **fields)
    options = "a . fire b . water c . sand d . glass ."
    assert seen == f"[CLS] question : what is wet ? options : {options} the result is [MASK] . [SEP]"
    assert words == [["a"], ["b"], ["c"], ["d"]]


def test_summary_choice_with_three_masks(mini: Any) -> None:
    words = "win=unwatchable; lose=unbeatable"
    for source in ("{text} In short: {mask}{mask}{mask}.", "{text} In short: {mask}.", "{text} In short: {mask:3}."):
        seen, pieces = prompt(source, words, mini, text="They won.")
        assert seen == "[CLS] they won . in short : [MASK] [MASK] [MASK] . [SEP]"
        assert [len(group) for group in pieces] == [3, 3]


def test_the_longest_field_is_cut_and_named(mini: Any) -> None:
    encoder = Encoder(Template.parse("{q} A. {a} B. {b}. {mask}"), mini, mask_slots=1, max_length=20)
    (cut,) = encoder.encode_many([{"q": "word " * 30, "a": "one two", "b": "three"}])
    assert (cut.cut, cut.dropped) == (("q",), 30 - (20 - 2 - 6 - 3))
    (whole,) = encoder.encode_many([{"q": "word", "a": "one two", "b": "three"}])
    assert whole.cut == ()
