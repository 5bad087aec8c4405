"""Class scores as probabilities. N examples, C classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np


def log_softmax(scores: Any) -> Any:
    """Return log-probabilities in float64: unnormalised (N, C) -> (N, C)."""
    from scipy import special

    return special.log_softmax(np.asarray(scores, np.float64), axis=-1)


def mean_log_softmax(scores: Sequence[Any]) -> Any:
    """Average class scores over templates.

    Args:
        scores: for each template the class scores, (N, C).

    Returns:
        (N, C) float64 log-probabilities whose exponentials sum to one in every row.
    """
    return log_softmax(np.mean([log_softmax(each) for each in scores], axis=0))
