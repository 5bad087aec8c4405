"""The majority baseline looks at training only, and the test against it is exact."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from promptkit.data import Example, Task
from promptkit.evaluation import majority_label, no_better_than_majority, share_of


def of_labels(labels: str) -> tuple[Example, ...]:
    return tuple(Example("it", label) for label in labels)


def task_of(train: str, test: str) -> Task:
    return Task("it", ("a", "b"), of_labels(train), (), of_labels(test))


def test_majority_is_that_of_training_not_of_the_split_judged() -> None:
    task = task_of("aab", "abbb")
    assert majority_label(task) == "a"
    assert share_of("a", task.test) == 0.25
    assert share_of("b", task.test) == 0.75


def test_a_tie_goes_to_the_first_label_whatever_the_order_of_examples() -> None:
    assert majority_label(task_of("ba", "abb")) == majority_label(task_of("ab", "bba")) == "a"


def test_there_is_no_share_of_nothing() -> None:
    with pytest.raises(ValueError, match="no examples"):
        share_of("a", ())


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
