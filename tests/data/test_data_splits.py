"""Splits: what a set brings is kept, what is carved is stratified, and draws repeat."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptkit.data import Example, draw_shots, take_fold
from promptkit.data.doubles import text_key
from promptkit.data.readers import DatasetInfo, RawData
from promptkit.data.splits import make_task
from promptkit.errors import UserError


def examples(tag, **counts):
    return tuple(Example(f"{tag} {label} {i}", label) for label, n in counts.items() for i in range(n))


def raw(*, dropped=0, info=None, **splits):
    return RawData("toy", splits, info or DatasetInfo(), dropped)


def counts(split):
    return dict(Counter(example.label for example in split))


def test_three_splits_are_kept_as_they_are():
    splits = {name: examples(name, a=2, b=3) for name in ("train", "dev", "test")}
    task = make_task(raw(**splits))
    assert (task.train, task.dev, task.test) == tuple(splits.values())
    assert task.notes == ()


def test_without_dev_a_tenth_of_each_class_of_train_becomes_dev():
    train, test = examples("train", a=40, b=20), examples("test", a=3, b=3)
    task = make_task(raw(train=train, test=test))
    assert task.test == test
    assert counts(task.dev) == {"a": 4, "b": 2}
    assert sorted(task.train + task.dev, key=train.index) == list(train)
    assert task.notes == ("dev is a tenth of train: the data has no dev set",)


def test_without_test_the_dev_set_judges_and_train_gives_a_new_dev():
    train, dev = examples("train", a=30, b=30), examples("dev", a=5, b=5)
    task = make_task(raw(train=train, dev=dev))
    assert task.test == dev
    assert counts(task.dev) == {"a": 3, "b": 3}
    assert set(task.train) | set(task.dev) == set(train)
    assert task.notes == (
        "the data's dev set is used as test, and dev is a tenth of train: the data has no test set",
    )


@pytest.mark.parametrize("split", ["all", "train"])
def test_data_in_one_piece_is_split_80_10_10_within_each_class(split):
    task = make_task(raw(**{split: examples("x", a=100, b=50)}))
    assert [counts(s) for s in (task.train, task.dev, task.test)] == [
        {"a": 80, "b": 40},
        {"a": 10, "b": 5},
        {"a": 10, "b": 5},
    ]
    assert task.notes == ("split 80/10/10 by label into train, dev and test: the data came in one piece",)


@given(st.dictionaries(st.sampled_from("abcde"), st.integers(3, 60), min_size=2))
def test_carving_loses_and_repeats_no_example_and_keeps_file_order(sizes):
    whole = examples("x", **sizes)
    task = make_task(raw(all=whole))
    assert sorted(task.train + task.dev + task.test, key=whole.index) == list(whole)
    for split in (task.train, task.dev, task.test):
        assert set(counts(split)) == set(sizes)
        assert list(split) == sorted(split, key=whole.index)


def test_carving_is_the_same_on_every_machine():
    task = make_task(raw(all=examples("x", a=10, b=10)))
    assert [example.text for example in task.dev + task.test] == ["x a 4", "x b 2", "x a 6", "x b 9"]


@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 40)), min_size=30, max_size=120))
def test_carving_keeps_all_rows_of_a_text_on_one_side(rows):
    whole = tuple(Example(f"{label}  Text {number}".swapcase(), label) for label, number in rows)
    whole += tuple(Example(f"{label} text {number}", label) for label in "ab" for number in range(3))
    task = make_task(raw(all=whole))
    sides = [{text_key(example) for example in split} for split in (task.train, task.dev, task.test)]
    assert all(one.isdisjoint(other) for one, other in combinations(sides, 2))
    assert Counter(task.train + task.dev + task.test) == Counter(whole)
    for split in (task.train, task.dev, task.test):
        assert set(counts(split)) == {"a", "b"}
    for label in "ab":
        most = max(
            round(counts(whole)[label] / 10), *Counter(text_key(e) for e in whole if e.label == label).values()
        )
        assert all(counts(split)[label] <= most for split in (task.dev, task.test))


def test_texts_that_fill_a_class_leave_something_on_every_side():
    whole = tuple(Example("the same", "a") for _ in range(18)) + examples("x", a=2, b=20)
    task = make_task(raw(all=whole))
    assert [counts(split)["a"] for split in (task.train, task.dev, task.test)] == [18, 1, 1]


def test_a_text_of_two_classes_stands_on_one_side():
    whole = tuple(Example(f"text {i}", label) for label in "ab" for i in range(50))
    task = make_task(raw(all=whole))
    sides = [{example.text for example in split} for split in (task.train, task.dev, task.test)]
    assert sum(map(len, sides)) == 50


@pytest.mark.parametrize(("own", "shared"), [(7, 1), (5, 7), (3, 9)])
def test_texts_that_another_class_has_as_well_leave_a_class_something_on_every_side(own, shared):
    """Dealt to test, a text that the other class has put into train would be all that this one has there."""
    first = examples("x", a=60)
    for turn in range(0, 48, 8):  # other texts, so that some are dealt to dev and some to test
        doubled = tuple(replace(example, label="b") for example in first[turn : turn + shared])
        task = make_task(raw(all=(*first, *doubled, *examples("y", b=own))))
        for split in (task.train, task.dev, task.test):
            assert set(counts(split)) == {"a", "b"}
        for one, other in combinations((task.train, task.dev, task.test), 2):
            assert not {text_key(example) for example in one} & {text_key(example) for example in other}


def test_a_class_of_too_few_texts_of_its_own_is_refused():
    first = examples("x", a=60)
    doubled = tuple(replace(example, label="b") for example in first)
    with pytest.raises(UserError, match="2 of at least 3 texts that no class before it has"):
        [make_task(raw(all=(*first, doubled[turn], *examples("y", b=2)))) for turn in range(48)]


def test_labels_are_sorted_unless_the_card_orders_them():
    data = {name: examples(name, b=1, a=1) for name in ("train", "dev", "test")}
    assert make_task(raw(**data)).labels == ("a", "b")
    assert make_task(raw(**data, info=DatasetInfo(labels=("b", "a")))).labels == ("b", "a")


def test_dropped_examples_are_warned_of():
    data = {"train": examples("x", a=1, b=1), "dev": examples("y", a=1), "test": examples("z", a=1, b=1)}
    task = make_task(raw(**data, dropped=2))
    assert task.cautions == ("2 examples dropped: the text is empty",)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (
            raw(all=examples("x", a=5)),
            "data 'toy' has only one class to learn ('a'); two are needed.",
        ),
        (
            raw(train=examples("x", a=5), test=examples("y", a=1, b=1)),
            "data 'toy' has only one class to learn ('a'); two are needed.",
        ),
        (
            raw(dev=examples("x", a=5, b=5), test=examples("y", a=1, b=1)),
            "data 'toy' has dev and test but no train.",
        ),
        (
            raw(all=examples("x", a=5, b=2)),
            "data 'toy': class 'b' is too small to split: 2 of at least 3.",
        ),
        (
            raw(all=(*examples("x", a=5), Example("One", "b"), Example("one ", "b"), Example("two", "b"))),
            "data 'toy': class 'b' is too small to split: 2 of at least 3 different texts.",
        ),
        (
            raw(train=examples("x", a=5, b=1), test=examples("y", a=1, b=1)),
            "data 'toy': class 'b' is too small to split: 1 of at least 2.",
        ),
        (
            raw(all=examples("x", good=5, bda=5), info=DatasetInfo(labels=("good", "bad"))),
            "data 'toy' has a label its card does not list: unknown label 'bda'. "
            "Did you mean 'bad'? Known: bad, good.",
        ),
        (
            raw(all=examples("x", a=5, b=5), info=DatasetInfo(labels=("a", "b", "c"))),
            "data 'toy': no example has the listed label 'c'.",
        ),
    ],
)
def test_data_that_makes_no_task_is_refused(data, message):
    with pytest.raises(UserError) as refusal:
        make_task(data)
    assert str(refusal.value) == message


def test_a_draw_takes_k_of_each_class_from_train_and_dev_and_leaves_test(toy):
    task = toy(train={"a": 20, "b": 30}, dev={"a": 9, "b": 8}, test={"a": 4, "b": 5})
    drawn = draw_shots(task, 8, seed=0)
    assert counts(drawn.train) == counts(drawn.dev) == {"a": 8, "b": 8}
    assert set(drawn.train) < set(task.train)
    assert set(drawn.dev) < set(task.dev)
    assert drawn.test == task.test
    assert drawn.notes == ()


def test_full_leaves_the_task_as_it_is(toy):
    task = toy()
    assert draw_shots(task, None, seed=3) is task


def test_the_seed_alone_decides_the_draw(toy):
    task = toy(train={"a": 40, "b": 40}, dev={"a": 40, "b": 40})
    assert draw_shots(task, 4, 7) == draw_shots(task, 4, 7)
    draws = [draw_shots(task, 4, seed) for seed in range(5)]
    assert len({draw.train for draw in draws}) == len({draw.dev for draw in draws}) == 5


def test_seed_nought_is_a_seed_like_any_other(toy):
    task = toy(train={"a": 40, "b": 40})
    assert draw_shots(task, 1, 0) == draw_shots(task, 1, 0)
    assert draw_shots(task, 1, 0).train != draw_shots(task, 1, 1).train


def test_a_larger_draw_of_a_seed_holds_its_smaller_ones(toy):
    task = toy(train={"a": 40, "b": 40}, dev={"a": 40, "b": 40})
    small, large = draw_shots(task, 4, 5), draw_shots(task, 16, 5)
    assert set(small.train) < set(large.train)
    assert set(small.dev) < set(large.dev)


def test_a_draw_is_the_same_on_every_machine(toy):
    drawn = draw_shots(toy(train={"a": 9, "b": 9}, dev={"a": 9, "b": 9}), 2, seed=0)
    assert [example.text for example in drawn.train + drawn.dev] == [
        "train a 4",
        "train a 5",
        "train b 2",
        "train b 8",
        "dev a 1",
        "dev a 3",
        "dev b 0",
        "dev b 8",
    ]


def test_a_small_dev_gives_what_it_has_and_says_so(toy):
    task = replace(toy(train={"a": 9, "b": 9}, dev={"a": 2, "b": 5}), notes=("before",))
    drawn = draw_shots(task, 4, seed=0)
    assert counts(drawn.dev) == {"a": 2, "b": 4}
    assert drawn.notes == ("before",)
    assert drawn.cautions == ("dev has fewer than 4 examples of a: all of them are used",)


def test_fewer_shots_and_folds_are_advised_as_far_as_there_are_examples(toy):
    few = toy(train={"a": 5, "b": 1})
    with pytest.raises(
        UserError, match=r"Take at most --shots 1, or all of them in 'promptkit compare --folds 3'\.$"
    ):
        draw_shots(few, 4, 0)
    assert sum(len(take_fold(few, number, 3).test) for number in (1, 2, 3)) == 10
    fewer = toy(train={"a": 5})
    with pytest.raises(UserError, match=r"class 'b' has 0 in train\.$"):
        draw_shots(fewer, 4, 0)


@pytest.mark.parametrize(
    ("shots", "seed", "message"),
    [
        (
            4,
            0,
            "4 shots are more than data 'toy' has: class 'b' has 3 in train. "
            "Take at most --shots 3, or all of them in 'promptkit compare --folds 5'.",
        ),
        (0, 0, "0 shots: at least one example a class is needed."),
        (1, -1, "seed -1: a seed is 0 or more."),
    ],
)
def test_an_impossible_draw_is_refused(toy, shots, seed, message):
    with pytest.raises(UserError) as refusal:
        draw_shots(toy(train={"a": 9, "b": 3}), shots, seed)
    assert str(refusal.value) == message
