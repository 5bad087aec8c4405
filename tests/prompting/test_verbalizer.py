from __future__ import annotations

import math
import shlex
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from promptkit.errors import UserError
from promptkit.prompting import ResolvedVerbalizer, Template, Verbalizer, default_words, explain_words
from promptkit.prompting.resolved import resolve_prompt

if TYPE_CHECKING:
    from conftest import Adapter

SOURCE = "positive=great,wonderful; negative=terrible,bad"
LABELS = ("negative", "positive")


def test_labels_and_words_are_read_in_order() -> None:
    verbalizer = Verbalizer.parse(SOURCE)
    assert verbalizer.labels == ("positive", "negative")
    assert verbalizer.words == {"positive": ("great", "wonderful"), "negative": ("terrible", "bad")}


@pytest.mark.parametrize(
    "source",
    [
        " positive = great , wonderful ;\n negative= terrible,bad; ",
        "positive=great,wonderful\nnegative=terrible,bad\n",
        "positive＝great，wonderful；negative＝terrible，bad",
        "positive=great,,wonderful,;;negative=terrible,bad",
    ],
)
def test_blanks_line_ends_and_full_width_signs_change_nothing(source: str) -> None:
    assert Verbalizer.parse(source) == Verbalizer.parse(SOURCE)


def test_source_is_read_back_as_the_same_verbalizer() -> None:
    verbalizer = Verbalizer.parse("正面=很 好,满意 ; 负面=失望")
    assert str(verbalizer) == verbalizer.source == "正面=很 好,满意; 负面=失望"
    assert Verbalizer.parse(verbalizer.source) == verbalizer


