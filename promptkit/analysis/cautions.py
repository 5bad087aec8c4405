"""What weakens the figures of a summary: few seeds, dev splits too small to pick by, and what runs warned of."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from promptkit.analysis.rows import Row
from promptkit.analysis.summary import Summary
from promptkit.runs.baseline import BaselineRecord
from promptkit.runs.record import RunRecord
from promptkit.runs.stored import Shots

# Below this many dev examples, candidates tie often.
SMALL_DEV = 100
# Below this many test examples, an accuracy is sure to no better than seven points either way.
SMALL_TEST = 200
# With fewer seeds the bootstrap sees too little of how much they differ.
FEW_SEEDS = 5
_FIGURE = re.compile(r"\d[\d.,]*")


def single_seeds(summary: Summary) -> tuple[Row, ...]:
    """Return the compared rows that learn, have one seed, and might have come out otherwise with another."""
    return tuple(row for row in summary.compared if seed_matters(row) and len(row.seeds) == 1)


def seed_matters(row: Row) -> bool:
    """Return whether a seed changes anything: all examples are one draw, and what is fitted starts nowhere."""
    return row.shots not in (None, "full") or any(_draws(part.record) for part in row.parts)


def takes_epochs(row: Row) -> bool:
    """Return whether a row's runs were trained in epochs, from initial values."""
    return any(isinstance(part.record, RunRecord) and part.record.epochs_run for part in row.parts)


def _draws(record: RunRecord | BaselineRecord) -> bool:
    """Return whether a run draws anything but its examples; of older records all that is known is the training."""
    if not isinstance(record, RunRecord):
        return False
    if record.depends_on is None:
        return record.epochs_run > 0
    return not {"training", "seed"}.isdisjoint(record.depends_on)


def few_seeds(summary: Summary) -> tuple[Row, ...]:
    """Return the compared rows that learn and have several seeds, but fewer than `FEW_SEEDS`."""
    return tuple(row for row in summary.compared if row.shots is not None and 1 < len(row.seeds) < FEW_SEEDS)


def tested(summary: Summary) -> int:
    """Return of how many test examples the smallest test is; 0 without rows."""
    return min((len(run.truth) for row in summary.rows for run in row.runs), default=0)


def small_dev_splits(summary: Summary) -> dict[Shots, int]:
    """Return shots -> examples of the smallest dev split, where that is below `SMALL_DEV`."""
    smallest: dict[Shots, int] = {}
    for row in summary.rows:
        if row.shots is not None:
            n = min(run.record.task.dev for run in row.runs)
            smallest[row.shots] = min(n, smallest.get(row.shots, n))
    return {shots: n for shots, n in smallest.items() if n < SMALL_DEV}


@dataclass(frozen=True)
class Warned:
    """What runs warned of.

    Attributes:
        text: the warning, as the first of them has it.
        rows: whose runs they are; empty if every run warned that has a model.
        runs: how many warned.
        of: how many runs those rows have.
        alike: whether the others say the same to the digit.
    """

    text: str
    rows: tuple[Row, ...]
    runs: int
    of: int
    alike: bool


def warned(summary: Summary) -> tuple[Warned, ...]:
    """Return what runs warned of and the comparison does not say itself, the same warning with other figures once."""
    said = {str(note) for note in summary.comparison.spec.get("notes", ())}
    told: dict[str, list[tuple[int, int, str]]] = {}
    runs: Counter[int] = Counter()
    for number, row in enumerate(summary.rows):
        for part in row.parts:
            if isinstance(part.record, RunRecord):
                runs[number] += 1
                for text in part.record.warnings:
                    if text not in said:
                        told.setdefault(_FIGURE.sub("#", text), []).append((number, part.id, text))
    return tuple(_warned(summary.rows, runs, each) for each in told.values())


def _warned(rows: Sequence[Row], runs: Counter[int], told: Sequence[tuple[int, int, str]]) -> Warned:
    numbers = list(dict.fromkeys(number for number, _, _ in told))
    return Warned(
        text=told[0][2],
        rows=() if len(numbers) == len(runs) else tuple(rows[number] for number in numbers),
        runs=len({(number, run) for number, run, _ in told}),
        of=sum(runs[number] for number in numbers),
        alike=len({text for _, _, text in told}) == 1,
    )
