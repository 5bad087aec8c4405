"""The majority baseline looks at training only, and the test against it is exact."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from promptkit.evaluation import majority_accuracy, majority_label, no_better_than_majority


@dataclass(frozen=True)
class Labelled:
    label: str


@dataclass(frozen=True)
class Splits:
    labels: tuple[str, ...]
    train: tuple[Labelled, ...]
    dev: tuple[Labelled, ...]
    test: tuple[Labelled, ...]


def splits(train: str, dev: str, test: str) -> Splits:
    parts = [tuple(Labelled(label) for label in part) for part in (train, dev, test)]
    return Splits(tuple(sorted(set(train))), *parts)


def test_majority_is_that_of_training_not_of_the_split_judged() -> None:
    task = splits(train="aab", dev="ab", test="abbb")
    assert majority_accuracy(task) == 0.25
    assert majority_accuracy(task, "dev") == 0.5
    assert majority_accuracy(task, "train") == 2 / 3


def test_a_tie_goes_to_the_first_label_whatever_the_order_of_examples() -> None:
    assert majority_accuracy(splits("ba", "", "abb")) == majority_accuracy(splits("ab", "", "bba")) == 1 / 3


def test_another_answer_may_be_given_for_a_draw_is_a_tie() -> None:
    whole, drawn = splits("abb", "", "abbb"), splits("ab", "", "abbb")
    assert majority_accuracy(drawn, answer=majority_label(whole)) == majority_accuracy(whole) == 0.75
    assert majority_accuracy(drawn) == 0.25


def test_an_empty_split_has_no_baseline() -> None:
    with pytest.raises(ValueError, match="dev split is empty"):
        majority_accuracy(splits("ab", "", "ab"), "dev")


def test_golden_verdicts() -> None:
    # P(X >= 8) = 56/1024 = 0.0547 and P(X >= 9) = 11/1024 = 0.0107 for X ~ Binomial(10, 1/2).
    assert no_better_than_majority(8, 10, 0.5)
    assert not no_better_than_majority(9, 10, 0.5)
    # Nothing beats a majority that is always right; no answers prove nothing.
    assert no_better_than_majority(10, 10, 1.0)
    assert no_better_than_majority(0, 0, 0.5)
    assert not no_better_than_majority(1, 1, 0.0)


@settings(deadline=None)
@given(st.integers(1, 60).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), st.floats(0.05, 0.95))
def test_verdict_is_that_of_the_summed_binomial_tail(answers: tuple[int, int], majority: float) -> None:
    correct, total = answers
    terms = (math.comb(total, k) * majority**k * (1 - majority) ** (total - k) for k in range(correct, total + 1))
    tail = math.fsum(terms)
    if abs(tail - 0.05) > 1e-9:
        assert no_better_than_majority(correct, total, majority) == (tail > 0.05)


@pytest.mark.parametrize(("correct", "total", "majority"), [(-1, 2, 0.5), (3, 2, 0.5), (1, 2, 1.5)])
def test_impossible_counts_are_a_programming_error(correct: int, total: int, majority: float) -> None:
    with pytest.raises(ValueError, match="no test for"):
        no_better_than_majority(correct, total, majority)