def test_a_mapping_gives_the_same_as_its_source() -> None:
    given = {"positive": ["great", "wonderful"], "negative": ("terrible", " bad ")}
    assert Verbalizer.from_mapping(given) == Verbalizer.parse(SOURCE)
    assert Verbalizer.from_mapping({"a": "x", "b": "y"}) == Verbalizer.parse("a=x;b=y")


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("", "at least two classes, got 0"),
        ("positive=great", "at least two classes, got 1"),
        ("positive great; negative=bad", "expected label=word,word in 'positive great'"),
        ("=great; negative=bad", "the words 'great' have no label"),
        ("positive=; negative=bad", "the label 'positive' has no words"),
        ("positive= , ; negative=bad", "the label 'positive' has no words"),
        ("a=x; a=y", "the label 'a' stands there twice"),
        ("a=x,y; b=z,x", "the label word 'x' stands for 'a' and 'b'"),
        ("a=x,x; b=z", "the label word 'x' stands for 'a' twice"),
        ("a=x=y; b=z", "in 'a=x=y'; what holds '=', ',', ';' or an end of line goes into double quotes"),
        ("a,b=x; c=z", "in 'a,b=x'; what holds"),
        ('"a,b=x; c=z', "the double quote at '\"a,b=x; c=z' is not closed"),
        ('"a" b=x; c=z', "or more stands behind the closing one"),
        ('a=""; c=z', "the label 'a' has no words, or an empty one"),
        ('""=x; c=z', "the words 'x' have no label"),
        ('""; a=x; c=z', "expected label=word,word in '\"\"'"),
    ],
)
def test_what_is_no_verbalizer_is_refused(source: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        Verbalizer.parse(source)


def test_a_single_class_is_told_which_labels_of_the_data_lack_words():
    said = "verbalizer 'avoid=bad' has no words for 'good', 'so-so'. Labels of the data: avoid, good, so-so."
    with pytest.raises(UserError) as refusal:
        Verbalizer.parse("avoid=bad", ("avoid", "good", "so-so"))
    assert str(refusal.value) == said
    with pytest.raises(UserError, match="at least two classes, got 1"):
        Verbalizer.parse("other=bad", ("avoid", "good"))


def test_double_quotes_hold_separators_line_ends_and_doubled_quotes() -> None:
    verbalizer = Verbalizer.parse('"so, so"＝ "okay; fine" ,"=" ;"a ""b""\nc"=5" disk\n neg="，"')
    assert verbalizer.classes == (
        ("so, so", ("okay; fine", "=")),
        ('a "b"\nc', ('5" disk',)),
        ("neg", ("，",)),
    )
    assert str(verbalizer) == '"so, so"="okay; fine","="; "a ""b""\nc"=5" disk; neg="，"'


names = st.text(alphabet=st.sampled_from("ab=,;\"\n＝，； \t\r\\'é好"), min_size=1) | st.text(min_size=1)


@given(st.lists(st.tuples(names, st.lists(names, min_size=1, max_size=3)), min_size=2, max_size=4))
def test_any_verbalizer_is_read_back_from_its_source(classes: list[tuple[str, list[str]]]) -> None:
    pairs = tuple((label, tuple(group)) for label, group in classes)
    words = [word for _, group in pairs for word in group]
    assume(len(set(words)) == len(words) and len(dict(pairs)) == len(pairs))
    verbalizer = Verbalizer(pairs)
    assert Verbalizer.parse(str(verbalizer)) == verbalizer
    assert Verbalizer.parse(f" {verbalizer} ;\n") == verbalizer


@given(st.text())
def test_any_text_is_a_verbalizer_or_refused_in_one_line(source: str) -> None:
    try:
        verbalizer = Verbalizer.parse(source)
    except UserError:
        return
    assert Verbalizer.parse(str(verbalizer)) == verbalizer


@pytest.mark.parametrize("labels", [("pos", "neg"), ("a,b", "c;d"), ("x=1", "it's"), ('"q"', "two words")])
def test_the_option_that_an_error_advises_is_accepted(mini: Adapter, labels: tuple[str, ...]) -> None:
    with pytest.raises(UserError, match="no label words are known") as caught:
        resolve_prompt(
            Template.parse("{text} {mask}"), None, labels=labels, tokenizer=mini, readout="cloze", slots="same",
            max_length=40, rng=np.random.default_rng(0),
        )  # fmt: skip
    advice = str(caught.value).partition("give ")[2].rpartition(", or choose")[0]
    option, source = shlex.split(advice)
    assert option == "--verbalizer"
    assert Verbalizer.parse(source.replace("WORD", "good", 1).replace("WORD", "bad")).labels == labels


def test_classes_come_in_the_order_of_the_data(mini: Adapter) -> None:
    resolved = Verbalizer.parse(SOURCE).resolve(mini, LABELS)
    assert resolved.labels == LABELS
    assert resolved.words == (("terrible", "bad"), ("great", "wonderful"))
    assert [[mini.tokens(ids) for ids in group] for group in resolved.pieces] == [
        [["terrible"], ["bad"]],
        [["great"], ["wonderful"]],
    ]
    assert resolved.slots == 1
    assert resolved.rows == tuple(sorted(mini.encode("terrible bad great wonderful")))


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (
            ("negative", "neutral", "positive"),
            "has no words for 'neutral'. Labels of the data: negative, neutral",
        ),
        (("positive",), "has words for 'negative', which the data does not have"),
        (("neg", "positive"), "no words for 'neg' and words for 'negative', .* Did you mean 'neg'?"),
    ],
)
def test_labels_must_be_those_of_the_data(mini: Adapter, labels: tuple[str, ...], said: str) -> None:
    with pytest.raises(UserError, match=said):
        Verbalizer.parse(SOURCE).resolve(mini, labels)


@pytest.mark.parametrize("rule", ["same", "first", "mean"])
def test_a_word_outside_the_vocabulary_is_refused(mini: Adapter, rule: str) -> None:
    with pytest.raises(UserError, match="label word '好' is not in the model's vocabulary"):
        Verbalizer.parse("positive=great,好; negative=bad").resolve(mini, LABELS, rule=rule)  # type: ignore[arg-type]


