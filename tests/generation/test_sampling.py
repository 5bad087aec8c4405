"""Which token comes next: the likeliest, or one drawn from the likeliest."""

from __future__ import annotations

import numpy as np
import pytest

from promptkit import UserError
from promptkit.generation import Sampling, pick
from promptkit.running.writer import make_sampling

CHANCES = np.array([0.05, 0.5, 0.15, 0.3])
SCORES = np.log(CHANCES) + 3.0


def drawn(how: Sampling, count: int = 4000) -> np.ndarray:
    rng = how.generator(0)
    return np.bincount([pick(SCORES, how, rng) for _ in range(count)], minlength=4) / count


def test_greedy_takes_the_likeliest_and_draws_nothing() -> None:
    rng = np.random.default_rng(0)
    before = rng.bit_generator.state
    assert pick(SCORES, Sampling(), rng) == 1
    assert rng.bit_generator.state == before


def test_a_temperature_of_one_draws_by_the_models_chances() -> None:
    assert drawn(Sampling(temperature=1.0)) == pytest.approx(CHANCES, abs=0.03)


def test_the_smallest_temperature_takes_the_likeliest() -> None:
    for scores in (SCORES, SCORES * 1e3):
        assert pick(scores, Sampling(temperature=1e-308), np.random.default_rng(0)) == 1


def test_a_temperature_sharpens_or_flattens() -> None:
    expected = CHANCES**2 / (CHANCES**2).sum()
    assert drawn(Sampling(temperature=0.5)) == pytest.approx(expected, abs=0.03)


@pytest.mark.parametrize(("top_p", "kept"), [(0.4, [1]), (0.51, [1, 3]), (0.79, [1, 3]), (0.81, [1, 2, 3])])
def test_top_p_draws_from_the_smallest_set_that_comes_to_it(top_p: float, kept: list[int]) -> None:
    shares = drawn(Sampling(temperature=1.0, top_p=top_p))
    expected = np.where(np.isin(np.arange(4), kept), CHANCES, 0.0)
    assert shares[expected == 0].sum() == 0
    assert shares == pytest.approx(expected / expected.sum(), abs=0.03)


def test_a_seed_repeats_and_texts_differ() -> None:
    how = Sampling(temperature=1.0, seed=3)

    def draws(number: int) -> list[int]:
        rng = how.generator(number)
        return [pick(SCORES, how, rng) for _ in range(20)]

    assert draws(0) == draws(0) != draws(1)


@pytest.mark.parametrize(
    "numbers", [(-1.0, 1.0, 0), (float("nan"), 1.0, 0), (1.0, 0.0, 0), (1.0, 1.5, 0), (1.0, 1.0, -1)]
)
def test_numbers_without_a_meaning_are_refused(numbers: tuple[float, float, int]) -> None:
    with pytest.raises(UserError, match="--"):
        make_sampling(*numbers)
