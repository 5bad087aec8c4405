"""How the next token is chosen from the model's scores. No MindSpore here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Sampling:
    """The way of choosing.

    Attributes:
        temperature: scores are divided by it; 0 takes the most likely token, always (greedy).
        top_p: tokens are drawn from the smallest set of the most likely ones whose probabilities come to at least
            this (Holtzman et al. 2020, section 3.1); 1 draws from all.
        seed: of the draws; text n draws from the seed and n, whatever else is written beside it.
    """

    temperature: float = 0.0
    top_p: float = 1.0
    seed: int = 0

    def generator(self, number: int) -> np.random.Generator:
        """Return the source of random numbers of a text."""
        return np.random.default_rng([self.seed, number])


def pick(scores: Any, sampling: Sampling, rng: np.random.Generator) -> int:
    """Return the next token.

    Args:
        scores: of all V tokens, unnormalised log-probabilities, (V,).
        sampling: see `Sampling`.
        rng: draws one number, where anything is drawn.
    """
    scores = np.asarray(scores, np.float64)
    if not sampling.temperature:
        return int(scores.argmax())
    with np.errstate(over="ignore"):
        # The highest first made 0, so that however small a temperature only the others go to minus infinity.
        chances = np.exp((scores - scores.max()) / sampling.temperature)
    chances /= chances.sum()
    order = np.argsort(-chances, kind="stable")
    sums = np.cumsum(chances[order])
    # Rounding may leave the last sum below 1, and no token would be found.
    count = min(int(np.searchsorted(sums, sampling.top_p)) + 1, len(order))
    drawn = rng.random() * sums[count - 1]
    return int(order[min(int(np.searchsorted(sums[:count], drawn, side="right")), count - 1)])
