"""What a comparison says: rows over seeds, each held against the best baseline, and what dev would pick.

Dev and test are never mixed: what is picked (epochs, variants) is picked by dev accuracy; test accuracy is only
reported and compared. Tables and pages are made from a `Summary` and compute no figure of their own.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from promptkit.analysis.against import BOOTSTRAP, MCNEMAR, difference, same_test
from promptkit.analysis.statistics import Difference, Spread, holm, spread
from promptkit.analysis.wording import method_text, notes, row_label
from promptkit.errors import UserError
from promptkit.evaluation.baselines import no_better_than_majority
from promptkit.runs.baseline import BaselineRecord
from promptkit.runs.record import LearntParameters, RunRecord
from promptkit.runs.stored import Shots, StoredComparison, StoredRun

Role = Literal["strategy", "baseline"]

NO_BETTER_MARK = "!"
NO_BETTER_NOTE = "no better than the majority class (one-sided exact binomial test at 5 %)"
"""What a table writes behind the test accuracy of such a row, and what it says about the mark."""


@dataclass(frozen=True)
class Against:
    """A row held against the best baseline, on test.

    Attributes:
        baseline: label of the baseline's row.
        difference: test accuracy of the row less that of the baseline, as a share; its p is for this row alone.
        p_adjusted: p after Holm's correction over all rows of the comparison that are held against a baseline.
        method: how p was computed, `paired bootstrap` or `exact McNemar`.
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
        majority: test accuracy of always answering the most frequent class of train, mean over runs.
        no_better_than_majority: whether the mean test accuracy could well be that of the majority class; False
            for the majority baseline itself.
        against: None for a baseline, and where there is no baseline to compare with.
        parameters: learnt, mean over runs, rounded.
        artifact_bytes: size of the prompt on disk, mean over runs; None for a baseline that keeps nothing.
        train_seconds: time of training, mean over runs; None if not measured.
        predict_per_second: examples predicted a second, mean over runs; None if not measured.
        peak_memory_mb: peak memory, the largest over runs, in MB (10^6 B); None if not measured.
        runs: the finished runs, in the order of `seeds`.
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

    @property
    def label(self) -> str:
        """What a table calls the row, without its shots: `soft`, `soft, tokens=20`, `majority class`."""
        return row_label(self.role, self.strategy, self.variant)


@dataclass(frozen=True)
class Pick:
    """The variant of a strategy with the highest mean dev accuracy, where there are several.

    Attributes:
        strategy: name of the strategy.
        shots: the variants are of these shots.
        variant: the one picked; the first of equals.
        variants: how many there were.
        candidates: how many dev scores it was picked from: those of every variant, added up.
        dev: its accuracy on dev, which is too high for having been picked by.
        test: its accuracy on test, which had no say.
    """

    strategy: str
    shots: Shots
    variant: str
    variants: int
    candidates: int
    dev: Spread
    test: Spread


@dataclass(frozen=True)
class Summary:
    """A comparison, summed up.

    Attributes:
        comparison: what it was made from.
        rows: in the order of the comparison; a row none of whose runs is finished is left out.
        picks: one for every strategy and K with several variants, in the order of the rows.
        method: what rows are compared with and how p was computed, in full sentences.
        best_baselines: shots of the compared rows -> label of the baseline with the highest mean test accuracy.
        notes: what a reader must know besides, a sentence or two each.
    """

    comparison: StoredComparison
    rows: tuple[Row, ...]
    picks: tuple[Pick, ...]
    method: str
    best_baselines: dict[Shots, str]
    notes: tuple[str, ...]


def summarise(comparison: StoredComparison) -> Summary:
    """Sum up a comparison.

    A row of K shots is held against the strongest of the baselines with the same K and those that learn nothing:
    the one that leaves it the smallest difference on test. That choice can only count against a row, and whoever
    beats the strongest beats them all, without a correction for their number (the intersection-union test, Berger
    1982). Picking the baseline by a dev split of a few examples would choose a weak one by chance. p is from the
    paired bootstrap; if every pair compared is one run against one, from the exact McNemar test. Holm's correction
    is over all pairs compared.

    Raises:
        UserError: if a record lacks a score.
    """
    rows = _rows(comparison)
    candidates = {shots: _baselines_for(shots, rows) for shots in _in_order(row.shots for row in _compared(rows))}
    best = {shots: max(found, key=_by_test) for shots, found in candidates.items() if found}
    without_baseline = [row for row in _compared(rows) if row.shots not in best]
    pairs = [(row, best[row.shots]) for row in _compared(rows) if row.shots in best]
    comparable = [same_test([*row.runs, *baseline.runs]) for row, baseline in pairs]
    unlike = [row for (row, _), same in zip(pairs, comparable, strict=True) if not same]
    pairs = [pair for pair, same in zip(pairs, comparable, strict=True) if same]
    single = all(len(row.runs) == len(baseline.runs) == 1 for row, baseline in pairs)
    method = MCNEMAR if single else BOOTSTRAP
    held = _held_against(rows, pairs, method)
    return Summary(
        comparison=comparison,
        rows=held,
        picks=_picks(held),
        method=method_text(
            {shots: (row.label, len(candidates[shots])) for shots, row in best.items()}, len(pairs), method
        ),
        best_baselines={shots: row.label for shots, row in best.items()},
        notes=notes(comparison, held, without_baseline, unlike),
    )


