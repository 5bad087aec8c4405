"""The first paragraph says what the figures say, and no more."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from fake_comparisons import fake_comparison

from promptkit.analysis import Summary, summarise
from promptkit.analysis.rows import Against
from promptkit.analysis.statistics import Difference, Spread
from promptkit.reports.answer import answer
from promptkit.reports.wording import notes
from promptkit.runs.stored import StoredRun


@pytest.fixture(scope="module")
def plain() -> Summary:
    """Two strategies, one K, three seeds."""
    return summarise(fake_comparison(strategies=("soft", "pet"), shots=(16,), test_examples=60))


def against(mean: float, low: float, high: float, p: float) -> Against:
    return Against("hard (zero-shot)", Difference(mean, low, high, p), p, "paired bootstrap")


def shaped(summary: Summary, changes: Mapping[str, dict[str, Any]]) -> Summary:
    """The summary with fields of the strategies' rows changed."""
    rows = tuple(
        replace(row, **changes.get(row.strategy, {})) if row.role == "strategy" else row for row in summary.rows
    )
    return replace(summary, rows=rows)


def said(summary: Summary, *, times: bool = True) -> str:
    found = answer(summary, times=times)
    return " ".join([found.lead, *found.evidence, *found.cost]).replace("\u00a0", " ")


BEST = {"test": Spread(0.8, 0.02, 3), "dev": Spread(0.7, 0.01, 3), "no_better_than_majority": False}
OTHER = {
    "test": Spread(0.6, 0.01, 3),
    "dev": Spread(0.75, 0.01, 3),
    "against": against(-0.05, -0.1, 0.0, 0.2),
    "no_better_than_majority": False,
}


def test_a_prompt_that_beats_its_baseline_is_the_verdict(plain: Summary) -> None:
    best = {**BEST, "against": against(0.081, 0.052, 0.11, 0.0004)}
    text = said(shaped(plain, {"soft": best, "pet": OTHER}))
    assert text.startswith(
        "soft with 16 examples a class beats the best baseline, hard (zero-shot), on reviews-en by "
        "8.1 points. 80.0 % of 60 test examples are right (mean of 3 seeds, standard deviation 2.0 points). "
        "It is 8.1 points above the best baseline, hard (zero-shot) (95 % interval +5.2 to +11.0, p < 0.001). "
        "Of the 2 rows compared, 1 beat"
    )
    assert "chance:" not in text
    assert "It was picked on dev, by 5 dev scores." in text
    assert "dev alone would pick pet with 16 examples a class (60.0 % on test)." in text


def test_a_lead_that_may_be_chance_is_no_verdict(plain: Summary) -> None:
    best = {**BEST, "against": against(0.02, -0.01, 0.05, 1.0)}
    found = answer(shaped(plain, {"soft": best, "pet": OTHER}))
    assert found.lead == "No prompt is told apart from hard (zero-shot) on reviews-en."
    evidence = " ".join(found.evidence)
    assert "soft with 16 examples a class is best on test of 2 prompts, chance or not: 80.0" in evidence
    assert "It is 2.0 points above the best baseline" in evidence
    assert "p = 1.000): that may well be chance." in evidence
    assert "None of the 2 rows compared beats its best baseline beyond chance." in evidence


def test_nothing_beats_the_baseline_and_it_beats_one(plain: Summary) -> None:
    best = {**BEST, "against": against(-0.06, -0.09, -0.02, 0.003)}
    text = said(shaped(plain, {"soft": best, "pet": OTHER}))
    assert text.startswith("No prompt beats hard (zero-shot) on reviews-en beyond chance. ")
    assert "It is 6.0 points below the best baseline" in text
    assert "None of the 2 rows compared beats its best baseline beyond chance. 1 is worse than it." in text


def test_exactly_as_good(plain: Summary) -> None:
    best = {**BEST, "against": against(0.0, -0.03, 0.03, 1.0)}
    assert "exactly as good as the best baseline" in said(shaped(plain, {"soft": best, "pet": OTHER}))


