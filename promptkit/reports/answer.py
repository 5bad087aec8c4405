"""The answer of a comparison in one paragraph, and no better than the figures are: verdict, evidence, cost."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from promptkit.analysis.cautions import seed_matters, takes_epochs
from promptkit.analysis.names import shots_phrase
from promptkit.analysis.rows import Row
from promptkit.analysis.summary import Summary
from promptkit.analysis.verdict import Verdict, verdict
from promptkit.errors import listed
from promptkit.reports.figures import p_text, short_number
from promptkit.reports.table import human_bytes
from promptkit.reports.wording import at_shots
from promptkit.runs.record import LearntParameters

_SPACE = "\u00a0"  # keeps a figure and its unit on one line
_NAMED = 3


@dataclass(frozen=True)
class Answer:
    """What came out.

    Attributes:
        lead: the verdict, the sentence to read if only one is read.
        evidence: the figures it rests on, how sure they are and how they were picked; sentences.
        cost: what that prompt costs; sentences.
    """

    lead: str
    evidence: tuple[str, ...]
    cost: tuple[str, ...]


def answer(summary: Summary, *, times: bool = True) -> Answer:
    """Say whether any prompt beats the baselines, on what evidence, and what it costs.

    A prompt is named as better only if it beats its best baseline beyond chance: adjusted p below 0.05. Of a strategy
    with several variants only the one that dev picked takes part.

    Args:
        summary: what `summarise` returned.
        times: whether to say how long training took.
    """
    found = verdict(summary)
    row = found.spoken_of
    if row is None:
        return Answer(_no_prompt(summary), _missing(summary), ())
    evidence = (
        *_result(found, row),
        *_counts(found),
        *_others(found),
        *_picked(summary, found, row),
        *_missing(summary),
    )
    return Answer(_lead(summary, found, row), evidence, (_cost(row, times),))


def verdict_text(summary: Summary) -> str:
    """Return the verdict of a comparison in one sentence."""
    return answer(summary).lead.replace(_SPACE, " ")


def _no_prompt(summary: Summary) -> str:
    """Say why no prompt is spoken of: there is none, or none is finished."""
    roles = {entry.cell.role for entry in summary.comparison.entries}
    if roles == {"baseline"}:
        return "Only baselines were compared, so nothing is said of prompts."
    return "No prompt has been run to the end yet, so there is no answer."


def _lead(summary: Summary, found: Verdict, row: Row) -> str:
    data = row.runs[0].record.task.name
    if not found.compared and summary.unlike:
        return f"On {data} prompts were judged by other test examples than their baselines, so they are not compared."
    if not found.compared:
        return f"No baseline to hold a prompt against on {data}, so what prompting is worth there cannot be said."
    if found.winners and row.against is not None:
        if len(found.winners) == 1:
            return (
                f"{_name(row)} beats the best baseline, {row.against.baseline}, on {data} by {_distance(row)} points."
            )
        return (
            f"{len(found.winners)} of {len(found.prompts)} prompts beat their best baseline on {data}; "
            f"right most often is {_name(row)}, {_distance(row)} points above {row.against.baseline}."
        )
    against, which = _baselines(found.compared)
    if found.others:
        return f"No prompt that dev picked beats {against} on {data} beyond chance{which}."
    if len(found.compared) == 1:
        only = found.compared[0]
        how = "is worse than" if found.worse else "is not told apart from"
        return f"{_name(only)} {how} {against} on {data}."
    if found.worse:
        return f"No prompt beats {against} on {data} beyond chance{which}."
    return f"No prompt is told apart from {against} on {data}{which}."


def _result(found: Verdict, row: Row) -> list[str]:
    """Say how often the row is right, and how sure its distance to the baseline is."""
    right = f"{_share(row)} of {row.runs[0].record.task.test:,} test examples are right{_over_seeds(row)}"
    said = [f"{_place(found, row)}{right}.", *_against(row)]
    if row.no_better_than_majority:
        said.append("That is not told apart from always answering the most frequent class.")
    return said


def _place(found: Verdict, row: Row) -> str:
    if len(found.prompts) == 1:
        return f"{_name(row)} is the only prompt compared: "
    if len(found.winners) == 1:
        return ""
    which = "of those that do" if found.winners else f"of {len(found.prompts)} prompts, chance or not"
    return f"{_name(row)} is best on test {which}: "


def _name(row: Row) -> str:
    return f"{row.label} {shots_phrase(row.shots)}"


def _share(row: Row) -> str:
    return f"{100 * row.test.mean:.1f}{_SPACE}%"


def _distance(row: Row) -> str:
    assert row.against is not None
    return f"{abs(100 * row.against.difference.mean):.1f}"


def _over_seeds(row: Row) -> str:
    if row.test.std is not None:
        return f" (mean of {row.test.n} seeds, standard deviation {100 * row.test.std:.1f} points)"
    if not seed_matters(row):
        return ""
    trained = "the initial values matter" if takes_epochs(row) else "the seed matters"
    matters = "the draw matters" if isinstance(row.shots, int) else trained
    return f" (one seed, so how much {matters} is not known)"


def _baselines(rows: Sequence[Row]) -> tuple[str, str]:
    """Name what the rows are held against, and what to say behind where that is not the same baseline for all."""
    named = dict.fromkeys((row.shots, row.against.baseline) for row in rows if row.against is not None)
    labels = {label for _, label in named}
    if len(labels) == 1:
        return labels.pop(), ""
    return "its best baseline", f": {', '.join(f'{at_shots(shots)} {label}' for shots, label in named)}"


def _against(row: Row) -> list[str]:
    if row.against is None:
        return ["There is no baseline that it can be held against."]
    difference, baseline = row.against.difference, row.against.baseline
    interval = (
        f"95{_SPACE}% interval {_points(difference.low)} to {_points(difference.high)}, {_p(row.against.p_adjusted)}"
    )
    if difference.mean == 0:
        return [f"It is exactly as good as the best baseline, {baseline} ({interval})."]
    side = "above" if difference.mean > 0 else "below"
    said = f"It is {_distance(row)} points {side} the best baseline, {baseline} ({interval})"
    return [f"{said}." if row.is_told_apart else f"{said}: that may well be chance."]


def _counts(found: Verdict) -> list[str]:
    """Say how many rows beat their baseline, and how many it beats."""
    total, better, worse = len(found.compared), len(found.winners) + len(found.others), len(found.worse)
    if total < 2:
        return []
    below = f" {worse} {'is' if worse == 1 else 'are'} worse than it." if worse else ""
    if not better:
        return [f"None of the {total} rows compared beats its best baseline beyond chance.{below}"]
    return [f"Of the {total} rows compared, {better} beat their best baseline beyond chance.{below}"]


def _others(found: Verdict) -> list[str]:
    """Name the other rows that beat their baseline, and say that the prompts were not tested on each other."""
    said = []
    if len(found.winners) > 1:
        said.append(f"The others that do: {_some(found.winners[1:])}. Which of them is better was not tested.")
    if found.others:
        said.append(f"Of the variants that dev did not pick these do: {_some(found.others)}.")
    return said


def _picked(summary: Summary, found: Verdict, row: Row) -> list[str]:
    """Say what dev picked, and that test picked the best of the rest."""
    said = []
    pick = next((p for p in summary.picks if (p.strategy, p.shots) == (row.strategy, row.shots)), None)
    if pick is not None:
        level = f", where {1 + len(pick.tied)} were level and it came first" if pick.tied else ""
        said.append(
            f"Its variant was picked on dev, of {pick.variants} by {pick.candidates} dev scores in all{level}."
        )
    elif row.candidates > 1:
        said.append(f"It was picked on dev, by {row.candidates} dev scores.")
    if len(found.prompts) > 1 and found.by_dev is not None:
        other = found.by_dev
        would = "the same prompt" if other is row else f"{_name(other)} ({_share(other)} on test)"
        if row is not found.best and len(found.winners) == 1:
            said.append(f"Dev alone would pick {would}.")
        else:
            of = len(found.prompts if row is found.best else found.winners)
            said.append(
                f"Naming the best of {of} by their test scores flatters it a little; dev alone would pick {would}."
            )
    return said


def _cost(row: Row, times: bool) -> str:
    parts = [f"learns {_learnt(row.parameters)}"]
    if times and row.train_seconds:
        parts.append(f"takes {short_number(row.train_seconds)}{_SPACE}s to train")
    if row.artifact_bytes is not None:
        parts.append(f"leaves {human_bytes(round(row.artifact_bytes)).replace(' ', _SPACE)} to keep")
    return f"A run of {_name(row)} {listed(parts)}."


def _learnt(parameters: LearntParameters) -> str:
    named = {name: getattr(parameters, name) for name in ("prompt", "encoder", "head", "backbone")}
    counts = [f"{count:,} {name}" for name, count in named.items() if count]
    return f"{listed(counts)} parameters" if counts else "nothing"


def _missing(summary: Summary) -> tuple[str, ...]:
    missing, planned = len(summary.missing), len(summary.comparison.entries)
    if not missing:
        return ()
    return (f"{missing} of {planned} runs {'is' if missing == 1 else 'are'} missing, so this may change.",)


def _some(rows: Iterable[Row]) -> str:
    names = [_name(row) for row in rows]
    rest = len(names) - _NAMED
    return listed(names if rest <= 0 else [*names[:_NAMED], f"{rest} more"])


def _p(p: float) -> str:
    text = p_text(p)
    return f"p {text}" if text.startswith("<") else f"p = {text}"


def _points(share: float) -> str:
    return f"{100 * share:+.1f}".replace("-", "−")
