"""Rows are held against baselines: against which, by what test, and how sure that is."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from fake_comparisons import VARIANTS, changed, fake_comparison, row_of

from promptkit.analysis import summarise
from promptkit.analysis.rows import Row
from promptkit.analysis.statistics import Difference, holm, paired_bootstrap, sign_flips
from promptkit.reports.wording import method_text, notes
from promptkit.runs.stored import StoredRun

TESTED = "paired bootstrap and sign flips"


def right(row: Row) -> Any:
    return np.stack([run.truth == run.predicted for run in row.runs])


def held_against(row: Row, baseline: Row, **settings: bool) -> Difference:
    """What a row is to differ by: the bootstrap's figures, its p no smaller than that of sign flips."""
    found = paired_bootstrap(right(row), right(baseline), **settings)
    return replace(found, p=max(found.p, sign_flips(right(row), right(baseline))))


def test_a_row_is_held_against_the_baseline_that_is_strongest_on_test() -> None:
    summary = summarise(fake_comparison())
    best = {shots: each.label for shots, each in summary.strongest.items()}
    assert best == {16: "hard (zero-shot)", "full": "TF-IDF + logistic regression"}
    for shots, baseline in (
        (16, row_of(summary, "hard", None, role="baseline")),
        ("full", row_of(summary, "tfidf", "full", role="baseline")),
    ):
        row = row_of(summary, "soft", shots)
        assert row.against is not None
        assert row.against.baseline == baseline.label
        assert row.against.difference == held_against(row, baseline)
        assert row.against.difference.mean == pytest.approx(row.test.mean - baseline.test.mean)
    assert "at 16 shots hard (zero-shot), of 3" in method_text(summary)
    assert "paired bootstrap over test examples and seeds, 10,000 resamples" in method_text(summary)


def test_no_other_baseline_leaves_a_row_a_smaller_difference() -> None:
    summary = summarise(fake_comparison())
    for row in summary.rows:
        if row.against:
            others = [b for b in summary.baselines if b.shots in (row.shots, None)]
            assert row.against.difference.mean == pytest.approx(min(row.test.mean - b.test.mean for b in others))


def test_a_row_that_is_ahead_has_the_largest_p_against_any_baseline() -> None:
    truth = np.tile([0, 1], 100)
    rights = {"hard": (130, 130, 130), "tfidf": (100, 128, 160), "soft": (140, 139, 141)}  # of 200, by seed

    def answered(cell: Any, run: StoredRun) -> StoredRun:
        known = np.arange(len(truth)) < rights.get(cell.strategy, (100,) * 3)[cell.seed]
        return replace(run, truth=truth, predicted=np.where(known, truth, 1 - truth))

    summary = summarise(changed(fake_comparison(strategies=("soft",), shots=(16,)), answered))
    row = row_of(summary, "soft", 16)
    noisy, strongest = row_of(summary, "tfidf", 16, role="baseline"), row_of(summary, "hard", None, role="baseline")
    against_strongest, against_noisy = (held_against(row, it) for it in (strongest, noisy))
    assert row.against is not None
    assert against_strongest.p < 0.05 < against_noisy.p
    assert row.against.difference.p == against_noisy.p
    assert not row.is_better


def test_a_row_that_is_behind_is_tested_against_the_strongest_alone() -> None:
    summary = summarise(fake_comparison(accuracies={("soft", 16): 0.4}))
    row, baseline = row_of(summary, "soft", 16), row_of(summary, "hard", None, role="baseline")
    assert row.against is not None
    assert row.against.difference == held_against(row, baseline)


def test_p_is_corrected_over_all_rows_that_are_compared() -> None:
    against = [row.against for row in summarise(fake_comparison(variants=VARIANTS)).rows if row.against]
    assert len(against) == 10
    assert [each.p_adjusted for each in against] == holm([each.difference.p for each in against])
    assert {each.method for each in against} == {TESTED}
    assert all(each.p_adjusted > 0 for each in against)


