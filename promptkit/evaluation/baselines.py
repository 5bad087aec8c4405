"""The baselines a result is held against."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Literal, Protocol

SIGNIFICANCE = 0.05


class Labelled(Protocol):
    """Anything with a label."""

    @property
    def label(self) -> str:
        """The class name."""


class LabelledSplits(Protocol):
    """What the baselines need of a `promptkit.data.Task`."""

    @property
    def labels(self) -> Sequence[str]:
        """The class names, in the order of their indices."""

    @property
    def train(self) -> Sequence[Labelled]:
        """The training split."""

    @property
    def dev(self) -> Sequence[Labelled]:
        """The split that settings are chosen on."""

    @property
    def test(self) -> Sequence[Labelled]:
        """The split that is judged on."""


def majority_label(task: LabelledSplits) -> str:
    """Return the label that is most frequent in training, of equally frequent ones the first in `task.labels`."""
    counts = Counter(example.label for example in task.train)
    return max(task.labels, key=lambda label: counts[label])


def majority_accuracy(
    task: LabelledSplits, split: Literal["train", "dev", "test"] = "test", *, answer: str | None = None
) -> float:
    """Return the accuracy on a split of always predicting the label that is most frequent in training.

    Of labels equally frequent in training the first in `task.labels` is taken, so a tie never looks at the
    split that is judged. A draw of K examples a class is such a tie, whatever it was drawn from.

    Args:
        task: the splits.
        split: the one that is judged.
        answer: the label to answer in place of that of `task.train`.

    Raises:
        ValueError: if the split is empty.
    """
    judged: Sequence[Labelled] = getattr(task, split)
    if not judged:
        raise ValueError(f"the {split} split is empty")
    majority = majority_label(task) if answer is None else answer
    return sum(example.label == majority for example in judged) / len(judged)


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
