"""Cross-validation: every example is tested once, every class is spread evenly, no text is on two sides."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptkit.data import Example, Task, take_fold
from promptkit.data.classes import note_classes
from promptkit.data.doubles import note_doubles, text_key
from promptkit.data.readers import RawData
from promptkit.data.splits import make_task
from promptkit.errors import UserError
from promptkit.running.settings import parse_fold


def task(counts: dict[str, int], repeats: int = 1) -> Task:
    """A task of so many different texts a class, each there `repeats` times, spread over the splits."""
    rows = [Example(f"{label} {n}", label) for label, count in counts.items() for n in range(count)] * repeats
    return note_doubles(Task("t", tuple(counts), tuple(rows[::3]), tuple(rows[1::3]), tuple(rows[2::3])))


@given(st.integers(2, 6), st.integers(6, 25), st.integers(7, 25), st.integers(1, 3))
def test_every_example_is_tested_once(folds: int, first: int, second: int, repeats: int) -> None:
    whole = task({"a": first, "b": second}, repeats)
    parts = [take_fold(whole, number, folds) for number in range(1, folds + 1)]
    every = Counter((*whole.train, *whole.dev, *whole.test))
    assert Counter(example for part in parts for example in part.test) == every
    for part in parts:
        assert Counter((*part.train, *part.dev, *part.test)) == every
        keys = [{text_key(example) for example in split} for split in (part.train, part.dev, part.test)]
        assert len(set.union(*keys)) == sum(map(len, keys))
    for label in "ab":
        sizes = [sum(example.label == label for example in part.test) for part in parts]
        assert max(sizes) - min(sizes) <= repeats
    totals = [len(part.test) for part in parts]
    assert max(totals) - min(totals) <= repeats


def test_folds_are_the_same_every_time_and_noted() -> None:
    one, again = take_fold(task({"a": 9, "b": 9}), 2, 3), take_fold(task({"a": 9, "b": 9}), 2, 3)
    assert one == again
    assert one.fingerprint != take_fold(task({"a": 9, "b": 9}), 1, 3).fingerprint
    assert one.notes[-1] == "cross-validation: 3 folds of all examples, each tested once; dev is a tenth of the rest"


def test_what_was_said_of_the_old_splits_is_not_repeated() -> None:
    whole = task({"a": 9, "b": 8}, repeats=2)
    assert "in the data's train as well" in whole.cautions[0]
    assert take_fold(whole, 1, 3).cautions == ()


@pytest.mark.parametrize("splits", [("all",), ("train", "test"), ("train", "dev")])
def test_how_the_old_splits_were_made_is_not_repeated(splits: tuple[str, ...]) -> None:
    rows = [tuple(Example(f"{split} {label} {n}", label) for label in "ab" for n in range(9)) for split in splits]
    whole = make_task(RawData("t", dict(zip(splits, rows, strict=True)), notes=("two columns read",)))
    assert len(whole.notes) == 2
    assert [note.split(":")[0] for note in take_fold(whole, 1, 3).notes] == ["two columns read", "cross-validation"]


def test_what_train_lacked_is_not_said_of_a_fold() -> None:
    rows = {
        split: tuple(Example(f"{split} {label} {n}", label) for label in labels for n in range(9))
        for split, labels in (("train", "ab"), ("dev", "ab"), ("test", "abc"))
    }
    whole = note_classes(make_task(RawData("t", rows)))
    assert whole.cautions[0].startswith("train has no example of c ")
    assert take_fold(whole, 1, 3).cautions == ()


@pytest.mark.parametrize(
    ("counts", "folds", "said"),
    [
        ({"a": 9, "b": 2}, 3, "data 't': class 'b' has 2 different texts, too few for 3 folds."),
        ({"a": 9, "b": 2}, 2, "data 't, fold 1 of 2': class 'b' is too small to split: 1 of at least 2."),
    ],
)
def test_data_that_is_too_small(counts: dict[str, int], folds: int, said: str) -> None:
    with pytest.raises(UserError) as caught:
        take_fold(task(counts), 1, folds)
    assert str(caught.value) == said


@pytest.mark.parametrize("value", ["1/1", "0/3", "4/3", "2", "a/b", "1/2/3", 3, (1,), [1, True], "1/-2"])
def test_what_is_no_fold(value: object) -> None:
    with pytest.raises(ValueError, match=r"I/K|K is at least 2"):
        parse_fold(value)
    assert parse_fold(" 2/5 ") == parse_fold([2, 5]) == (2, 5)
    assert parse_fold(None) is None
