"""The Pareto front keeps what no other row beats in cost and accuracy at once."""

from __future__ import annotations

from dataclasses import replace

from fake_comparisons import fake_comparison
from hypothesis import given
from hypothesis import strategies as st

from promptkit.analysis import summarise
from promptkit.analysis.front import front
from promptkit.analysis.rows import Row
from promptkit.analysis.statistics import Spread
from promptkit.runs import LearntParameters

ROW = summarise(fake_comparison(strategies=("soft",), baselines=(), shots=(16,), seeds=(0,))).rows[0]


def made(seconds: float, accuracy: float, *, learns: bool = True) -> Row:
    parameters = LearntParameters(prompt=int(learns))
    return replace(ROW, train_seconds=seconds, test=Spread(accuracy, None, 1), parameters=parameters)


def test_golden_front() -> None:
    cheap, good, between, slow = made(1, 0.6), made(5, 0.9), made(3, 0.55), made(9, 0.9)
    assert front([slow, cheap, between, good]) == [cheap, good]


def test_what_learns_nothing_costs_nothing_however_long_it_took() -> None:
    nothing, quick = made(20, 0.7, learns=False), made(1, 0.7)
    assert front([quick, nothing]) == [nothing]


def test_equals_are_all_on_it_and_nothing_has_no_front() -> None:
    one, same = made(2, 0.8), made(2, 0.8)
    assert len(front([one, same])) == 2
    assert front([]) == []


@given(st.lists(st.tuples(st.integers(1, 6), st.integers(0, 6)), min_size=1, max_size=12))
def test_every_other_row_is_beaten_by_one_on_the_front(places: list[tuple[int, int]]) -> None:
    rows = [made(seconds, accuracy / 6) for seconds, accuracy in places]
    best = front(rows)
    for row in rows:
        beaten = any(
            other.learning_seconds <= row.learning_seconds and other.test.mean >= row.test.mean  # type: ignore[operator]
            for other in best
        )
        assert beaten
    assert max(row.test.mean for row in rows) in {row.test.mean for row in best}
