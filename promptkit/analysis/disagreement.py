"""The test examples on which the prompts of a comparison disagree most, with their texts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from promptkit.analysis.rows import Row
from promptkit.analysis.selection import featured
from promptkit.analysis.summary import Summary
from promptkit.runs.predictions import PREDICTIONS_NAME, read_texts
from promptkit.runs.stored import Shots, StoredRun

LIMIT = 12
Lack = Literal["prompts", "difference", "texts"]
"""Why there are no examples: not two prompts judged alike, no two answers that differ, no texts left on disk."""


@dataclass(frozen=True)
class Vote:
    """What one prompt, or TF-IDF, said of an example.

    Attributes:
        name: label of its row.
        predicted: the class most of its seeds predicted; of equals the first in the order of the classes.
        seeds: how many predicted that.
        of: how many seeds there are.
        right: whether it is the true class.
    """

    name: str
    predicted: str
    seeds: int
    of: int
    right: bool


@dataclass(frozen=True)
class Disagreed:
    """A test example on which the answers differ.

    Attributes:
        index: from 0, as in `predictions.tsv`.
        fields: its texts by name, as they were read.
        label: the true class.
        answers: one for each row compared.
    """

    index: int
    fields: dict[str, str]
    label: str
    answers: tuple[Vote, ...]


@dataclass(frozen=True)
class Disagreement:
    """Where prompts disagree.

    Attributes:
        examples: the greatest disagreement first.
        total: on how many test examples any two of the answers differ.
        of: how many test examples there are.
        lack: why there are no examples; None if there are some.
        compared: labels of the rows compared; empty if there are no two.
        shots: of those of them that learn; None if none does.
    """

    examples: tuple[Disagreed, ...]
    total: int
    of: int
    lack: Lack | None
    compared: tuple[str, ...] = ()
    shots: Shots = None


def disagreement(summary: Summary, limit: int = LIMIT) -> Disagreement:
    """Find the test examples on which the prompts of one K disagree most.

    Compared are the strategies at the K that most of them have (of equals, the one with the most examples), each
    with the variant that dev picked, and the baselines of that K or of none, but not the majority class. A prompt's
    answer is the majority of its seeds. The measure is the Jensen-Shannon divergence of the seeds' votes, every
    prompt with the same weight (Lin 1991, section 5): it is largest where the seeds of each prompt agree among
    themselves and the prompts do not. Of equals the first example comes first.

    The texts are read from the run directories that still exist.
    """
    rows = _judged_alike(_rows(summary))
    if len(rows) < 2:
        return Disagreement((), 0, 0, "prompts")
    compared = tuple(row.label for row in rows)
    shots = next((row.shots for row in rows if row.shots is not None), None)
    truth, labels = rows[0].runs[0].truth, rows[0].runs[0].record.task.labels
    votes = np.stack([_votes(row, len(labels)) for row in rows])  # (rows, N, C)
    chosen = votes.argmax(axis=2)
    differ = (chosen != chosen[0]).any(axis=0)
    total = int(differ.sum())
    if not total:
        return Disagreement((), 0, len(truth), "difference", compared, shots)
    texts = _texts(summary, truth, labels)
    if texts is None:
        return Disagreement((), total, len(truth), "texts", compared, shots)
    score = np.where(differ, _divergence(votes), -1.0).round(12)
    worst = np.argsort(-score, kind="stable")[: min(limit, total)]
    examples = tuple(
        Disagreed(
            index=int(index),
            fields=texts[index],
            label=labels[truth[index]],
            answers=tuple(
                _vote(row, votes[place, index], labels, int(truth[index])) for place, row in enumerate(rows)
            ),
        )
        for index in worst
    )
    return Disagreement(examples, total, len(truth), None, compared, shots)


def _rows(summary: Summary) -> list[Row]:
    """Return the rows that are compared: one a strategy, and the baselines that go with them."""
    rows = featured(summary)
    counts: Counter[Shots] = Counter(row.shots for row in rows if row.shots is not None)
    shots = max(counts, key=lambda k: (counts[k], k == "full", k if isinstance(k, int) else 0)) if counts else None
    chosen: tuple[Shots, ...] = (shots, None)
    return [row for row in (*summary.answering_baselines, *rows) if row.shots in chosen]


def _judged_alike(rows: Sequence[Row]) -> list[Row]:
    """Return the rows all of whose runs were judged on the examples of the first one."""
    if not rows:
        return []
    first = rows[0].runs[0]

    def alike(run: StoredRun) -> bool:
        return run.record.task.labels == first.record.task.labels and np.array_equal(run.truth, first.truth)

    return [row for row in rows if all(map(alike, row.runs))]


def _votes(row: Row, classes: int) -> NDArray[np.float64]:
    """Return which share of the seeds predicts each class, (N, C)."""
    one_hot = np.stack([np.eye(classes)[run.predicted] for run in row.runs])
    mean: NDArray[np.float64] = one_hot.mean(axis=0)
    return mean


def _divergence(votes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the Jensen-Shannon divergence of the rows' votes in nats, (rows, N, C) -> (N,)."""
    difference: NDArray[np.float64] = _entropy(votes.mean(axis=0)) - _entropy(votes).mean(axis=0)
    return difference


def _entropy(p: NDArray[np.float64]) -> NDArray[np.float64]:
    total: NDArray[np.float64] = -(p * np.log(np.where(p > 0, p, 1.0))).sum(axis=-1)
    return total


def _vote(row: Row, votes: NDArray[np.float64], labels: Sequence[str], truth: int) -> Vote:
    best = int(votes.argmax())
    seeds = round(float(votes[best]) * len(row.runs))
    return Vote(row.label, labels[best], seeds, len(row.runs), best == truth)


def _texts(summary: Summary, truth: NDArray[np.int64], labels: Sequence[str]) -> list[dict[str, str]] | None:
    """Return the texts of the test examples, from the first run directory that has them all."""
    for row in summary.rows:
        for run in row.runs:
            if np.array_equal(run.truth, truth) and (texts := _texts_of(run, labels)) is not None:
                return texts
    return None


def _texts_of(run: StoredRun, labels: Sequence[str]) -> list[dict[str, str]] | None:
    """Return the texts of a run's test examples, or of all its folds', if they are all there."""
    texts: list[dict[str, str]] = []
    for part in run.parts:
        found = part.directory and read_texts(part.directory / PREDICTIONS_NAME, labels, part.truth.tolist())
        if not found:
            return None
        texts += found
    return texts
