"""Runs held against a baseline's runs, example by example of the test split."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from promptkit.analysis.statistics import Difference, paired_bootstrap, sign_flips
from promptkit.runs.stored import StoredRun

BOOTSTRAP = "paired bootstrap and sign flips"
MCNEMAR = "exact McNemar"


def same_test(runs: Sequence[StoredRun]) -> bool:
    """Tell whether all runs were judged on the same test examples, as far as their true classes tell."""
    return all(np.array_equal(run.truth, runs[0].truth) for run in runs)


def right_answers(runs: Sequence[StoredRun]) -> Any:
    """Return whether run s was right on test example n, bool (S, N)."""
    return np.stack([run.truth == run.predicted for run in runs])


def method_for(ours: int, theirs: int) -> str:
    """Return where p comes from for so many runs against so many: `MCNEMAR` for one against one, else `BOOTSTRAP`."""
    return MCNEMAR if ours == theirs == 1 else BOOTSTRAP


def difference(ours: Mapping[int, StoredRun], theirs: Mapping[int, StoredRun]) -> Difference:
    """Return the difference in test accuracy, ours less theirs.

    The interval is the bootstrap's. p is that of sign flips, which for one run against one is McNemar's test;
    with several runs a side it is the bootstrap's where that is larger, for it looks at the seeds as well.

    Args:
        ours: seed -> run, all judged on the same test examples.
        theirs: as above. Runs are paired where both sides have the same seeds.
    """
    right, other = (right_answers([side[seed] for seed in sorted(side)]) for side in (ours, theirs))
    bootstrapped = paired_bootstrap(right, other, same_seeds=set(ours) == set(theirs))
    exact = sign_flips(right, other)
    one = method_for(len(right), len(other)) == MCNEMAR
    return replace(bootstrapped, p=exact if one else max(exact, bootstrapped.p))