def test_the_verdict_names_what_beats_its_baseline_and_not_the_best_mean(plain: Summary) -> None:
    best = {**BEST, "against": against(0.02, -0.01, 0.05, 0.2)}
    other = {**OTHER, "against": against(0.1, 0.05, 0.15, 0.01)}
    found = answer(shaped(plain, {"soft": best, "pet": other}))
    assert found.lead.startswith("pet with 16 examples a class beats the best baseline")
    assert "soft" not in found.lead
    assert "A run of pet" in found.cost[0]


def test_a_prompt_that_is_not_the_best_by_test_was_not_named_for_that(plain: Summary) -> None:
    best = {**BEST, "against": against(0.02, -0.01, 0.05, 0.2)}
    other = {**OTHER, "against": against(0.1, 0.05, 0.15, 0.01)}
    text = said(shaped(plain, {"soft": best, "pet": other}))
    assert "Dev alone would pick the same prompt." in text
    assert "flatters" not in text


def test_what_is_fitted_on_all_examples_has_no_seeds_to_tell_of() -> None:
    summary = summarise(fake_comparison(strategies=("soft",), shots=("full",), seeds=(0,)))
    assert "how much the initial values matter" in said(summary)
    assert any(note.startswith("One seed: soft (full)") for note in notes(summary))
    rows = tuple(
        replace(row, runs=tuple(map(fitted, row.runs))) if row.strategy == "soft" else row for row in summary.rows
    )
    summary = replace(summary, rows=rows)
    assert "one seed" not in said(summary)
    assert not any(note.startswith("One seed") for note in notes(summary))


@pytest.mark.parametrize("depends_on", [("examples", "seed"), ("examples",)])
def test_what_draws_without_epochs_has_seeds_to_tell_of(depends_on: tuple[str, ...]) -> None:
    """As `autoprompt` and `icl` do with all examples, and `probe` does not."""
    summary = summarise(fake_comparison(strategies=("soft",), shots=("full",), seeds=(0,)))
    rows = tuple(
        replace(row, runs=tuple(fitted(run, depends_on) for run in row.runs)) if row.strategy == "soft" else row
        for row in summary.rows
    )
    summary = replace(summary, rows=rows)
    draws = "seed" in depends_on
    assert ("(one seed, so how much the seed matters is not known)" in said(summary)) is draws
    cautions = [note for note in notes(summary) if note.startswith("One seed: soft (full)")]
    assert [note.endswith("do not tell how much the seed matters.") for note in cautions] == [True] * draws


def fitted(run: StoredRun, depends_on: tuple[str, ...] | None = None) -> StoredRun:
    return replace(run, record=run.record.model_copy(update={"epochs_run": 0, "depends_on": depends_on}))


def test_several_that_beat_it_are_not_ranked_beyond_what_was_tested(plain: Summary) -> None:
    best = {**BEST, "against": against(0.2, 0.1, 0.3, 0.01)}
    other = {**OTHER, "against": against(0.1, 0.05, 0.15, 0.01)}
    found = answer(shaped(plain, {"soft": best, "pet": other}))
    assert found.lead.startswith("2 of 2 prompts beat their best baseline on reviews-en; right most often is soft")
    said_of_others = "The others that do: pet with 16 examples a class. Which of them is better was not tested."
    assert said_of_others in found.evidence


def test_each_baseline_is_named_where_shots_have_different_ones() -> None:
    near = {("soft", 16): 0.65, ("soft", "full"): 0.76}
    summary = summarise(fake_comparison(strategies=("soft",), accuracies=near))
    assert {row.is_told_apart for row in summary.compared} == {False}
    assert answer(summary).lead == (
        "No prompt is told apart from its best baseline on reviews-en: at 16 shots hard (zero-shot), with all of "
        "train TF-IDF + logistic regression."
    )


