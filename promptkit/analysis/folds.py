"""The runs of a cross-validation as one: every example is answered by the fold that did not learn from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from promptkit.runs.record import Cost, LearntParameters, Scores, Seconds
from promptkit.runs.stored import StoredRun


def pooled(runs: Sequence[StoredRun]) -> StoredRun | None:
    """Return the runs of one seed as one run over all test examples, or None unless every fold is there.

    True and predicted classes stand one fold behind the other. Accuracy on test is that of all answers together;
    other scores, dev's, the parameters and the costs are means over folds; what else the record holds is that of the
    first fold. A run that is no fold is returned as it is.

    Args:
        runs: all of one row and one seed.
    """
    by_fold = {run.fold[0]: run for run in runs if run.fold is not None}
    if not by_fold:
        return runs[0]
    first = next(iter(by_fold.values()))
    assert first.fold is not None
    if len(by_fold) < first.fold[1]:
        return None
    folds = tuple(by_fold[number] for number in sorted(by_fold))
    truth = np.concatenate([run.truth for run in folds])
    predicted = np.concatenate([run.predicted for run in folds])
    records = [run.record for run in folds]
    task = folds[0].record.task.model_copy(update={"test": len(truth)})
    changed = {
        "task": task,
        "dev": _mean_scores([record.dev for record in records]),
        "test": _mean_scores([record.test for record in records]).model_copy(
            update={"accuracy": float(np.mean(truth == predicted)), "n": len(truth)}
        ),
        "parameters": mean_parameters([record.parameters for record in records]),
        "cost": _mean_cost([record.cost for record in records]),
    }
    name = f"{folds[0].name} and {len(folds) - 1} more"
    record: Any = folds[0].record.model_copy(update=changed)
    return replace(folds[0], name=name, record=record, truth=truth, predicted=predicted, directory=None, folds=folds)


def fold_count(runs: Sequence[StoredRun]) -> int:
    """Return K of a cross-validation, or 0."""
    return max((len(run.folds) for run in runs), default=0)


def mean_parameters(learnt: Sequence[LearntParameters]) -> LearntParameters:
    """Return the means of how many parameters learnt, each part rounded."""
    parts = ("prompt", "encoder", "head", "backbone")
    return LearntParameters(**{part: round(sum(getattr(p, part) for p in learnt) / len(learnt)) for part in parts})


def _mean_scores(scores: Sequence[Scores]) -> Scores:
    """Return the means over folds, the majority's weighted by examples; None where a fold has no value."""
    values = [score.model_dump() for score in scores]
    sizes = [score.n for score in scores]
    means: dict[str, Any] = {name: _mean([each.get(name) for each in values]) for name in values[0]}
    means["majority"] = _mean([score.majority for score in scores], sizes)
    means["n"] = round(sum(sizes) / len(sizes))
    return Scores(**means)


def _mean_cost(costs: Sequence[Cost]) -> Cost:
    """Return the means over folds, and the largest peak of memory."""
    peaks = [cost.peak_memory_mb for cost in costs if cost.peak_memory_mb is not None]
    seconds = {name: _mean([getattr(cost.seconds, name) for cost in costs]) for name in Seconds.model_fields}
    speeds = [name for name in Cost.model_fields if name not in ("artifact_bytes", "seconds", "peak_memory_mb")]
    return Cost(
        artifact_bytes=round(sum(cost.artifact_bytes for cost in costs) / len(costs)),
        seconds=Seconds(**seconds),  # type: ignore[arg-type]  # total, train and predict are always there
        peak_memory_mb=max(peaks, default=None),
        **{name: _mean([getattr(cost, name) for cost in costs]) for name in speeds},  # type: ignore[arg-type]
    )


def _mean(values: Sequence[float | None], weights: Sequence[int] | None = None) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.average(known, weights=weights)) if len(known) == len(values) else None
