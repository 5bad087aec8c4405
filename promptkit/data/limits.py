"""A slow model and a large test split: dev and test cut to a number of examples that are always the same."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from promptkit.data.splits import SPLIT_SEED, Examples
from promptkit.data.task import Task


def limit_splits(task: Task, most: int | None) -> Task:
    """Return the task with at most so many examples of dev and of test, each class in its share; train stays.

    The same ones are taken whatever the seed of a run, in the order of the data, and those of a lower limit are among
    those of a higher one. A caution says what was cut.

    Args:
        task: labelled texts, or pairs.
        most: N, at least 1; None leaves the task as it is.
    """
    if most is None:
        return task
    dev, test = (_first(split, task.labels, most, number) for number, split in enumerate((task.dev, task.test)))
    cautions = tuple(
        f"{name} is limited to {len(kept):,} of its {len(whole):,} examples"
        for name, kept, whole in (("dev", dev, task.dev), ("test", test, task.test))
        if len(kept) < len(whole)
    )
    return replace(task, dev=dev, test=test, cautions=(*task.cautions, *cautions)) if cautions else task


def _first(examples: Examples, labels: tuple[str, ...], most: int, number: int) -> Examples:
    """Return those that come first when the classes are shuffled each by itself and spread evenly over one queue."""
    rng = np.random.default_rng([SPLIT_SEED, number])
    place = np.zeros(len(examples))
    for label in labels or (None,):
        rows = np.array([row for row, example in enumerate(examples) if label in (None, example.label)], np.intp)
        place[rng.permutation(rows)] = (np.arange(len(rows)) + 0.5) / len(rows)
    return tuple(examples[row] for row in sorted(np.argsort(place, kind="stable")[:most].tolist()))
