"""The rows of a comparison: the finished runs of one strategy or baseline, with one variant and one K, over seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from promptkit.analysis.folds import mean_parameters, pooled
from promptkit.analysis.names import row_label
from promptkit.analysis.statistics import Difference, Spread, spread
from promptkit.errors import UserError
from promptkit.evaluation.baselines import SIGNIFICANCE as SIGNIFICANCE  # handed on to reports
from promptkit.evaluation.baselines import no_better_than_majority
from promptkit.runs.baseline import BaselineRecord
from promptkit.runs.record import LearntParameters, RunRecord
from promptkit.runs.stored import Role, Shots, StoredComparison, StoredRun

_DIGITS = 9  # means of equal scores over different numbers of seeds may differ in the last digit


@dataclass(frozen=True)
class Against:
    """A row held against the best baseline, on test.

    Attributes:
        baseline: label of the baseline's row.
        difference: test accuracy of the row less that of the baseline, as a share. Its p is for this row alone, and
            for one that is ahead the largest against any baseline of its shots.
        p_adjusted: p after Holm's correction over all rows of the comparison that are held against a baseline and
            learn, or do not, as this one.
        method: how p was computed, see `promptkit.analysis.against.method_for`.
    """

    baseline: str
    difference: Difference
    p_adjusted: float
    method: str


@dataclass(frozen=True)
class Row:
    """The finished runs of one strategy or baseline, with one variant and one K, over seeds.

    Attributes:
        strategy: name of the strategy or of the baseline.
        variant: what sets it apart from the same strategy's other rows; or empty.
        role: whether it is compared or compared with. Zero-shot hard is a baseline.
        shots: K examples a class, `full`, or None if it learns nothing.
        seeds: those finished, ascending.
        test: accuracy on test over seeds, as a share of 1.
        dev: accuracy on dev over seeds, as a share of 1.
        f1: macro F1 on test over seeds, as a share of 1.
        candidates: how many dev scores the figure was picked from: the epochs scored on dev, the most there were
            in one of the runs; 1 where nothing was picked.
        majority: test accuracy of always answering the most frequent class of train before shots are drawn, mean
            over runs.
        no_better_than_majority: whether the mean test accuracy could well be that of the majority class; False
            for the majority baseline itself.
        against: None for a baseline, and where there is no baseline to compare with.
        parameters: learnt, mean over runs, rounded.
        artifact_bytes: size of the prompt on disk, mean over runs; None for a baseline that keeps nothing.
        train_seconds: time of training, mean over runs; None if not measured.
        predict_per_second: examples predicted a second, mean over runs; None if not measured.
        peak_memory_mb: peak memory, the largest over runs, in MB (10^6 B); None if not measured.
        runs: the finished runs, in the order of `seeds`.
        metrics: further metrics on test over seeds, in their own units, by name: those that every run has.
    """

    strategy: str
    variant: str
    role: Role
    shots: Shots
    seeds: tuple[int, ...]
    test: Spread
    dev: Spread
    f1: Spread
    candidates: int
    majority: float
    no_better_than_majority: bool
    against: Against | None
    parameters: LearntParameters
    artifact_bytes: float | None
    train_seconds: float | None
    predict_per_second: float | None
    peak_memory_mb: float | None
    runs: tuple[StoredRun, ...]
    metrics: Mapping[str, Spread] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """What the row is called, without its shots: `soft`, `soft, tokens=20`, `majority class`."""
        return row_label(self.role, self.strategy, self.variant)

    @property
    def is_baseline(self) -> bool:
        """Whether it is compared with, and not compared."""
        return self.role == "baseline"

    @property
    def parts(self) -> tuple[StoredRun, ...]:
        """The runs that were made: of a cross-validation every fold."""
        return tuple(part for run in self.runs for part in run.parts)

    @property
    def learns_nothing(self) -> bool:
        """Whether neither training nor the draw could change it, as its place in the comparison says."""
        return self.shots is None

    @property
    def accuracies(self) -> tuple[float, ...]:
        """Test accuracy of each run, as a share of 1, in the order of `seeds`."""
        return tuple(float(np.mean(run.truth == run.predicted)) for run in self.runs)

    @property
    def learning_seconds(self) -> float | None:
        """Training time as it was measured; None for what learns nothing, even if counting labels took a moment."""
        return self.train_seconds if self.parameters.total else None

    @property
    def is_better(self) -> bool:
        """Whether it beats its best baseline beyond chance: p after the correction is below 0.05."""
        return self.is_told_apart and self.against is not None and self.against.difference.mean > 0

    @property
    def is_told_apart(self) -> bool:
        """Whether it differs from its best baseline beyond chance, in either direction."""
        return self.against is not None and self.against.p_adjusted < SIGNIFICANCE


def by_test(row: Row) -> float:
    """Return the mean test accuracy of a row, to order rows by."""
    return round(row.test.mean, _DIGITS)


def by_dev(row: Row) -> float:
    """Return the mean dev accuracy of a row, to order rows by."""
    return round(row.dev.mean, _DIGITS)


def rows_of(comparison: StoredComparison) -> tuple[Row, ...]:
    """Group the finished places of a comparison into rows, in its order; none is held against anything yet.

    The folds of a cross-validation count as one run for each seed, once all of them are finished.

    Raises:
        UserError: if a record lacks a score.
    """
    groups: dict[tuple[Role, str, str, Shots], dict[int, list[StoredRun]]] = {}
    for entry in comparison.entries:
        cell = entry.cell
        if entry.run is not None:
            row = groups.setdefault((cell.role, cell.strategy, cell.variant, cell.shots), {})
            row.setdefault(cell.seed, []).append(entry.run)
    whole = {
        group: {seed: run for seed, runs in by_seed.items() if (run := pooled(runs))}
        for group, by_seed in groups.items()
    }
    return tuple(_row(*group, runs) for group, runs in whole.items() if runs)


def _row(role: Role, strategy: str, variant: str, shots: Shots, by_seed: dict[int, StoredRun]) -> Row:
    seeds = tuple(sorted(by_seed))
    runs = tuple(by_seed[seed] for seed in seeds)
    records, costs = [run.record for run in runs], [run.record.cost for run in runs]
    # From the predictions, so that a difference is exactly that of the two rows' means.
    test = spread([float(np.mean(run.truth == run.predicted)) for run in runs])
    majority = spread([_known(run, "majority", run.record.test.majority) for run in runs]).mean
    examples = len(runs[0].truth)
    return Row(
        strategy=strategy,
        variant=variant,
        role=role,
        shots=shots,
        seeds=seeds,
        test=test,
        dev=spread([_known(run, "dev accuracy", run.record.dev.accuracy) for run in runs]),
        f1=spread([_known(run, "macro F1", run.record.test.f1) for run in runs]),
        candidates=max(_dev_scores(part.record) for run in runs for part in run.parts),
        majority=majority,
        # The runs share their test examples, so S runs are no S times as many answers.
        no_better_than_majority=strategy != "majority"
        and no_better_than_majority(round(test.mean * examples), examples, majority),
        against=None,
        parameters=mean_parameters([record.parameters for record in records]),
        artifact_bytes=None if any(run.is_baseline for run in runs) else _mean([c.artifact_bytes for c in costs]),
        train_seconds=_mean([cost.seconds.train for cost in costs]),
        predict_per_second=_mean([cost.predict_examples_per_second for cost in costs]),
        peak_memory_mb=max((c.peak_memory_mb for c in costs if c.peak_memory_mb is not None), default=None),
        runs=runs,
        metrics=_further_metrics(records),
    )


def _further_metrics(records: Sequence[RunRecord | BaselineRecord]) -> dict[str, Spread]:
    several = [record.test.__pydantic_extra__ for record in records]
    found = {name: [values.get(name) for values in several] for name in several[0]}
    return {
        name: spread([value for value in values if value is not None])
        for name, values in found.items()
        if None not in values
    }


def _dev_scores(record: RunRecord | BaselineRecord) -> int:
    """Return how many dev scores a run's figure was picked from."""
    if not isinstance(record, RunRecord):
        return 1
    return max(1, record.dev_scores + sum(epoch.dev_accuracy is not None for epoch in record.history))


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return spread(known).mean if known else None


def _known(run: StoredRun, what: str, value: float | None) -> float:
    if value is None:
        raise UserError(f"the record of run '{run.name}' has no {what}, so it cannot be compared.")
    return value
