"""Comparisons as the store hands them out, made up: nothing is trained, predictions are drawn.

A run is right on a test example with the probability given for its cell, give or take how hard the example is, so
that runs tend to miss the same examples, as real ones do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import sklearn.metrics

from promptkit.analysis import Summary
from promptkit.analysis.rows import Row
from promptkit.runs import Cost, LearntParameters, RunRecord, Scores, Seconds, TaskInfo, Versions
from promptkit.runs.baseline import BaselineRecord
from promptkit.runs.record import BackboneInfo, Epoch, RunOptions
from promptkit.runs.stored import Entry, PlannedCell, Shots, StoredComparison, StoredRun

VARIANTS = {"soft": ("tokens=1", "tokens=5", "tokens=20")}
Part = tuple[str, str, Shots]  # strategy, variant, shots

LABELS = ("negative", "positive")
ACCURACIES: Mapping[tuple[str, Shots], float] = {
    ("tfidf", 16): 0.58,
    ("tfidf", "full"): 0.76,
    ("hard", None): 0.65,
    ("pet", 16): 0.68,
    ("pet", "full"): 0.74,
    ("soft", 16): 0.66,
    ("soft", "full"): 0.80,
    ("ptuning", 16): 0.50,
    ("ptuning", "full"): 0.72,
}
LEARNT = {
    "tfidf": LearntParameters(head=20_931),
    "pet": LearntParameters(head=148_610),
    "soft": LearntParameters(prompt=3840),
    "ptuning": LearntParameters(encoder=2_075_136),
}
BYTES = {"hard": 544, "pet": 595_400, "soft": 16_000, "ptuning": 16_000}
VERSIONS = Versions(python="3.11.7", mindspore="2.10.0", numpy="1.26.4", tokenizers="0.21", platform="Linux")


def fake_comparison(
    *,
    strategies: Sequence[str] = ("pet", "soft", "ptuning"),
    baselines: Sequence[str] = ("majority", "tfidf", "hard"),
    variants: Mapping[str, Sequence[str]] | None = None,
    shots: Sequence[int | Literal["full"]] = (16, "full"),
    seeds: Sequence[int] = (0, 1, 2),
    missing: Sequence[tuple[str, str, Shots, int]] = (),
    accuracies: Mapping[tuple[str, Shots], float] | None = None,
    test_examples: int = 400,
    name: str = "sentiment",
    folder: Path | None = None,
) -> StoredComparison:
    """Return a comparison; the same arguments give the same one.

    Args:
        strategies: compared at every K of `shots`; `hard` learns nothing and has one run.
        baselines: as above; `majority` and `tfidf` at every K and seed, `hard` once.
        variants: strategy -> its variants, e.g. `{"soft": ("tokens=1", "tokens=5", "tokens=20")}`.
        shots: K examples a class, or `full`.
        seeds: of the runs.
        missing: (strategy, variant, shots, seed) of places that are not finished.
        accuracies: (strategy, shots) -> expected test accuracy, in place of those of `ACCURACIES`.
        test_examples: N.
        name: of the comparison.
        folder: that holds the run directories; they are named, not made.
    """
    rows: list[tuple[str, str, Literal["strategy", "baseline"], Shots]] = []
    for baseline in baselines:
        rows += [(baseline, "", "baseline", k) for k in _shots_of(baseline, shots)]
    for strategy in strategies:
        names = (variants or {}).get(strategy, ("",))
        rows += [(strategy, variant, "strategy", k) for k in _shots_of(strategy, shots) for variant in names]
    truth = np.random.default_rng(7).integers(0, 2, test_examples)
    entries = []
    for strategy, variant, role, k in rows:
        for seed in seeds if k is not None else seeds[:1]:
            number = len(entries) + 1
            cell = PlannedCell(strategy, variant, role, k, seed, key=f"{number:064x}")
            absent = (strategy, variant, k, seed) in missing
            accuracy = {**ACCURACIES, **(accuracies or {})}.get((strategy, k), 0.5)
            entries.append(Entry(cell, None if absent else fake_run(number, cell, truth, accuracy, folder)))
    return StoredComparison(
        name=name,
        created="2026-01-02T03:04:05+00:00",
        command=("promptkit", "compare", "--data", "reviews-en"),
        spec={"data": "reviews-en", "model": "promptkit-mini", "shots": list(shots), "seeds": list(seeds)},
        entries=tuple(entries),
    )


def fake_run(number: int, cell: PlannedCell, truth: Any, accuracy: float, folder: Path | None = None) -> StoredRun:
    """Return a finished run; `majority` always answers class 0, whatever the accuracy.

    Args:
        number: its number in the store, which also seeds what it gets wrong.
        cell: the place it fills.
        truth: classes of the test examples, (N,).
        accuracy: expected, between 0 and 1.
        folder: that holds the run directories.
    """
    truth = np.asarray(truth, dtype=np.int64)
    rng = np.random.default_rng(number)
    hardness = np.random.default_rng(11).normal(0, 0.15, len(truth))
    right = rng.random(len(truth)) < np.clip(accuracy - hardness + hardness.mean(), 0, 1)
    predicted = np.zeros_like(truth) if cell.strategy == "majority" else np.where(right, truth, 1 - truth)
    is_record = cell.strategy not in ("majority", "tfidf")
    dev = 0.5 if cell.strategy == "majority" else float(np.clip(accuracy + rng.normal(0, 0.02), 0, 1))
    record = (_run_record if is_record else _baseline_record)(cell, truth, predicted, dev, rng)
    name = f"{cell.strategy}-{number}"
    directory = (folder or Path("runs")) / name if is_record else None
    return StoredRun(number, name, cell.key, record, truth, predicted, directory)


def with_test_predictions(comparison: StoredComparison, change: Any) -> StoredComparison:
    """Return the comparison with `change(predicted)` for every run's test predictions, scores included."""
    entries = []
    for entry in comparison.entries:
        run = entry.run
        if run is not None:
            predicted = change(run.predicted)
            test = _scores(run.truth, predicted)
            run = replace(run, predicted=predicted, record=run.record.model_copy(update={"test": test}))
        entries.append(replace(entry, run=run))
    return replace(comparison, entries=tuple(entries))


