"""Runs held against a baseline's runs, example by example of the test split."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from promptkit.analysis.statistics import Difference, mcnemar, paired_bootstrap
from promptkit.runs.stored import StoredRun

BOOTSTRAP = "paired bootstrap"
MCNEMAR = "exact McNemar"


def same_test(runs: Sequence[StoredRun]) -> bool:
    """Tell whether all runs were judged on the same test examples, as far as their true classes tell."""
    return all(np.array_equal(run.truth, runs[0].truth) for run in runs)


def right_answers(runs: Sequence[StoredRun]) -> Any:
    """Return whether run s was right on test example n, bool (S, N)."""
    return np.stack([run.truth == run.predicted for run in runs])


def difference(ours: Mapping[int, StoredRun], theirs: Mapping[int, StoredRun], method: str) -> Difference:
    """Return the difference in test accuracy, ours less theirs.

    Args:
        ours: seed -> run, all judged on the same test examples.
        theirs: as above. Runs are paired where both sides have the same seeds.
        method: where p comes from: `BOOTSTRAP`, or `MCNEMAR` for one run against one. The interval is the
            bootstrap's.
    """
    right, other = (right_answers([side[seed] for seed in sorted(side)]) for side in (ours, theirs))
    bootstrapped = paired_bootstrap(right, other, same_seeds=set(ours) == set(theirs))
    return replace(bootstrapped, p=mcnemar(right, other)) if method == MCNEMAR else bootstrapped
