"""The baselines a result is held against."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from promptkit.data import Example, Task

SIGNIFICANCE = 0.05


def majority_label(task: Task) -> str:
    """Return the label that is most frequent in training.

    Of equally frequent ones it is the first in `task.labels`, so a tie never looks at the split that is judged. A
    draw of K examples a class is such a tie, whatever it was drawn from.
    """
    counts = Counter(example.label for example in task.train)
    return max(task.labels, key=lambda label: counts[label])


def share_of(label: str, examples: Sequence[Example]) -> float:
    """Return the share of the examples that have a label: the accuracy of always answering it.

    Raises:
        ValueError: if there are none.
    """
    if not examples:
        raise ValueError("a share of no examples")
    return sum(example.label == label for example in examples) / len(examples)


def no_better_than_majority(correct: int, total: int, majority: float) -> bool:
    """Tell whether an accuracy could well be that of the majority class.

    A one-sided exact binomial test at 5 %: if every answer were right with probability `majority`, the chance
    of at least `correct` right answers out of `total` is above 0.05.

    Args:
        correct: right answers.
        total: all answers.
        majority: accuracy of always predicting the majority class, between 0 and 1.

    Raises:
        ValueError: unless 0 <= correct <= total and 0 <= majority <= 1.
    """
    if not (0 <= correct <= total and 0.0 <= majority <= 1.0):
        raise ValueError(f"no test for {correct} of {total} against {majority}")
    if total == 0:
        return True
    from scipy.stats import binomtest  # type: ignore[import-untyped]

    return bool(binomtest(correct, total, majority, alternative="greater").pvalue > SIGNIFICANCE)