def _rows(comparison: StoredComparison) -> tuple[Row, ...]:
    """Group the finished places of a comparison into rows, in its order."""
    groups: dict[tuple[Role, str, str, Shots], dict[int, StoredRun]] = {}
    for entry in comparison.entries:
        cell = entry.cell
        if entry.run is not None:
            groups.setdefault((cell.role, cell.strategy, cell.variant, cell.shots), {})[cell.seed] = entry.run
    return tuple(_row(*group, runs) for group, runs in groups.items())


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
        candidates=max(_dev_scores(record) for record in records),
        majority=majority,
        # The runs share their test examples, so S runs are no S times as many answers.
        no_better_than_majority=strategy != "majority"
        and no_better_than_majority(round(test.mean * examples), examples, majority),
        against=None,
        parameters=_mean_parameters([record.parameters for record in records]),
        artifact_bytes=None if any(run.is_baseline for run in runs) else _mean([c.artifact_bytes for c in costs]),
        train_seconds=_mean([cost.seconds.train for cost in costs]),
        predict_per_second=_mean([cost.predict_examples_per_second for cost in costs]),
        peak_memory_mb=max((c.peak_memory_mb for c in costs if c.peak_memory_mb is not None), default=None),
        runs=runs,
    )


def _held_against(rows: Sequence[Row], pairs: Sequence[tuple[Row, Row]], method: str) -> tuple[Row, ...]:
    """Return the rows with the result of their pair."""
    found = [difference(_by_seed(row), _by_seed(baseline), method) for row, baseline in pairs]
    adjusted = holm([result.p for result in found])
    against = {
        id(row): Against(baseline.label, result, p, method)
        for (row, baseline), result, p in zip(pairs, found, adjusted, strict=True)
    }
    return tuple(replace(row, against=against.get(id(row))) for row in rows)


def _picks(rows: Sequence[Row]) -> tuple[Pick, ...]:
    groups: dict[tuple[str, Shots], list[Row]] = {}
    for row in _compared(rows):
        groups.setdefault((row.strategy, row.shots), []).append(row)
    picks = []
    for (strategy, shots), variants in groups.items():
        if len(variants) > 1:
            best = max(variants, key=_by_dev)
            scores = sum(row.candidates for row in variants)
            picks.append(Pick(strategy, shots, best.variant, len(variants), scores, best.dev, best.test))
    return tuple(picks)


def _compared(rows: Sequence[Row]) -> list[Row]:
    return [row for row in rows if row.role == "strategy"]


def _baselines_for(shots: Shots, rows: Sequence[Row]) -> list[Row]:
    return [row for row in rows if row.role == "baseline" and row.shots in (shots, None)]


def _by_dev(row: Row) -> float:
    # Rounded, for means of equal scores over different numbers of seeds may differ in the last digit.
    return round(row.dev.mean, 9)


def _by_test(row: Row) -> float:
    return round(row.test.mean, 9)


def _by_seed(row: Row) -> dict[int, StoredRun]:
    return dict(zip(row.seeds, row.runs, strict=True))


def _in_order(values: Iterable[Shots]) -> list[Shots]:
    return list(dict.fromkeys(values))


def _dev_scores(record: RunRecord | BaselineRecord) -> int:
    """Return how many dev scores a run's figure was picked from."""
    history = record.history if isinstance(record, RunRecord) else ()
    return max(1, sum(epoch.dev_accuracy is not None for epoch in history))


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return spread(known).mean if known else None


def _mean_parameters(learnt: Sequence[LearntParameters]) -> LearntParameters:
    parts = ("prompt", "encoder", "head", "backbone")
    return LearntParameters(**{part: round(spread([getattr(p, part) for p in learnt]).mean) for part in parts})


def _known(run: StoredRun, what: str, value: float | None) -> float:
    if value is None:
        raise UserError(f"the record of run '{run.name}' has no {what}, so it cannot be compared.")
    return value