def _shots_of(name: str, shots: Sequence[Any]) -> Sequence[Shots]:
    return (None,) if name == "hard" else tuple(shots)


def _scores(truth: Any, predicted: Any) -> Scores:
    f1 = sklearn.metrics.f1_score(truth, predicted, average="macro", zero_division=0)
    accuracy = float((truth == predicted).mean())
    return Scores(accuracy=accuracy, f1=float(f1), n=len(truth), majority=float((truth == 0).mean()))


def _task(cell: PlannedCell, n: int) -> TaskInfo:
    train = cell.shots * len(LABELS) if isinstance(cell.shots, int) else 800
    dev = train if isinstance(cell.shots, int) else 100
    return TaskInfo(
        name="reviews-en", fingerprint="0" * 16, labels=LABELS, language="en", train=train, dev=dev, test=n
    )


def _baseline_record(cell: PlannedCell, truth: Any, predicted: Any, dev: float, rng: Any) -> BaselineRecord:
    task = _task(cell, len(truth))
    fitted = cell.strategy == "tfidf"
    return BaselineRecord(
        name=cell.strategy,
        summary="words and pairs of words, weighted, in a linear classifier" if fitted else "the most frequent class",
        created="2026-01-02T03:04:05+00:00",
        data="reviews-en",
        shots=cell.shots if isinstance(cell.shots, int) else None,
        seed=cell.seed,
        task=task,
        versions=VERSIONS,
        dev=Scores(accuracy=dev, f1=dev, n=task.dev, majority=0.5),
        test=_scores(truth, predicted),
        parameters=LEARNT.get(cell.strategy, LearntParameters()),
        cost=Cost(
            artifact_bytes=0,
            seconds=Seconds(total=0.4, train=0.3 if fitted else 0.0),
            predict_examples_per_second=float(rng.uniform(20_000, 30_000)) if fitted else None,
        ),
    )


def _run_record(cell: PlannedCell, truth: Any, predicted: Any, dev: float, rng: Any) -> RunRecord:
    task = _task(cell, len(truth))
    learns = cell.strategy != "hard"
    epochs = (5 if isinstance(cell.shots, int) else 2) if learns else 0
    history = tuple(
        Epoch(epoch=epoch, loss=0.7 / epoch, dev_accuracy=dev - 0.03 * (epochs - epoch), lr=1e-3 / epoch)
        for epoch in range(1, epochs + 1)
    )
    train_seconds = float(rng.uniform(8, 12)) * len(history)
    return RunRecord(
        created="2026-01-02T03:04:05+00:00",
        options=_options(cell, epochs),
        task=task,
        backbone=BackboneInfo(name="promptkit-mini", fingerprint="0", architecture="bert", parameters=22_744_506),
        versions=VERSIONS,
        dev=Scores(accuracy=dev, f1=dev, n=task.dev, majority=0.5),
        test=_scores(truth, predicted),
        parameters=LEARNT.get(cell.strategy, LearntParameters()),
        cost=Cost(
            artifact_bytes=BYTES.get(cell.strategy, 1000),
            seconds=Seconds(total=train_seconds + 20, train=train_seconds, compile=4.0, predict=7.0),
            train_examples_per_second=80.0 if learns else None,
            predict_examples_per_second=float(rng.uniform(90, 170)),
            peak_memory_mb=float(rng.uniform(1600, 3800)),
        ),
        epochs_run=epochs,
        best_epoch=epochs or None,
        history=history,
    )


def _options(cell: PlannedCell, epochs: int) -> RunOptions:
    soft = cell.strategy in ("soft", "ptuning")
    return RunOptions(
        strategy=cell.strategy,
        data="reviews-en",
        model="promptkit-mini",
        templates=("{soft:10}{text} It was {mask}." if soft else "{text} It was {mask}.",),
        verbalizer="negative=terrible; positive=great",
        readout="head" if cell.strategy == "pet" else "cloze",
        slots="same",
        shots=cell.shots if isinstance(cell.shots, int) else None,
        seed=cell.seed,
        epochs=epochs,
        lr=1e-3,
        batch_size=32,
        weight_decay=0.0,
        max_length=128,
        device="CPU",
        mode="graph",
    )


def row_of(summary: Summary, strategy: str, shots: Shots, variant: str = "", role: str = "strategy") -> Row:
    (found,) = [
        row
        for row in summary.rows
        if (row.strategy, row.shots, row.variant, row.role) == (strategy, shots, variant, role)
    ]
    return found


def changed(comparison: StoredComparison, change: Any) -> StoredComparison:
    """Return the comparison with `change(cell, run)` for every finished run."""
    entries = [
        replace(entry, run=None if entry.run is None else change(entry.cell, entry.run))
        for entry in comparison.entries
    ]
    return replace(comparison, entries=tuple(entries))


def with_dev(run: StoredRun, accuracy: float | None) -> StoredRun:
    dev = run.record.dev.model_copy(update={"accuracy": accuracy})
    return replace(run, record=run.record.model_copy(update={"dev": dev}))
