"""What a prompted model is given that looks for its values instead of learning them by steps; no MindSpore here."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np


class Search(Protocol):
    """The host's side of `PromptedModel.search`: losses and gradients of batches, dev, and the state to go on from.

    Values go into the model by `mindspore.ops.assign`: a graph that is compiled does not see `Parameter.set_data`.

    Attributes:
        rng: the only source of random numbers.
    """

    rng: np.random.Generator

    def turns(self, count: int) -> Iterator[int]:
        """Yield the turns from 1 to `count`, with progress shown.

        A search that was killed goes on with the turn after the last that was saved: with the values and the random
        numbers that it had then. So nothing else may be carried from one turn to the next.
        """
        ...

    def batch(self) -> Any:
        """Return a batch of training examples drawn at random."""
        ...

    def loss(self, batch: Any) -> float:
        """Return the mean loss of a batch with the model's present values."""
        ...

    def gradients(self, batch: Any) -> tuple[float, tuple[Any, ...]]:
        """Return the mean loss of a batch and its gradients by trainable parameter, NumPy arrays of their shapes."""
        ...

    def offer(self, loss: float | None = None) -> None:
        """Score dev with the present values, and let them be among those that dev picks from in the end.

        Args:
            loss: on training examples, for the record.
        """
        ...