def test_one_run_against_one_is_mcnemar() -> None:
    summary = summarise(fake_comparison(seeds=(0,)))
    row, baseline = row_of(summary, "soft", "full"), row_of(summary, "tfidf", "full", role="baseline")
    assert row.against is not None
    assert row.against.method == "exact McNemar"
    assert row.against.difference.p == sign_flips(right(row), right(baseline))
    assert row.against.difference.low == paired_bootstrap(right(row), right(baseline)).low
    assert "p by exact McNemar tests, for a row that is ahead the largest" in method_text(summary)
    assert "after Holm over the 6 rows" in method_text(summary)


def test_a_single_run_beside_rows_of_several_is_tested_as_if_it_stood_alone() -> None:
    lone = [("soft", "", 16, seed) for seed in (1, 2)]
    beside = summarise(fake_comparison(strategies=("soft", "pet"), shots=(16,), missing=lone))
    row, baseline = row_of(beside, "soft", 16), row_of(beside, "hard", None, role="baseline")
    assert row.against is not None
    assert row.against.method == "exact McNemar"
    assert row.against.difference.p == sign_flips(right(row), right(baseline))
    assert row_of(beside, "pet", 16).against.method == TESTED  # type: ignore[union-attr]
    assert "sign flips over test examples, of one run against one by an exact McNemar test" in method_text(beside)


@pytest.mark.parametrize(
    ("examples", "said"), [(400, "5.0 points either way."), (16, "25.0 points either way. With --folds")]
)
def test_how_sure_so_many_test_examples_are_is_said(examples: int, said: str) -> None:
    found = notes(summarise(fake_comparison(test_examples=examples)))
    (note,) = (each for each in found if each.startswith(f"Test has {examples} examples: "))
    assert said in note
    assert ("--folds" in note) == (examples == 16)


def test_four_texts_of_ten_are_no_proof_however_many_seeds_agree() -> None:
    truth = np.tile([0, 1], 5)

    def answered(cell: Any, run: StoredRun) -> StoredRun:
        known = np.arange(10) < (10 if cell.strategy == "soft" else 6)
        return replace(run, truth=truth, predicted=np.where(known, truth, 1 - truth))

    summary = summarise(changed(fake_comparison(strategies=("soft",), shots=(16,)), answered))
    row = row_of(summary, "soft", 16)
    assert row.against is not None
    assert row.against.p_adjusted == pytest.approx(0.125)
    assert not row.is_better


def test_a_row_that_answers_as_its_baseline_does_differs_by_nothing() -> None:
    comparison = fake_comparison(strategies=("hard",), baselines=("hard",))
    baseline = comparison.entries[0].run
    assert baseline is not None
    (row,) = [row for row in summarise(changed(comparison, lambda cell, run: baseline)).rows if row.against]
    assert row.against is not None
    assert (row.against.difference.mean, row.against.difference.p, row.against.p_adjusted) == (0.0, 1.0, 1.0)


def test_runs_are_paired_by_seed_only_where_both_sides_have_the_same() -> None:
    summary = summarise(fake_comparison(missing=[("soft", "", "full", 1), ("tfidf", "", "full", 0)]))
    row, baseline = row_of(summary, "soft", "full"), row_of(summary, "tfidf", "full", role="baseline")
    assert (row.seeds, baseline.seeds) == ((0, 2), (1, 2))
    assert row.against is not None
    assert row.against.difference == held_against(row, baseline, same_seeds=False)


def test_rows_that_learn_nothing_are_corrected_apart_from_those_that_learn() -> None:
    """One way more of asking an untrained model leaves p of the trained rows as it was."""
    from promptkit.reports.wording import method_text

    alone = summarise(fake_comparison(strategies=("pet", "soft"), shots=(16,)))
    beside = summarise(fake_comparison(strategies=("pet", "soft", "hard"), shots=(16,)))
    for before in alone.compared:
        assert before.against.p_adjusted == row_of(beside, before.strategy, 16).against.p_adjusted
    untrained = row_of(beside, "hard", None).against
    assert untrained.p_adjusted == untrained.difference.p
    assert method_text(alone).endswith("after Holm over the 2 rows compared.")
    ends = "after Holm over the 2 rows that learn, and apart from them the 1 that learns nothing."
    assert method_text(beside).endswith(ends)
