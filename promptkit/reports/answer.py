"""The answer of a comparison in one paragraph, and no better than the figures are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from promptkit.analysis.figures import p_text, short_number
from promptkit.drawing.selection import featured, shots_phrase
from promptkit.evaluation.baselines import SIGNIFICANCE
from promptkit.reports.table import human_bytes
from promptkit.runs.record import LearntParameters

if TYPE_CHECKING:
    from promptkit.analysis.summary import Row, Summary

_SPACE = "\u00a0"  # keeps a figure and its unit on one line
_DIGITS = 9  # means of equal scores over different numbers of seeds may differ in the last digit


@dataclass(frozen=True)
class Answer:
    """What came out.

    Attributes:
        lead: the sentence to read if only one is read.
        rest: how it was picked, how sure it is, what it costs; sentences.
    """

    lead: str
    rest: tuple[str, ...]


def answer(summary: Summary, *, times: bool = True) -> Answer:
    """Say which prompt did best on test, how it was picked, how sure its lead is, and what it costs.

    Of a strategy with several variants only the one that dev picked takes part. A difference counts as one if its
    adjusted p is below 0.05.

    Args:
        summary: what `summarise` returned.
        times: whether to say how long training took.
    """
    rows = featured(summary)
    if not rows:
        return Answer("No prompt has been run to the end yet, so there is no answer.", _missing(summary))
    best = max(rows, key=lambda row: round(row.test.mean, _DIGITS))
    task = best.runs[0].record.task
    if len(rows) == 1:
        among = "the prompt that dev picked" if summary.picks else "the only prompt compared"
    else:
        many = f"the {len(rows)} prompts that dev picked" if summary.picks else f"{len(rows)} prompts compared"
        among = f"best on test of {many}"
    lead = (
        f"{_name(best)} is {among} on {task.name}: {_score(best)} of {task.test:,} test examples are right"
        f"{_over_seeds(best)}."
    )
    doubts = []
    if best.no_better_than_majority:
        doubts.append("That is no better than always answering the most frequent class.")
    sure = [*_against(best, "It"), *doubts, *_others(summary, best)]
    return Answer(lead, (*sure, *_picked(summary, best, rows), _cost(best, times), *_missing(summary)))


def is_better(row: Row) -> bool:
    """Tell whether a row is better than its best baseline beyond chance."""
    return row.against is not None and row.against.difference.mean > 0 and row.against.p_adjusted < SIGNIFICANCE


def _name(row: Row) -> str:
    return f"{row.label} {shots_phrase(row.shots)}"


def _score(row: Row) -> str:
    return f"{100 * row.test.mean:.1f}{_SPACE}%"


def _over_seeds(row: Row) -> str:
    if row.test.std is not None:
        return f" (mean of {row.test.n} seeds, standard deviation {100 * row.test.std:.1f} points)"
    return "" if row.shots is None else " (one seed, so how much the draw matters is not known)"


def _against(row: Row, subject: str) -> list[str]:
    if row.against is None:
        return ["There is no baseline that it can be held against."]
    difference, baseline = row.against.difference, row.against.baseline
    interval = (
        f"95{_SPACE}% interval {_points(difference.low)} to {_points(difference.high)}, {_p(row.against.p_adjusted)}"
    )
    if difference.mean == 0:
        return [f"{subject} is exactly as good as the best baseline, {baseline} ({interval})."]
    distance = f"{abs(100 * difference.mean):.1f} points {'above' if difference.mean > 0 else 'below'}"
    said = f"{subject} is {distance} the best baseline, {baseline} ({interval})"
    if row.against.p_adjusted < SIGNIFICANCE:
        return [f"{said}."]
    return [f"{said}: that may well be chance."]


def _others(summary: Summary, best: Row) -> list[str]:
    """Say how many rows beat their baseline, and which if the best one does not."""
    compared = [row for row in summary.rows if row.against is not None]
    if len(compared) < 2:
        return [] if not compared or is_better(best) else ["So nothing here beats the baseline."]
    better = [row for row in compared if is_better(row)]
    if not better:
        return [f"None of the {len(compared)} rows compared beats its best baseline beyond chance."]
    if is_better(best):
        return [f"Of the {len(compared)} rows compared, {len(better)} beat their best baseline beyond chance."]
    names = _listed([_name(row) for row in better])
    return [f"Of the {len(compared)} rows compared, {len(better)} beat their best baseline beyond chance: {names}."]


def _picked(summary: Summary, best: Row, rows: Sequence[Row]) -> list[str]:
    """Say what dev picked, and that test picked the best of the rest."""
    said = []
    pick = next((p for p in summary.picks if (p.strategy, p.shots) == (best.strategy, best.shots)), None)
    if pick is not None:
        said.append(f"Its variant was picked on dev, of {pick.variants} by {pick.candidates} dev scores in all.")
    elif best.candidates > 1:
        said.append(f"Its epoch was picked on dev, of {best.candidates}.")
    if len(rows) > 1:
        by_dev = max(rows, key=lambda row: round(row.dev.mean, _DIGITS))
        would = "the same prompt" if by_dev is best else f"{_name(by_dev)} ({_score(by_dev)} on test)"
        said.append(
            f"Naming the best of {len(rows)} by their test scores flatters it a little; dev alone would pick {would}."
        )
    return said


def _cost(row: Row, times: bool) -> str:
    parts = [f"learns {_learnt(row.parameters)}"]
    if times and row.train_seconds:
        parts.append(f"takes {short_number(row.train_seconds)}{_SPACE}s to train")
    if row.artifact_bytes is not None:
        parts.append(f"leaves {human_bytes(round(row.artifact_bytes)).replace(' ', _SPACE)} to keep")
    return f"A run of it {_listed(parts)}."


def _learnt(parameters: LearntParameters) -> str:
    named = {name: getattr(parameters, name) for name in ("prompt", "encoder", "head", "backbone")}
    counts = [f"{count:,} {name}" for name, count in named.items() if count]
    return f"{_listed(counts)} parameters" if counts else "nothing"


def _missing(summary: Summary) -> tuple[str, ...]:
    missing, planned = summary.comparison.missing, len(summary.comparison.entries)
    if not missing:
        return ()
    return (f"{missing} of {planned} runs {'is' if missing == 1 else 'are'} missing, so this may change.",)


def _listed(names: Sequence[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _p(p: float) -> str:
    text = p_text(p)
    return f"p {text}" if text.startswith("<") else f"p = {text}"


def _points(share: float) -> str:
    return f"{100 * share:+.1f}".replace("-", "−")
