"""What a training aims at: targets, the loss, and what scores become. Classification, by classes or by soft labels,
and text.

N places of a batch, C classes.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from mindspore import ops

from promptkit.errors import UserError
from promptkit.evaluation.probabilities import log_softmax


class Objective(Protocol):
    """The seam between the loop and what is learnt.

    `loss` is compiled with the model; the rest works on NumPy arrays, example by example.
    """

    def loss(self, scores: Any, labels: Any, weights: Any) -> Any:
        """Return the weighted mean loss of a batch, a scalar tensor; `labels` are as the source hands them out."""
        ...

    def check(self, scores: Any) -> None:
        """Refuse scores that no answer can be read from.

        Raises:
            UserError: in one line.
        """
        ...

    def judge(self, scores: Any, labels: Any) -> tuple[float | None, float]:
        """Return the share of right answers, if that is asked, and the mean loss; what an epoch is picked by."""
        ...


class Classification:
    """One of C classes for each example, scored by unnormalised log-probabilities.

    Args:
        classes: C.
        who: what errors name.
    """

    def __init__(self, classes: int, who: str = "the model") -> None:
        self._classes, self._who = classes, who

    def loss(self, scores: Any, labels: Any, weights: Any) -> Any:
        """Mean over the real places of -log softmax(scores)[label]: (N, C), (N,), (N,) -> scalar."""
        log_p = ops.log_softmax(scores, -1)
        picked = ops.gather_elements(log_p, 1, labels.reshape(-1, 1)).reshape(-1)
        return -(picked * weights).sum() / weights.sum()

    def check(self, scores: Any) -> None:
        """Refuse scores that are not (N, C) or not finite."""
        if scores.ndim != 2 or scores.shape[1] != self._classes:
            raise UserError(
                f"{self._who} gives scores of shape {scores.shape}, not (N, {self._classes}), one for each class."
            )
        if not np.isfinite(scores).all():
            bad = int((~np.isfinite(scores)).any(-1).sum())
            raise UserError(
                f"{self._who} gives scores that are no finite numbers, for {bad} of {len(scores)} examples."
            )

    def judge(self, scores: Any, labels: Any) -> tuple[float, float]:
        """Return accuracy and mean cross entropy of scores (N, C) against labels (N,)."""
        labels = np.asarray(labels)
        loss = -log_softmax(scores)[np.arange(len(labels)), labels].mean()
        return float((scores.argmax(-1) == labels).mean()), float(loss)


class SoftClassification(Classification):
    """Learns from a distribution over the C classes of each example; dev is judged by classes, as ever."""

    def loss(self, scores: Any, labels: Any, weights: Any) -> Any:
        """Mean over the real places of -sum_c labels[c] log softmax(scores)[c]: (N, C), (N, C), (N,) -> scalar.

        The cross entropy of Hinton et al. (2015), section 2, with the student at temperature 1, as in Schick &
        Schütze (2021), section 3.3.
        """
        per_place = (ops.log_softmax(scores, -1) * labels).sum(-1)
        return -(per_place * weights).sum() / weights.sum()


class NextTokens:
    """Answers that the model is to write: cross entropy on their tokens alone, the end of text among them.

    The model gives log p of each token (R, Q); by example these come to (N, 2), their sum and their number.

    Args:
        who: what errors name.
    """

    def __init__(self, who: str = "the model") -> None:
        self._who = who

    def loss(self, scores: Any, labels: Any, weights: Any) -> Any:
        """Mean over the tokens of all answers of -log p: (R, Q), anything, (R, Q) -> scalar."""
        return -(scores * weights).sum() / weights.sum()

    def check(self, scores: Any) -> None:
        """Refuse scores that are not (N, 2) or not finite."""
        if scores.ndim != 2 or scores.shape[1] != 2:
            raise UserError(f"{self._who} gives scores of shape {scores.shape}, not how likely tokens are.")
        if not np.isfinite(scores).all():
            raise UserError(f"{self._who} gives scores that are no finite numbers.")

    def judge(self, scores: Any, labels: Any) -> tuple[None, float]:
        """Return no accuracy, and the mean over all tokens of -log p, the logarithm of the perplexity."""
        sums = np.asarray(scores, np.float64).sum(0)
        return None, float(-sums[0] / sums[1])
