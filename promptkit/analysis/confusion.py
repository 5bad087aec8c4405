"""How often each true class is predicted as each class."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from promptkit.analysis.rows import Row


def shares(row: Row) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the shares of the true classes and the counts, mean over seeds: two arrays (C, C), true class first.

    A class without test examples has shares of 0.
    """
    size = len(row.runs[0].record.task.labels)
    counts = np.zeros((size, size))
    for run in row.runs:
        known = run.truth >= 0
        np.add.at(counts, (run.truth[known], run.predicted[known]), 1)
    totals = counts.sum(axis=1, keepdims=True)
    return counts / np.where(totals == 0, 1, totals), counts / len(row.runs)
