"""A limit of dev and test: always the same examples, each class in its share, and what learns is not cut."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from promptkit.data import Example, PairTask, Task, draw_shots, limit_splits


def task(first: int, second: int) -> Task:
    """A task with so many examples of two classes in every split."""

    def split(name: str) -> tuple[Example, ...]:
        rows = [
            Example(f"{name} {label} {n}", label)
            for label, count in (("a", first), ("b", second))
            for n in range(count)
        ]
        return tuple(sorted(rows, key=lambda example: (len(example.text), example.text)))

    return Task("t", ("a", "b"), split("train"), split("dev"), split("test"))


@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 90))
def test_every_class_has_its_share(first: int, second: int, most: int) -> None:
    whole = task(first, second)
    limited = limit_splits(whole, most)
    assert limited.train == whole.train
    for name in ("dev", "test"):
        kept = limited.split(name)
        assert len(kept) == min(most, first + second)
        assert [example for example in whole.split(name) if example in set(kept)] == list(kept)
        counts = Counter(example.label for example in kept)
        assert abs(counts["a"] - len(kept) * first / (first + second)) <= 1


@given(st.integers(1, 60), st.integers(1, 60))
def test_a_higher_limit_holds_a_lower_one(one: int, other: int) -> None:
    low, high = (limit_splits(task(30, 20), most) for most in sorted((one, other)))
    assert set(low.test) <= set(high.test)
    assert set(low.dev) <= set(high.dev)


def test_the_seed_has_no_say_in_what_is_tested() -> None:
    drawn = [limit_splits(draw_shots(task(30, 20), 4, seed), 10) for seed in (0, 1)]
    assert drawn[0].train != drawn[1].train
    assert drawn[0].test == drawn[1].test
    assert [len(each.dev) for each in drawn] == [8, 8]


def test_what_was_cut_is_said() -> None:
    whole = task(30, 20)
    of_test = "test is limited to 40 of its 50 examples"
    assert limit_splits(whole, 40).cautions == ("dev is limited to 40 of its 50 examples", of_test)
    assert limit_splits(draw_shots(whole, 4, 0), 40).cautions == (of_test,)
    assert limit_splits(whole, 50) is whole
    assert limit_splits(whole, None) is whole


def test_pairs_are_limited_too() -> None:
    split = tuple(Example(f"question {n}", f"answer {n}") for n in range(30))
    pairs = PairTask("p", (), split, split[:9], split)
    limited = limit_splits(pairs, 9)
    assert isinstance(limited, PairTask)
    assert len(limited.test) == len(limited.dev) == 9
    assert limited.test != split[:9]


def test_a_class_that_a_split_lacks_is_no_matter() -> None:
    whole = task(30, 20)
    lacking = Task("t", ("a", "b", "c"), (*whole.train, Example("c", "c")), whole.dev, whole.test)
    assert len(limit_splits(lacking, 10).test) == 10
