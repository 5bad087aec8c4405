"""Intervals and p values are those of their definitions, never 0, and hold what they promise."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from promptkit.analysis.statistics import Difference, Spread, holm, paired_bootstrap, sign_flips, spread

Right = np.ndarray[Any, np.dtype[np.bool_]]


def drawn(runs: int, examples: int, accuracy: float, seed: int) -> Right:
    return np.random.default_rng(seed).random((runs, examples)) < accuracy


def all_outcomes(ours: Right, theirs: Right, paired: bool) -> list[float]:
    """Return every difference that resampling can give, equally likely all, by writing every resample out."""
    runs, others, examples = len(ours), len(theirs), ours.shape[1]
    found = []
    for columns in itertools.product(range(examples), repeat=examples):
        for seeds in itertools.product(range(runs), repeat=runs):
            for other_seeds in [seeds] if paired else itertools.product(range(others), repeat=others):
                mine = sum(int(ours[s, n]) for s in seeds for n in columns) / (runs * examples)
                other = sum(int(theirs[s, n]) for s in other_seeds for n in columns) / (others * examples)
                found.append(mine - other)
    return found


def slow_bootstrap(ours: Right, theirs: Right, resamples: int) -> list[float]:
    """Return the differences of paired resamples drawn one seed and one example at a time."""
    rng = np.random.default_rng(99)
    runs, examples = ours.shape
    found = []
    for _ in range(resamples):
        seeds = [int(rng.integers(runs)) for _ in range(runs)]
        columns = [int(rng.integers(examples)) for _ in range(examples)]
        won = sum(int(ours[s, n]) - int(theirs[s, n]) for s in seeds for n in columns)
        found.append(won / (runs * examples))
    return found


def test_spread_is_the_mean_and_the_sample_deviation() -> None:
    assert spread([0.6, 0.7, 0.8]) == Spread(pytest.approx(0.7), pytest.approx(0.1), 3)
    assert spread([0.5]) == Spread(0.5, None, 1)
    assert spread([0.7] * 3) == Spread(0.7, 0.0, 3)
    with pytest.raises(ValueError, match="no values"):
        spread([])


@given(st.lists(st.floats(0, 1), min_size=2, max_size=20))
def test_spread_agrees_with_numpy(values: list[float]) -> None:
    found = spread(values)
    assert found.mean == pytest.approx(float(np.mean(values)))
    assert found.std == pytest.approx(float(np.std(values, ddof=1)), abs=1e-9)


@pytest.mark.parametrize(
    ("ours", "theirs", "same_seeds"),
    [
        ([[1, 1, 1, 0]], [[1, 0, 0, 0]], True),
        ([[1, 1, 0], [1, 0, 1]], [[0, 1, 0], [1, 0, 0]], True),
        ([[1, 1, 0], [1, 0, 1]], [[0, 1, 0], [1, 0, 0]], False),
        ([[1, 1, 0], [1, 0, 1]], [[0, 1, 0]], True),
        ([[0, 0, 1]], [[0, 1, 0], [1, 1, 0], [1, 1, 1]], True),
    ],
)
def test_bootstrap_has_the_distribution_of_all_resamples(
    ours: list[list[int]], theirs: list[list[int]], same_seeds: bool
) -> None:
    mine, other = np.array(ours, dtype=bool), np.array(theirs, dtype=bool)
    outcomes = np.array(all_outcomes(mine, other, same_seeds and len(mine) == len(other)))
    found = paired_bootstrap(mine, other, same_seeds=same_seeds, resamples=40_000)
    tail = min((outcomes <= 1e-12).mean(), (outcomes >= -1e-12).mean())
    assert found.mean == pytest.approx(mine.mean() - other.mean())
    assert found.p == pytest.approx(min(1.0, 2 * tail), abs=0.015)
    # An end may fall on either side of a step of the distribution, so each must be a quantile near its level.
    for end, level in ((found.low, 0.025), (found.high, 0.975)):
        assert (outcomes < end - 1e-9).mean() <= level + 0.01
        assert (outcomes <= end + 1e-9).mean() >= level - 0.01


def test_bootstrap_agrees_with_a_slow_loop() -> None:
    ours, theirs = drawn(3, 60, 0.75, seed=1), drawn(3, 60, 0.6, seed=2)
    slow = np.array(slow_bootstrap(ours, theirs, resamples=1500))
    fast = paired_bootstrap(ours, theirs)
    assert fast.low == pytest.approx(float(np.quantile(slow, 0.025)), abs=0.02)
    assert fast.high == pytest.approx(float(np.quantile(slow, 0.975)), abs=0.02)
    assert fast.p == pytest.approx(2 * min((slow <= 0).mean(), (slow >= 0).mean()), abs=0.03)


def test_bootstrap_repeats_and_does_not_mind_the_order_of_examples_or_of_paired_seeds() -> None:
    ours, theirs = drawn(3, 200, 0.7, seed=3), drawn(3, 200, 0.65, seed=4)
    found = paired_bootstrap(ours, theirs)
    order = np.random.default_rng(5).permutation(200)
    assert paired_bootstrap(ours, theirs) == found
    assert paired_bootstrap(ours[:, order], theirs[:, order]) == found
    turned = paired_bootstrap(ours[::-1], theirs[::-1])
    assert (turned.low, turned.high, turned.p) == pytest.approx((found.low, found.high, found.p), abs=0.02)
    assert paired_bootstrap(ours, theirs, seed=1) != found


def test_sides_that_are_the_same_differ_by_nothing() -> None:
    ours = drawn(3, 100, 0.7, seed=6)
    assert paired_bootstrap(ours, ours) == Difference(0.0, 0.0, 0.0, 1.0)
    assert sign_flips(ours[0], ours[0]) == 1.0


def test_one_run_of_the_other_side_is_the_same_as_that_run_for_every_seed() -> None:
    ours, theirs = drawn(3, 200, 0.7, seed=7), drawn(1, 200, 0.6, seed=8)
    single, repeated = paired_bootstrap(ours, theirs), paired_bootstrap(ours, np.repeat(theirs, 3, axis=0))
    for name in ("mean", "low", "high", "p"):
        assert getattr(single, name) == pytest.approx(getattr(repeated, name), abs=0.01)


def test_pairing_by_seed_takes_out_what_both_sides_share() -> None:
    # Seed s spoils 20 s examples of both sides; ours is better by ten examples in every seed.
    theirs = np.array([np.arange(200) >= 20 * s + 10 for s in range(4)])
    ours = np.array([np.arange(200) >= 20 * s for s in range(4)])
    paired, unpaired = paired_bootstrap(ours, theirs), paired_bootstrap(ours, theirs, same_seeds=False)
    assert paired.mean == unpaired.mean == pytest.approx(0.05)
    assert paired.high - paired.low < (unpaired.high - unpaired.low) / 2


def test_the_interval_touches_zero_where_p_is_five_per_cent() -> None:
    found = [paired_bootstrap(drawn(1, 300, 0.7, seed=s), drawn(1, 300, 0.62, seed=s + 100)) for s in range(30)]
    assert {each.p < 0.05 for each in found} == {True, False}
    for each in found:
        if abs(each.p - 0.05) > 0.01:
            assert (each.p < 0.05) == (each.low > 0 or each.high < 0)


def test_p_is_never_zero() -> None:
    everything, nothing = np.ones((2, 5000), dtype=bool), np.zeros((2, 5000), dtype=bool)
    assert paired_bootstrap(everything, nothing) == Difference(1.0, 1.0, 1.0, pytest.approx(2 / 10_001))
    assert 0 < sign_flips(everything[0], nothing[0]) < 1e-300


@pytest.mark.parametrize(("runs", "truth"), [(1, 0.0), (3, 0.06)])
def test_coverage_of_the_interval_on_simulated_data(runs: int, truth: float) -> None:
    rng = np.random.default_rng(12)
    held = 0
    for trial in range(200):
        hard = rng.random(150)
        # The same hard examples trouble both sides, so their answers hang together.
        ours = rng.random((runs, 150)) < np.clip(1.2 + truth - hard, 0.2 + truth, 0.8 + truth)
        theirs = rng.random((1, 150)) < np.clip(1.2 - hard, 0.2, 0.8)
        found = paired_bootstrap(ours, theirs, resamples=500, seed=trial)
        held += found.low <= truth <= found.high
    assert 0.90 <= held / 200 <= 0.995


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (np.ones((2, 3), dtype=bool), np.ones((2, 4), dtype=bool)),
        (np.ones((1, 0), dtype=bool), np.ones((1, 0), dtype=bool)),
        (np.ones((2, 3)), np.ones((2, 3))),
    ],
)
def test_sides_that_cannot_be_paired_are_a_programming_error(ours: Any, theirs: Any) -> None:
    with pytest.raises(ValueError, match=r"cannot be paired|must be bool"):
        paired_bootstrap(ours, theirs)
    with pytest.raises(ValueError, match=r"cannot be paired|must be bool"):
        sign_flips(ours, theirs)


def by_enumeration(ours: Right, theirs: Right) -> float:
    """p of sign flips by writing all of them out."""
    gains = ours.mean(0) - theirs.mean(0)
    flips = itertools.product((1, -1), repeat=len(gains))
    sums = [sum(sign * gain for sign, gain in zip(signs, gains, strict=True)) for signs in flips]
    return sum(abs(each) >= abs(gains.sum()) - 1e-9 for each in sums) / len(sums)


@pytest.mark.parametrize(("runs", "others"), [(1, 1), (3, 3), (3, 1), (1, 2), (2, 3)])
@pytest.mark.parametrize("seed", range(4))
def test_sign_flips_are_all_of_them(runs: int, others: int, seed: int) -> None:
    ours, theirs = drawn(runs, 9, 0.8, seed), drawn(others, 9, 0.4, seed + 100)
    assert sign_flips(ours, theirs) == pytest.approx(by_enumeration(ours, theirs), abs=1e-12)
    assert sign_flips(theirs, ours) == pytest.approx(sign_flips(ours, theirs), abs=1e-12)


@settings(deadline=None)
@given(st.integers(0, 300), st.integers(0, 300), st.integers(0, 5))
def test_of_single_runs_sign_flips_are_mcnemar_the_binomial_test_where_they_disagree(
    wins: int, losses: int, both: int
) -> None:
    ours = np.array([True] * wins + [False] * losses + [True] * both + [False])
    theirs = np.array([False] * wins + [True] * losses + [True] * both + [False])
    ways = sum(math.comb(wins + losses, k) for k in range(min(wins, losses) + 1))
    expected = min(1.0, float(Fraction(2 * ways, 2 ** (wins + losses))))
    assert sign_flips(ours, theirs) == pytest.approx(expected, rel=1e-9)


def test_golden_sign_flips() -> None:
    # 1 win and 6 losses: 2 (1 + 7) / 2^7.
    ours, theirs = np.arange(8) < 1, (np.arange(8) >= 1) & (np.arange(8) < 7)
    assert sign_flips(ours, theirs) == pytest.approx(0.125)
    # Two seeds that answer alike tell no more than one: four of ten on one side, 2 / 2^4.
    four = np.tile(np.arange(10) < 4, (2, 1))
    assert sign_flips(np.ones((2, 10), bool), ~four) == pytest.approx(0.125)
    assert paired_bootstrap(np.ones((2, 10), bool), ~four).p < 0.02
    assert sign_flips(four, four) == 1.0


def test_sign_flips_of_thousands_of_examples_are_quick_and_above_nought() -> None:
    ours, theirs = drawn(10, 2000, 0.9, 0), drawn(3, 2000, 0.2, 1)
    assert 0 < sign_flips(ours, theirs) < 1e-100
    assert sign_flips(np.ones(5000, bool), np.zeros(5000, bool)) > 0


def test_golden_holm() -> None:
    # Ascending 0.01, 0.03, 0.04, 0.2 times 4, 3, 2, 1 is 0.04, 0.09, 0.08, 0.2; none below the one before it.
    assert holm([0.04, 0.01, 0.2, 0.03]) == pytest.approx([0.09, 0.04, 0.2, 0.09])
    assert holm([0.5, 0.6]) == [1.0, 1.0]
    assert holm([0.03]) == [0.03]
    assert holm([]) == []
    with pytest.raises(ValueError, match="not all p values"):
        holm([0.5, 1.5])


@given(st.lists(st.floats(1e-9, 1), min_size=1, max_size=12))
def test_holm_keeps_the_order_and_lies_between_no_correction_and_bonferroni(ps: list[float]) -> None:
    adjusted = holm(ps)
    for p, after in zip(ps, adjusted, strict=True):
        assert p <= after <= min(1.0, len(ps) * p)
    assert all(adjusted[i] <= adjusted[j] for i, j in itertools.permutations(range(len(ps)), 2) if ps[i] < ps[j])
