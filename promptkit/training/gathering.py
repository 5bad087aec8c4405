"""Gradients of several batches, gathered into one step: a large batch where memory holds a small one."""

from __future__ import annotations

from typing import Any

from mindspore import Tensor

from promptkit.training.sources import Step


class Gathered:
    """What batches gave since the last step.

    Losses are means over what a batch weighs, its examples or the tokens of its answers, and so are their gradients;
    weighed by that they come to those of all batches in one.

    Attributes:
        batches: how many.
    """

    def __init__(self) -> None:
        self.batches = 0
        self._losses: list[tuple[float, Any]] = []
        self._sums: list[Any] = []
        self._gradients: tuple[Any, ...] = ()
        self._weight, self._examples = 0.0, 0

    def add(self, loss: Any, gradients: tuple[Any, ...], step: Step, of: int) -> None:
        """Add a batch, of so many that are to come; a single one is kept as it is.

        The sums are formed in NumPy, where waiting for the compiled step costs no core (see `clipping`).
        """
        self.batches += 1
        self._examples += step.examples
        weight = float(step.weights.sum())
        self._weight += weight
        self._losses.append((weight, loss))
        if of == 1:
            self._gradients = gradients
            return
        own = [weight * gradient.asnumpy() for gradient in gradients]
        self._sums = [a + b for a, b in zip(self._sums, own, strict=True)] if self._sums else own

    def take(self) -> tuple[Any, tuple[Any, ...], int]:
        """Return loss, gradients and number of examples of all batches in one, and forget them."""
        gradients, examples = self._gradients, self._examples
        loss = self._losses[0][1]
        if self._sums:
            gradients = tuple(Tensor(total / self._weight) for total in self._sums)
            loss = sum(weight * float(each.asnumpy()) for weight, each in self._losses) / self._weight
        self.__init__()  # type: ignore[misc]
        return loss, gradients, examples