def test_words_of_different_lengths_are_listed_with_their_pieces(mini: Adapter) -> None:
    with pytest.raises(UserError) as caught:
        Verbalizer.parse("positive=great; negative=unwatchable").resolve(mini, LABELS)
    assert str(caught.value) == (
        "label words take different numbers of mask slots: "
        "unwatchable = un ##watch ##able (3), great = great (1). "
        "Choose other words, or a rule: --slots first or --slots mean."
    )


def test_words_of_the_same_length_need_no_rule(chinese: Adapter) -> None:
    resolved = Verbalizer.parse("好评=满意,不错; 差评=失望,难吃").resolve(chinese, ("好评", "差评"))
    assert resolved.slots == 2
    assert [chinese.tokens(ids) for ids in resolved.pieces[0]] == [["满", "意"], ["不", "错"]]
    assert len(resolved.rows) == 8


def test_first_reads_one_slot_at_the_first_piece(mini: Adapter) -> None:
    resolved = Verbalizer.parse("positive=great; negative=unwatchable").resolve(mini, LABELS, rule="first")
    assert resolved.slots == 1
    assert mini.tokens(ids[0] for group in resolved.pieces for ids in group) == ["un", "great"]


def test_first_refuses_classes_that_share_their_first_piece(chinese: Adapter) -> None:
    verbalizer = Verbalizer.parse("a=很好,满意; b=很差")
    with pytest.raises(UserError, match=r"'很好' \(a\) and '很差' \(b\) are read as the same piece '很'"):
        verbalizer.resolve(chinese, ("a", "b"), rule="first")
    with pytest.raises(UserError, match="'很好'"):
        Verbalizer.parse("a=满意,很好; b=很").resolve(chinese, ("a", "b"), rule="first")


@pytest.mark.parametrize("rule", ["same", "mean"])
def test_words_that_differ_in_letter_case_only_cannot_be_two_classes(mini: Adapter, rule: str) -> None:
    with pytest.raises(UserError, match="are read as the same piece 'great'"):
        Verbalizer.parse("a=Great; b=great").resolve(mini, ("a", "b"), rule=rule)  # type: ignore[arg-type]


def test_a_label_word_behind_a_space_is_another_piece_where_spaces_are_marked(byte_level: Adapter) -> None:
    verbalizer = Verbalizer.parse("positive=great; negative=terrible")
    spaced = verbalizer.resolve(byte_level, LABELS)
    bare = verbalizer.resolve(byte_level, ("positive", "negative"), rule="first", spacing="")
    assert set(byte_level.tokens(spaced.rows)) == {"Ġgreat", "Ġterrible"}
    assert byte_level.token(bare.pieces[0][0][0]) == "great"


def test_a_space_means_nothing_to_word_pieces(mini: Adapter) -> None:
    verbalizer = Verbalizer.parse(SOURCE)
    assert verbalizer.resolve(mini, LABELS) == verbalizer.resolve(mini, LABELS, spacing="")


def by_definition(resolved: ResolvedVerbalizer, scores: np.ndarray) -> np.ndarray:
    """Class scores (B, C) of piece scores (B, M, R), word by word."""
    rows = list(resolved.rows)
    out = np.zeros((len(scores), len(resolved.labels)))
    for row, example in enumerate(scores):
        for index, group in enumerate(resolved.pieces):
            of_words = []
            for ids in group:
                at_slots = [example[slot, rows.index(piece)] for slot, piece in enumerate(ids)]
                of_words.append(sum(at_slots) / (len(ids) if resolved.rule == "mean" else 1))
            out[row, index] = sum(of_words) / len(of_words)
    return out


CASES = [
    ("mini", SOURCE, LABELS, "same"),
    ("chinese", "a=满意,很好; b=失望,难吃,很差", ("a", "b"), "same"),
    ("chinese", "a=好好; b=差好", ("a", "b"), "same"),
    ("mini", "a=great,unwatchable; b=bad; c=film,a heartwarming film", ("c", "a", "b"), "mean"),
    ("mini", "a=great,heartwarming; b=unwatchable", ("a", "b"), "first"),
]


