"""Gradients of several batches, gathered into one step: a large batch where memory holds a small one."""

from __future__ import annotations

from typing import Any

import numpy as np
from mindspore import Tensor

from promptkit.data import Batch
from promptkit.ranks import Ranks


class Gathered:
    """What batches gave since the last step.

    Losses are means over what a batch weighs, its examples or the tokens of its answers, and so are their gradients;
    weighed by that they come to those of all batches in one. So they do where several processes share the batches.

    Args:
        ranks: the processes.
        shapes: of the gradients, for a process that has no batch of a step.

    Attributes:
        batches: how many, those of other processes among them.
    """

    def __init__(self, ranks: Ranks, shapes: tuple[tuple[int, ...], ...]) -> None:
        self._ranks, self._shapes = ranks, shapes
        self._forget()

    def _forget(self) -> None:
        self.batches = 0
        self._losses: list[tuple[float, Any]] = []
        self._sums: list[Any] = []
        self._gradients: tuple[Any, ...] = ()
        self._weight, self._examples = 0.0, 0

    def add(self, loss: Any, gradients: tuple[Any, ...], batch: Batch, of: int) -> None:
        """Add a batch, of so many that are to come; a single one is kept as it is.

        The sums are formed in NumPy, where waiting for the compiled step costs no core (see `clipping`).
        """
        weight = self.count(batch)
        self._losses.append((weight, loss))
        if of == 1:
            self._gradients = gradients
            return
        own = [np.float32(weight) * gradient.asnumpy() for gradient in gradients]
        self._sums = [a + b for a, b in zip(self._sums, own, strict=True)] if self._sums else own

    def count(self, batch: Batch) -> float:
        """Count a batch, by itself one that another process computes, and return its weight."""
        self.batches += 1
        self._examples += batch.examples
        weight = float(batch.weights.sum())
        self._weight += weight
        return weight

    def take(self) -> tuple[Any, tuple[Any, ...], int]:
        """Return loss, gradients and number of examples of all batches in one, and forget them."""
        gradients, examples = self._gradients, self._examples
        if gradients:
            loss = self._losses[0][1]
        else:
            own = sum(weight * float(each.asnumpy()) for weight, each in self._losses)
            sums = self._sums or [np.zeros(shape, np.float32) for shape in self._shapes]
            total, *sums = self._ranks.sum([own, *sums])
            loss = float(total) / self._weight
            # NumPy makes a scalar of an array without dimensions, and gives it the type of what it is divided by.
            gradients = tuple(Tensor(np.asarray(each / self._weight, np.float32)) for each in sums)
        self._forget()
        return loss, gradients, examples
