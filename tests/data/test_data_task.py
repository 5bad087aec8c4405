"""Task: class indices, fingerprint."""

from __future__ import annotations

from dataclasses import replace

import pytest

from promptkit.data import Example, Task
from promptkit.errors import UserError


def test_an_example_gives_only_the_fields_it_has():
    assert Example("one", "a").fields() == {"text": "one"}
    assert Example("one", "a", "").fields() == {"text": "one", "text_b": ""}


def test_label_index_follows_the_order_of_labels(toy):
    task = replace(toy(), labels=("b", "a"))
    assert [task.label_index(label) for label in ("a", "b")] == [1, 0]


def test_fingerprint_changes_with_any_text_label_order_or_split(toy):
    task = toy(train={"a": 2, "b": 2})
    first, *rest = task.train
    variants = [
        task,
        replace(task, train=(replace(first, text="other"), *rest)),
        replace(task, train=(replace(first, label="b"), *rest)),
        replace(task, train=(replace(first, text_b=""), *rest)),
        replace(task, train=task.train[::-1]),
        replace(task, train=task.train[1:], dev=(first, *task.dev)),
        replace(task, train=task.train[:-1], dev=(task.train[-1], *task.dev)),
    ]
    assert len({variant.fingerprint for variant in variants}) == len(variants)
    assert replace(task, name="renamed").fingerprint == task.fingerprint


def test_fingerprint_is_the_same_on_every_machine(toy):
    assert toy().fingerprint == "785ed79e02015d93"


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ((), "data 'toy' has no label; at least two are needed."),
        (("a",), "data 'toy' has only one label ('a'); at least two are needed."),
        (("a", "b", "a"), "data 'toy' names a label twice: a, b, a."),
        (
            ("a", "c"),
            "data 'toy', train example 2: unknown label 'b'. Known: a, c.",
        ),
    ],
)
def test_labels_no_classifier_could_use_are_refused(toy, labels, message):
    with pytest.raises(UserError) as refusal:
        replace(toy(), labels=labels)
    assert str(refusal.value) == message


def test_an_unknown_label_or_split_is_refused_with_the_near_name():
    example = (Example("x", "positive"), Example("y", "negative"))
    task = Task("toy", ("negative", "positive"), example, example, example)
    with pytest.raises(UserError, match=r"unknown label 'postive'\. Did you mean 'positive'\?"):
        task.label_index("postive")
    with pytest.raises(UserError, match=r"unknown split 'tset'\. Did you mean 'test'\?"):
        task.split("tset")


@pytest.mark.parametrize(("tag", "language"), [("zh", "zh"), ("zh-CN", "zh"), ("zh_Hans_CN", "zh"), (" EN-us", "en")])
def test_of_a_language_tag_the_language_is_kept(toy, tag, language):
    assert replace(toy(), language=tag).language == language


@pytest.mark.parametrize("tag", ["Chinese", "", "z", "zh-", "中文"])
def test_a_language_that_is_no_code_is_refused(toy, tag):
    with pytest.raises(UserError, match="is no code of a language, as en and zh are"):
        replace(toy(), language=tag)
