"""What class scores become: log-probabilities, and the average over the templates of a run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np


def mean_log_softmax(scores: Sequence[Any]) -> Any:
    """Average class scores over templates.

    Args:
        scores: for each template the class scores, (N, C).

    Returns:
        (N, C) float64 log-probabilities whose exponentials sum to one in every row.
    """
    return _log_softmax(np.mean([_log_softmax(s.astype(np.float64)) for s in scores], axis=0))


def _log_softmax(scores: Any) -> Any:
    shifted = scores - scores.max(-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))
