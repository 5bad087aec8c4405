"""Class scores as probabilities. N examples, C classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np


def log_softmax(scores: Any) -> Any:
    """Return log-probabilities in float64: unnormalised (N, C) -> (N, C)."""
    from scipy import special

    return special.log_softmax(np.asarray(scores, np.float64), axis=-1)


def mean_log_softmax(scores: Sequence[Any], weights: Sequence[float] | None = None) -> Any:
    """Average class scores over templates (Schick & Schütze 2021, section 3.3).

    Args:
        scores: for each template the class scores, (N, C).
        weights: of the templates, not all 0; None weighs them equally.

    Returns:
        (N, C) float64 log-probabilities whose exponentials sum to one in every row.
    """
    logs = [log_softmax(each) for each in scores]
    return log_softmax(np.mean(logs, axis=0) if weights is None else np.average(logs, axis=0, weights=weights))
