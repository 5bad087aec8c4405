"""A comparison in folds: its grid, what it refuses, and how the folds come together in the table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fake_runs import TRUTH, cell, fake_record
from invented import Pool

from promptkit import UserError
from promptkit.analysis import summarise
from promptkit.analysis.curves import curves
from promptkit.analysis.disagreement import disagreement
from promptkit.analysis.folds import pooled
from promptkit.comparison import Experiment, compare, make_experiment
from promptkit.comparison.cells import make_grid
from promptkit.reports import comparison_table
from promptkit.reports.provenance import facts
from promptkit.reports.wording import notes
from promptkit.running.config import make_config
from promptkit.running.plan import Loader, make_plan
from promptkit.runs import StoredRun
from promptkit.runs.stored import Entry, StoredComparison

Make = Callable[..., Experiment]


def test_every_seed_goes_through_every_fold(tiny: Make) -> None:
    grid = make_grid(tiny(strategies=["hard", "pet"], shots="full", folds=3), Loader())
    places = [(place.strategy, place.seed) for place in grid.places]
    assert places == [("hard", 0)] * 3 + [("pet", seed) for _ in range(3) for seed in (0, 1)]
    assert [cell.config.fold for cell in grid.cells] == [
        (1, 3), (2, 3), (3, 3), (1, 3), (1, 3), (2, 3), (2, 3), (3, 3), (3, 3),
    ]  # fmt: skip
    assert len({cell.name for cell in grid.cells}) == len({cell.key for cell in grid.cells}) == 9
    assert grid.cells[3].title == "pet, full, fold 1 of 3, seed 0"
    assert "-fold1of3-s0-" in grid.cells[3].name


def test_folds_take_all_examples(tiny: Make) -> None:
    assert make_experiment(folds=5).shots == ("full",)
    assert make_experiment(folds=5).title != make_experiment(shots="full").title
    with pytest.raises(UserError, match="folds take all examples; give shots 'full' with them, not 4"):
        tiny(folds=3)
    with pytest.raises(UserError, match=r"folds: .*greater than or equal to 2"):
        make_experiment(folds=1)
    with pytest.raises(UserError, match="--fold takes all examples; it does not go with --shots"):
        make_plan(make_config(strategy="hard", data=tiny().data, fold="1/3", shots=2))
    with pytest.raises(UserError, match=r"--fold: write I/K, e\.g\. 2/5"):
        make_config(strategy="hard", fold="2")


def test_the_folds_of_a_seed_are_one_run_in_the_table(tiny: Make, pool: Callable[..., Pool], tmp_path: Path) -> None:
    pool()
    experiment = tiny(strategies=["pet"], shots="full", folds=3, seeds=2)
    result = compare(experiment, store=tmp_path / "store")
    summary = summarise(result.comparison)
    assert [(row.label, len(row.runs), row.seeds) for row in summary.rows] == [
        ("majority class", 1, (0,)),
        ("TF-IDF + logistic regression", 1, (0,)),
        ("hard (zero-shot)", 1, (0,)),
        ("pet", 2, (0, 1)),
    ]
    for row in summary.rows:
        for run in row.runs:
            assert len(run.folds) == 3
            assert run.record.test.n == run.record.task.test == len(run.truth) == 88
    assert summary.unlike == ()
    assert summary.rows[3].against is not None
    tfidf = summary.rows[1]
    right = sum(int((fold.truth == fold.predicted).sum()) for fold in tfidf.runs[0].folds)
    assert tfidf.test.mean == pytest.approx(right / 88)
    assert tfidf.f1.mean == pytest.approx(np.mean([fold.record.test.f1 for fold in tfidf.runs[0].folds]))
    said = dict(facts(summary))
    # The models' runs are invented, the baselines' are not.
    assert said["examples"][0] == "full: 88, each tested once; of the first fold 52 are train and 6 dev"
    assert said["about the data"] == (
        "cross-validation: 3 folds of all examples, each tested once; dev is a tenth of the rest",
    )
    drawn = said["data fingerprints"]
    assert [each.split(":")[0] for each in drawn] == [f"full, fold {number} of 3" for number in (1, 2, 3)]
    assert len({each.split(": ")[1] for each in drawn}) == 3
    table = comparison_table(summary)
    assert "3-fold cross-validation: every example is tested once" in table
    found = disagreement(summary)
    assert found.of == 88
    assert all(example.fields["text"] for example in found.examples)


def test_parameters_are_means_over_folds_and_what_was_tried_is_of_all_of_them() -> None:
    entries = []
    for fold, epochs, learnt in ((1, 3, 10), (2, 10, 20)):
        history = [{"epoch": n, "loss": 1 / n, "dev_accuracy": 0.5} for n in range(1, epochs + 1)]
        plain = fake_record(0, None, history=history, parameters={"prompt": 7, "head": learnt})
        record = plain.model_copy(update={"options": plain.options.model_copy(update={"fold": (fold, 2)})})
        run = StoredRun(fold, f"soft-{fold}", f"{fold}", record, TRUTH, TRUTH, None)
        entries.append(Entry(cell(f"{fold}", shots="full"), run))
    (row,) = summarise(StoredComparison("one", record.created, (), {}, tuple(entries))).rows
    assert (row.parameters.prompt, row.parameters.head, row.parameters.total) == (7, 15, 22)
    assert row.runs[0].record.parameters == row.parameters
    assert row.candidates == 10
    assert [len(curve) for curve in curves(row, "loss")] == [3, 10]


def test_what_was_fitted_has_no_learning_curve() -> None:
    """Its history is of settings that were tried."""
    history = [{"epoch": n, "loss": None, "dev_accuracy": 0.5} for n in range(1, 7)]
    found = []
    for epochs in (0, 6):
        record = fake_record(0, None, history=history).model_copy(update={"epochs_run": epochs})
        entries = (Entry(cell("1", shots="full"), StoredRun(1, "it", "1", record, TRUTH, TRUTH, None)),)
        (row,) = summarise(StoredComparison("one", record.created, (), {}, entries)).rows
        found.append(len(curves(row, "dev_accuracy")))
    assert found == [0, 1]


def test_a_seed_counts_once_all_its_folds_are_there(tiny: Make, pool: Callable[..., Pool], tmp_path: Path) -> None:
    pool()
    result = compare(tiny(strategies=["pet"], shots="full", folds=2, seeds=1), store=tmp_path / "store")
    runs = [entry.run for entry in result.comparison.entries if entry.cell.strategy == "pet" and entry.run]
    whole = pooled(runs[::-1])
    assert whole is not None
    assert [fold.fold for fold in whole.folds] == [(1, 2), (2, 2)]
    assert pooled(runs[:1]) is None
    options = runs[0].record.options.model_copy(update={"fold": None})
    alone = replace(runs[0], record=runs[0].record.model_copy(update={"options": options}))
    assert pooled([alone]) is alone


def test_a_fold_is_not_limited(tiny: Make) -> None:
    with pytest.raises(UserError, match="--fold has every example tested once; it does not go with --limit"):
        make_grid(tiny(strategies=["hard"], shots="full", folds=3, settings={"limit": 5}), Loader())


def test_folds_that_are_missing_are_counted(tiny: Make) -> None:
    grid = make_grid(tiny(strategies=["pet"], shots="full", folds=3, baselines=[]), Loader())
    comparison = StoredComparison("one", "2026-01-01", (), {}, tuple(Entry(place, None) for place in grid.places))
    (said,) = (note for note in notes(summarise(comparison)) if "missing" in note)
    assert "pet (full), seed 0 (3 folds); pet (full), seed 1 (3 folds)" in said


def test_the_majority_of_folds_counts_by_their_examples() -> None:
    runs = []
    for fold, size, majority in ((1, 30, 0.9), (2, 10, 0.5)):
        scores = {"accuracy": 0.5, "f1": 0.5, "n": size, "majority": majority}
        record = fake_record(0, None, test=scores)
        record = record.model_copy(update={"options": record.options.model_copy(update={"fold": (fold, 2)})})
        runs.append(StoredRun(fold, f"soft-{fold}", f"{fold}", record, TRUTH, TRUTH, None))
    whole = pooled(runs)
    assert whole is not None
    assert whole.record.test.majority == pytest.approx(0.8)
