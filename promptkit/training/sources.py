"""Where the loop gets its batches: encoded texts, or features computed once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from promptkit.data import Batcher


@dataclass(frozen=True)
class Step:
    """What one step takes.

    Attributes:
        inputs: the model's inputs; (B, ...) each.
        labels: (B,) int32.
        weights: (B,) float32, 0 for filler rows.
        index: (B,) row in the data set, -1 for filler rows.
    """

    inputs: tuple[Any, ...]
    labels: Any
    weights: Any
    index: Any


class BatchSource(Protocol):
    """Hands out the steps of an epoch, every example once."""

    size: int
    num_batches: int

    def epoch(self, rng: np.random.Generator | None) -> Iterator[Step]:
        """Yield the steps; in a fixed order without `rng`."""


class EncodedSource:
    """Batches of token ids."""

    def __init__(self, batcher: Batcher, size: int) -> None:
        self._batcher, self.size = batcher, size
        self.num_batches = batcher.num_batches

    def epoch(self, rng: np.random.Generator | None) -> Iterator[Step]:
        """Yield the steps; in a fixed order without `rng`."""
        for batch in self._batcher.epoch(rng):
            yield Step(batch.arrays, batch.labels, batch.weights, batch.index)


class FeatureSource:
    """Batches of precomputed features, all of one static shape.

    Args:
        features: (N, ...) float32.
        labels: (N,) class indices.
        batch_size: B.
    """

    def __init__(self, features: Any, labels: Any, batch_size: int) -> None:
        self._features, self._labels = features, np.asarray(labels, np.int32)
        self.size, self._batch_size = len(features), batch_size
        self.num_batches = -(-self.size // batch_size)

    def epoch(self, rng: np.random.Generator | None) -> Iterator[Step]:
        """Yield the steps; in a fixed order without `rng`."""
        order = np.arange(self.size) if rng is None else rng.permutation(self.size)
        for start in range(0, self.size, self._batch_size):
            rows = order[start : start + self._batch_size]
            fill = self._batch_size - len(rows)
            weights = np.concatenate([np.ones(len(rows)), np.zeros(fill)]).astype(np.float32)
            index = np.concatenate([rows, np.full(fill, -1)])
            rows = np.concatenate([rows, np.repeat(rows[:1], fill)])
            yield Step((self._features[rows],), self._labels[rows], weights, index)
