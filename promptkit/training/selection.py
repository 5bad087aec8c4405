"""Dev: what it gives an epoch, and which epoch's values it picks."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from mindspore import Parameter, Tensor, ops

from promptkit.training.execution import Executor
from promptkit.training.sources import BatchSource

_FALL = 1e-3  # share by which a loss must fall to count as better: below it, training goes on for nothing


@dataclass(frozen=True)
class Candidate:
    """An epoch that dev may still pick, with its values."""

    epoch: int
    accuracy: float
    loss: float
    values: tuple[Any, ...]


class Selection:
    """The epochs that are still in question, and the one that is picked of them.

    Of the epochs whose dev accuracy is within one standard error of the highest, the one with the lowest dev loss is
    picked; the earlier of equals. A few dozen examples cannot tell such accuracies apart, while the loss still moves,
    and the first of many ties would be a prompt that has hardly moved (the rule is that of Breiman et al. 1984,
    section 3.4.3, with the loss in the place of simplicity).

    Args:
        weights: what learns.
        examples: in dev.

    Attributes:
        candidates: those in question, none of which is both less accurate and of higher loss than another.
        stale: dev scorings since the accuracy was last higher than ever before, or the loss a thousandth lower than
            the last that was.
    """

    def __init__(self, weights: list[Parameter], examples: int) -> None:
        self._weights, self._examples = weights, examples
        self.candidates: list[Candidate] = []
        self.stale = 0
        self._highest, self._lowest, self._judged = -math.inf, math.inf, True

    @property
    def best(self) -> Candidate | None:
        """The epoch that is picked so far."""
        return min(self.candidates, key=lambda it: (it.loss, it.epoch), default=None)

    @property
    def text(self) -> str:
        """The accuracy of the epoch that is picked so far, else its loss, for the progress bar."""
        if self.best is None:
            return "-"
        return f"{self.best.accuracy if self._judged else self.best.loss:.3f}"

    def offer(self, epoch: int, accuracy: float | None, loss: float) -> None:
        """Consider the present values. Without accuracies the lowest loss is picked."""
        self._judged = accuracy is not None
        accuracy = accuracy or 0.0
        improved = accuracy > self._highest or loss < self._lowest * (1.0 - _FALL)
        self.stale = 0 if improved else self.stale + 1
        self._highest = max(self._highest, accuracy)
        self._lowest = loss if loss < self._lowest * (1.0 - _FALL) else self._lowest
        if any(it.accuracy >= accuracy and it.loss <= loss for it in self.candidates):
            return
        values = tuple(weight.asnumpy().copy() for weight in self._weights)
        rest = [it for it in self.candidates if it.accuracy > accuracy or it.loss < loss]
        rest.append(Candidate(epoch, accuracy, loss, values))
        error = math.sqrt(self._highest * (1.0 - self._highest) / self._examples)
        self.candidates = [it for it in rest if it.accuracy >= self._highest - error]

    def restore(self) -> None:
        """Put the values that are picked back.

        In place: a graph that was compiled before does not notice `Parameter.set_data` (MindSpore 2.10), and
        would go on with the last epoch's values.
        """
        if self.best is not None:
            for weight, value in zip(self._weights, self.best.values, strict=True):
                ops.assign(weight, Tensor(value))

    def state(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return arrays by name, and plain values, that `load` needs."""
        arrays = {
            f"candidate.{number}.{index}": value
            for number, it in enumerate(self.candidates)
            for index, value in enumerate(it.values)
        }
        plain = [[it.epoch, it.accuracy, it.loss] for it in self.candidates]
        seen = [self._highest, self._lowest] if plain else None
        return arrays, {"candidates": plain, "stale": self.stale, "seen": seen}

    def load(self, arrays: dict[str, Any], values: dict[str, Any]) -> None:
        """Go on where `state` was taken."""
        self.stale = int(values["stale"])
        if values["seen"] is not None:
            self._highest, self._lowest = values["seen"]
        self.candidates = [
            Candidate(
                int(epoch),
                float(accuracy),
                float(loss),
                tuple(arrays[f"candidate.{number}.{index}"] for index in range(len(self._weights))),
            )
            for number, (epoch, accuracy, loss) in enumerate(values["candidates"])
        ]


class DevScores:
    """Scores dev with a model's present values, and offers them to a selection.

    Args:
        executor: the model with its objective.
        dev: dev batches.
        labels: (N_dev,) class indices.
        selection: picks of what it is offered.
    """

    def __init__(self, executor: Executor, dev: BatchSource, labels: Any, selection: Selection) -> None:
        self._executor, self._dev, self._labels, self._selection = executor, dev, labels, selection

    def judged(self, epoch: int, loss: float | None = None, lr: float | None = None) -> dict[str, Any]:
        """Return what the history says of an epoch, or a turn of a search, with these values.

        Raises:
            UserError: for scores that no answer can be read from.
        """
        accuracy, dev_loss = self._executor.judge(self._executor.scores(self._dev), self._labels)
        self._selection.offer(epoch, accuracy, dev_loss)
        return history_entry(epoch, accuracy, dev_loss, loss, lr)


def history_entry(
    epoch: int, accuracy: float | None, dev_loss: float, loss: float | None = None, lr: float | None = None
) -> dict[str, Any]:
    """Return a scoring of dev as a history keeps it."""
    return {"epoch": epoch, "loss": loss, "dev_accuracy": accuracy, "dev_loss": dev_loss, "lr": lr}