@pytest.fixture(params=CASES, ids=lambda case: f"{case[3]}: {case[1]}")
def resolved(request: pytest.FixtureRequest) -> ResolvedVerbalizer:
    fixture, source, labels, rule = request.param
    return Verbalizer.parse(source).resolve(request.getfixturevalue(fixture), labels, rule=rule)


def random_scores(resolved: ResolvedVerbalizer) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(3, resolved.slots, len(resolved.rows)))


def test_the_selection_is_the_definition_as_a_matrix(resolved: ResolvedVerbalizer) -> None:
    scores = random_scores(resolved)
    selection = np.array(resolved.selection())
    assert selection.shape == (resolved.slots * len(resolved.rows), len(resolved.labels))
    np.testing.assert_allclose(scores.reshape(3, -1) @ selection, by_definition(resolved, scores), atol=1e-12)


def test_a_normaliser_cancels_between_classes_exactly_where_it_is_said_to(
    resolved: ResolvedVerbalizer,
) -> None:
    scores = random_scores(resolved)
    shifted = scores + np.random.default_rng(1).normal(size=(3, resolved.slots, 1))
    selection = np.array(resolved.selection())
    before, after = (given.reshape(3, -1) @ selection for given in (scores, shifted))
    moved = (after - after[:, :1]) - (before - before[:, :1])
    assert (np.abs(moved).max() > 1e-3) == resolved.needs_normalising


def test_two_slots_multiply_the_probabilities(chinese: Adapter) -> None:
    resolved = Verbalizer.parse("a=满意; b=失望").resolve(chinese, ("a", "b"))
    probability = {"满": (0.5, 0.1), "意": (0.2, 0.25), "失": (0.3, 0.1), "望": (0.1, 0.5)}
    scores = [math.log(probability[chinese.token(row)][slot]) for slot in range(2) for row in resolved.rows]
    assert np.exp(np.array(scores) @ np.array(resolved.selection())) == pytest.approx([0.5 * 0.25, 0.3 * 0.5])


@pytest.mark.parametrize(
    ("labels", "language", "expected"),
    [
        (("negative", "positive"), "en", "positive=great; negative=terrible"),
        (("0", "1"), "en", "1=great; 0=terrible"),
        (("Neg", "Pos"), "en", "Pos=great; Neg=terrible"),
        (("差评", "好评"), "zh", "好评=好; 差评=差"),
        (("negative", "positive"), "zh", "positive=好; negative=差"),
    ],
)
def test_plain_sentiment_labels_have_default_words(labels: tuple[str, ...], language: str, expected: str) -> None:
    assert str(default_words(labels, language)) == expected


@pytest.mark.parametrize(
    ("labels", "language"),
    [
        (("sports", "politics"), "en"),
        (("negative", "neutral", "positive"), "en"),
        (("positive", "0"), "en"),
        (("POS", "pos"), "en"),
        (("negative", "positive"), "de"),
    ],
)
def test_other_labels_and_languages_have_none(labels: tuple[str, ...], language: str) -> None:
    assert default_words(labels, language) is None


def test_explaining_words_shows_unknown_pieces_too(mini: Adapter) -> None:
    assert explain_words(mini, Verbalizer.parse("a=great,好; b=unwatchable"), True) == [
        ("a", "great", ["great"]),
        ("a", "好", ["[UNK]"]),
        ("b", "unwatchable", ["un", "##watch", "##able"]),
    ]


def test_explaining_words_marks_the_space(byte_level: Adapter) -> None:
    rows = explain_words(byte_level, Verbalizer.parse("a=great; b=fun"), "word")
    assert [pieces for _, _, pieces in rows] == [["Ġgreat"], ["Ġfun"]]
