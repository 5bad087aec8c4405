"""What weakens the figures of a summary: few seeds, and dev splits too small to pick by."""

from __future__ import annotations

from promptkit.analysis.rows import Row
from promptkit.analysis.summary import Summary
from promptkit.runs.stored import Shots

# Below this many dev examples, candidates tie often.
SMALL_DEV = 100
# With fewer seeds the bootstrap sees too little of how much they differ.
FEW_SEEDS = 5


def single_seeds(summary: Summary) -> tuple[Row, ...]:
    """Return the compared rows that learn and have one seed."""
    return tuple(row for row in summary.compared if row.shots is not None and len(row.seeds) == 1)


def few_seeds(summary: Summary) -> tuple[Row, ...]:
    """Return the compared rows that learn and have several seeds, but fewer than `FEW_SEEDS`."""
    return tuple(row for row in summary.compared if row.shots is not None and 1 < len(row.seeds) < FEW_SEEDS)


def small_dev_splits(summary: Summary) -> dict[Shots, int]:
    """Return shots -> examples of the smallest dev split, where that is below `SMALL_DEV`."""
    smallest: dict[Shots, int] = {}
    for row in summary.rows:
        if row.shots is not None:
            n = min(run.record.task.dev for run in row.runs)
            smallest[row.shots] = min(n, smallest.get(row.shots, n))
    return {shots: n for shots, n in smallest.items() if n < SMALL_DEV}
