"""A summary picks by dev alone, counts what a row cost, and says what is not there."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from fake_comparisons import VARIANTS, changed, fake_comparison, row_of, with_dev, with_test_predictions

from promptkit.analysis import summarise
from promptkit.errors import UserError
from promptkit.evaluation import no_better_than_majority
from promptkit.reports.answer import verdict_text
from promptkit.reports.wording import method_text, notes, pick_text
from promptkit.runs.record import RunRecord
from promptkit.runs.stored import PlannedCell, StoredRun


def test_rows_come_in_the_order_of_the_comparison_with_means_over_seeds() -> None:
    summary = summarise(fake_comparison(strategies=("soft",), seeds=(2, 0, 1)))
    assert [(row.label, row.shots) for row in summary.rows] == [
        ("majority class", 16),
        ("majority class", "full"),
        ("TF-IDF + logistic regression", 16),
        ("TF-IDF + logistic regression", "full"),
        ("hard (zero-shot)", None),
        ("soft", 16),
        ("soft", "full"),
    ]
    row = row_of(summary, "soft", 16)
    accuracies = [run.record.test.accuracy for run in row.runs]
    assert row.seeds == (0, 1, 2) == tuple(run.record.options.seed for run in row.runs)
    assert row.test.mean == pytest.approx(np.mean(accuracies))
    assert row.test.std == pytest.approx(np.std(accuracies, ddof=1))
    assert row.f1.mean == pytest.approx(np.mean([run.record.test.f1 for run in row.runs]))
    assert row.dev.mean == pytest.approx(np.mean([run.record.dev.accuracy for run in row.runs]))


def test_one_seed_has_no_deviation_and_a_note() -> None:
    summary = summarise(fake_comparison(seeds=(4,)))
    assert {row.test.std for row in summary.rows} == {None}
    assert any(note.startswith("One seed: pet (16 shots); pet (full); soft") for note in notes(summary))


def test_a_row_counts_what_it_cost() -> None:
    summary = summarise(fake_comparison())
    row = row_of(summary, "ptuning", "full")
    costs = [run.record.cost for run in row.runs]
    assert row.parameters.encoder == 2_075_136
    assert row.artifact_bytes == 16_000
    assert row.train_seconds == pytest.approx(np.mean([cost.seconds.train for cost in costs]))
    assert row.predict_per_second == pytest.approx(np.mean([cost.predict_examples_per_second for cost in costs]))
    assert row.peak_memory_mb == max(cost.peak_memory_mb for cost in costs)
    majority = row_of(summary, "majority", 16, role="baseline")
    assert (majority.artifact_bytes, majority.predict_per_second, majority.peak_memory_mb) == (None, None, None)
    assert row_of(summary, "hard", None, role="baseline").artifact_bytes == 544


def test_candidates_are_the_epochs_scored_on_dev_the_most_of_any_seed() -> None:
    def cut(cell: Any, run: StoredRun) -> StoredRun:
        history = run.record.history[: 2 + cell.seed] if cell.strategy == "soft" else ()
        return replace(run, record=run.record.model_copy(update={"history": history, "dev_scores": searched}))

    searched = 0
    summary = summarise(changed(fake_comparison(strategies=("soft",), baselines=("hard",)), cut))
    assert row_of(summary, "soft", 16).candidates == 4
    assert row_of(summary, "hard", None, role="baseline").candidates == 1
    searched = 100
    summary = summarise(changed(fake_comparison(strategies=("soft",), baselines=("hard",)), cut))
    assert row_of(summary, "soft", 16).candidates == 104


@pytest.mark.parametrize("seed", range(3))
def test_test_predictions_have_no_say_in_any_pick(seed: int) -> None:
    comparison = fake_comparison(variants=VARIANTS)
    rng = np.random.default_rng(seed)
    before, after = summarise(comparison), summarise(with_test_predictions(comparison, rng.permutation))
    assert [replace(pick, test=None) for pick in after.picks] == [replace(pick, test=None) for pick in before.picks]
    assert [row.dev for row in after.rows] == [row.dev for row in before.rows]
    assert [row.test for row in after.rows] != [row.test for row in before.rows]


def test_dev_alone_decides_a_pick_also_against_test() -> None:
    def change(cell: Any, run: StoredRun) -> StoredRun:
        return with_dev(run, 0.99 if cell.variant == "tokens=5" else 0.6)

    summary = summarise(changed(fake_comparison(variants=VARIANTS), change))
    assert [(pick.strategy, pick.shots, pick.variant) for pick in summary.picks] == [
        ("soft", 16, "tokens=5"),
        ("soft", "full", "tokens=5"),
    ]


def test_of_equals_on_dev_the_first_is_picked() -> None:
    summary = summarise(changed(fake_comparison(variants=VARIANTS), lambda cell, run: with_dev(run, 0.7)))
    assert {pick.variant for pick in summary.picks} == {"tokens=1"}
    assert {pick.tied for pick in summary.picks} == {("tokens=5", "tokens=20")}
    assert "tokens=1, the first of 3 that are level as the best of 3 variants" in pick_text(summary.picks[0])


def test_a_pick_counts_the_candidates_of_all_variants() -> None:
    few, full = summarise(fake_comparison(variants=VARIANTS)).picks
    assert (few.variants, few.candidates) == (3, 3 * 5)
    assert (full.variants, full.candidates) == (3, 3 * 2)
    assert summarise(fake_comparison()).picks == ()


def test_missing_runs_are_named_and_the_rest_is_there() -> None:
    missing = [("soft", "", 16, 1), *(("pet", "", "full", seed) for seed in range(3))]
    summary = summarise(fake_comparison(missing=missing))
    assert row_of(summary, "soft", 16).seeds == (0, 2)
    assert not [row for row in summary.rows if (row.strategy, row.shots) == ("pet", "full")]
    note = next(note for note in notes(summary) if "missing" in note)
    assert note.startswith("4 of 31 runs are missing: pet (full), seed 0; pet (full), seed 1; pet (full), seed 2; ")
    assert "soft (16 shots), seed 1." in note


def test_many_missing_runs_are_not_all_listed_and_an_empty_comparison_is_none_the_worse() -> None:
    comparison = fake_comparison()
    empty = replace(comparison, entries=tuple(replace(entry, run=None) for entry in comparison.entries))
    summary = summarise(empty)
    assert (summary.rows, summary.picks, summary.strongest) == ((), (), {})
    assert any("31 of 31 runs are missing" in note and "and 25 more" in note for note in notes(summary))
    assert method_text(summary) == "No row is compared with a baseline."


def test_without_a_baseline_nothing_is_compared_and_a_note_says_so() -> None:
    summary = summarise(fake_comparison(strategies=("hard", "soft"), baselines=("tfidf",), shots=(16,)))
    assert row_of(summary, "hard", None).against is None
    assert row_of(summary, "soft", 16).against is not None
    assert "No baseline to compare with: hard." in notes(summary)


@pytest.mark.parametrize("length", [400, 300])
def test_rows_judged_on_other_examples_are_not_compared(length: int) -> None:
    def turn(cell: Any, run: StoredRun) -> StoredRun:
        if cell.strategy != "soft":
            return run
        return replace(run, truth=1 - run.truth[:length], predicted=1 - run.predicted[:length])

    summary = summarise(changed(fake_comparison(), turn))
    assert row_of(summary, "soft", 16).against is None
    assert row_of(summary, "pet", 16).against is not None
    assert "Not compared, for the test examples are not the same: soft (16 shots); soft (full)." in notes(summary)
    alone = summarise(changed(fake_comparison(strategies=("soft",)), turn))
    said = "On reviews-en prompts were judged by other test examples than their baselines, so they are not compared."
    assert verdict_text(alone) == said


def test_rows_that_could_be_the_majority_are_marked_by_their_mean() -> None:
    summary = summarise(fake_comparison())
    for row in summary.rows:
        correct = round(row.test.mean * 400)
        expected = row.strategy != "majority" and no_better_than_majority(correct, 400, row.majority)
        assert row.no_better_than_majority == expected
    assert row_of(summary, "ptuning", 16).no_better_than_majority
    assert not row_of(summary, "soft", "full").no_better_than_majority


def test_three_seeds_are_not_three_times_as_many_answers() -> None:
    def answer(cell: Any, run: StoredRun) -> StoredRun:
        # 202 of 400 right in every seed, where the majority class has 187.
        return replace(run, predicted=np.where(np.arange(400) < 202, run.truth, 1 - run.truth))

    row = row_of(summarise(changed(fake_comparison(), answer)), "soft", 16)
    assert (row.test.mean, row.majority, row.test.n) == (0.505, 187 / 400, 3)
    assert row.no_better_than_majority
    assert not no_better_than_majority(3 * 202, 3 * 400, row.majority)


def test_small_dev_splits_and_few_seeds_are_warned_of() -> None:
    few = " ".join(notes(summarise(fake_comparison())))
    assert "At 16 shots dev has 32 examples" in few
    assert "With fewer than 5 seeds" in few
    many = " ".join(notes(summarise(fake_comparison(shots=("full",), seeds=range(5)))))
    assert "dev has" not in many
    assert "fewer than" not in many


def test_what_runs_warned_of_is_said_once_with_the_figures_of_the_first() -> None:
    def warn(cell: PlannedCell, run: StoredRun) -> StoredRun:
        if not isinstance(run.record, RunRecord):
            return run
        own = [f"{run.id / 10:.1f} of 16 demonstrations fit"] if cell.strategy == "soft" and cell.shots == 16 else []
        record = run.record.model_copy(update={"warnings": ("labels contradict.", *own)})
        return replace(run, record=record)

    said = [note for note in notes(summarise(changed(fake_comparison(), warn))) if note.startswith("Warned")]
    first = min(run.id for run in row_of(summarise(fake_comparison()), "soft", 16).runs) / 10
    assert said == [
        "Warned of by all that run a model: labels contradict.",
        f"Warned of by soft (16 shots), with the figures of the first: {first:.1f} of 16 demonstrations fit.",
    ]


def test_what_the_comparison_says_of_its_data_runs_do_not_say_again() -> None:
    def warn(cell: PlannedCell, run: StoredRun) -> StoredRun:
        if not isinstance(run.record, RunRecord):
            return run
        return replace(run, record=run.record.model_copy(update={"warnings": ("dev is cut", "labels contradict")}))

    comparison = changed(fake_comparison(), warn)
    said = notes(summarise(replace(comparison, spec={**comparison.spec, "notes": ["dev is cut"]})))
    assert "Dev is cut." in said
    assert [note for note in said if note.startswith("Warned")] == [
        "Warned of by all that run a model: labels contradict."
    ]


def test_a_warning_of_some_runs_counts_them() -> None:
    def warn(cell: PlannedCell, run: StoredRun) -> StoredRun:
        warnings = ("it did not move",) if (cell.strategy, cell.shots, cell.seed) == ("soft", 16, 1) else ()
        model = isinstance(run.record, RunRecord)
        return replace(run, record=run.record.model_copy(update={"warnings": warnings})) if model else run

    said = [note for note in notes(summarise(changed(fake_comparison(), warn))) if note.startswith("Warned")]
    assert said == ["Warned of by soft (16 shots), 1 of 3 runs: it did not move."]


def test_a_record_without_a_score_is_refused_in_one_line() -> None:
    broken = changed(fake_comparison(), lambda cell, run: with_dev(run, None))
    with pytest.raises(UserError, match="record of run 'majority-1' has no dev accuracy"):
        summarise(broken)


def test_what_the_experiment_lacks_is_said() -> None:
    comparison = fake_comparison()
    spec = {**comparison.spec, "notes": ["no zero-shot baseline: no label words are known."]}
    assert "No zero-shot baseline: no label words are known." in notes(summarise(replace(comparison, spec=spec)))