def test_a_variant_that_dev_did_not_pick_is_no_verdict() -> None:
    summary = summarise(fake_comparison(strategies=("soft",), variants={"soft": ("a=1", "a=2")}, shots=(16,)))
    (pick,) = summary.picks
    won = {True: against(0.0, -0.1, 0.1, 1.0), False: against(0.3, 0.2, 0.4, 0.001)}
    rows = tuple(
        replace(row, against=won[row.variant == pick.variant]) if row.role == "strategy" else row
        for row in summary.rows
    )
    found = answer(replace(summary, rows=rows))
    assert found.lead == "No prompt that dev picked beats hard (zero-shot) on reviews-en beyond chance."
    assert any(text.startswith("Of the variants that dev did not pick these do: soft, a=") for text in found.evidence)


def test_no_better_than_the_majority(plain: Summary) -> None:
    best = {**BEST, "against": against(0.0, -0.1, 0.1, 1.0), "no_better_than_majority": True}
    assert "not told apart from always answering the most frequent class" in said(
        shaped(plain, {"soft": best, "pet": OTHER})
    )


def test_what_it_costs_with_and_without_times(plain: Summary) -> None:
    best = {**BEST, "against": None, "train_seconds": 92.34, "artifact_bytes": 16_000.0}
    summary = shaped(plain, {"soft": best, "pet": OTHER})
    assert "learns 3,840 prompt parameters, takes 92.3 s to train and leaves 16.0 KB to keep." in said(summary)
    assert "learns 3,840 prompt parameters and leaves 16.0 KB to keep." in said(summary, times=False)


def test_one_run_without_baselines() -> None:
    summary = summarise(fake_comparison(strategies=("soft",), baselines=(), shots=(16,), seeds=(0,)))
    text = said(summary)
    assert text.startswith("No baseline to hold a prompt against on reviews-en, so what prompting is worth there ")
    assert "the only prompt compared" in text
    assert "one seed, so how much the draw matters is not known" in text
    assert "There is no baseline" in text
    assert "flatters" not in text


def test_only_what_dev_picked_takes_part() -> None:
    summary = summarise(
        fake_comparison(
            strategies=("soft",),
            variants={"soft": ("tokens=1", "tokens=5", "tokens=20")},
            shots=(16,),
            test_examples=60,
        )
    )
    pick = summary.picks[0]
    other = next(row for row in summary.strategies if row.variant != pick.variant)
    rows = tuple(replace(row, test=Spread(0.99, 0.0, 3)) if row is other else row for row in summary.rows)
    text = said(replace(summary, rows=rows))
    assert f"soft, {pick.variant} with 16 examples a class is the only prompt compared: " in text
    assert "Its variant was picked on dev, of 3 by 15 dev scores in all." in text
    level = said(replace(summary, rows=rows, picks=(replace(pick, tied=(other.variant,)),)))
    assert "of 3 by 15 dev scores in all, where 2 were level and it came first." in level


@pytest.mark.parametrize("gone", [[], [("hard", "", None, 0)]])
def test_where_only_baselines_were_compared_no_prompt_is_waited_for(gone: list[Any]) -> None:
    summary = summarise(fake_comparison(strategies=(), shots=(16,), seeds=(0,), missing=gone))
    missing = " 1 of 3 runs is missing, so this may change." if gone else ""
    assert said(summary) == f"Only baselines were compared, so nothing is said of prompts.{missing}"


@pytest.mark.parametrize("missing", [1, 2])
def test_what_is_missing_is_said(missing: int) -> None:
    gone = [("soft", "", 16, seed) for seed in range(missing)]
    summary = summarise(fake_comparison(strategies=("soft",), shots=(16,), missing=gone, test_examples=40))  # type: ignore[arg-type]
    assert f"{missing} of 10 runs {'is' if missing == 1 else 'are'} missing, so this may change." in said(summary)


def test_nothing_finished_is_no_answer() -> None:
    gone = [("soft", "", 16, 0)]
    summary = summarise(
        fake_comparison(strategies=("soft",), baselines=(), shots=(16,), seeds=(0,), missing=gone)  # type: ignore[arg-type]
    )
    assert said(summary) == (
        "No prompt has been run to the end yet, so there is no answer. 1 of 1 runs is missing, so this may change."
    )
