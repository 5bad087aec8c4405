"""Where the loop gets its batches: packed texts, or features computed once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np

from promptkit.data import AnswerPacker, Batch, Packer, as_targets


class BatchSource(Protocol):
    """Hands out the batches of an epoch, every example once.

    Attributes:
        size: number of examples.
        steps: batches an epoch, about: packing decides.
        views: how often each example is there; its scores are averaged. Example n's view v has the index
            v * size + n.
        tokens: that were handed out so far; 0 of features.
        positions: of rows that were handed out so far, padding included; 0 of features.
    """

    size: int
    steps: int
    views: int
    tokens: int
    positions: int

    def epoch(self, rng: np.random.Generator | None) -> Iterator[Batch]:
        """Yield the batches; in a fixed order without `rng`."""

    def count(self, batch: Batch) -> None:
        """Count a batch's tokens and positions, as `epoch` does, when it is read once more."""


class PackedSource:
    """Batches of packed texts.

    Args:
        packers: of the same examples; of several an epoch draws one, and takes the first without random numbers.
        views: see `BatchSource`.

    Attributes:
        size, steps, views, tokens, positions: see `BatchSource`.
    """

    def __init__(self, *packers: Packer | AnswerPacker, views: int = 1) -> None:
        self._packers = packers
        self.size, self.views, self.tokens, self.positions = packers[0].size // views, views, 0, 0
        self.steps = -(-packers[0].size // packers[0].batch_size)

    def epoch(self, rng: np.random.Generator | None) -> Iterator[Batch]:
        """Yield the batches; in a fixed order without `rng`."""
        packer = self._packers[0]
        if rng is not None and len(self._packers) > 1:
            packer = self._packers[int(rng.integers(len(self._packers)))]
        for batch in packer.epoch(rng):
            self.count(batch)
            yield batch

    def count(self, batch: Batch) -> None:
        """Count a batch's tokens and positions."""
        segment_ids = batch.inputs["segment_ids"]
        self.positions += segment_ids.size
        self.tokens += int((segment_ids > 0).sum())


class FeatureSource:
    """Batches of precomputed features, all of one static shape.

    Args:
        features: (N, ...) float32.
        labels: (N,) class indices, or (N, C) probabilities.
        batch_size: B.

    Attributes:
        size, steps, views, tokens, positions: see `BatchSource`.
    """

    views = 1

    def __init__(self, features: Any, labels: Any, batch_size: int) -> None:
        self.features, self._labels, self.tokens, self.positions = features, as_targets(labels), 0, 0
        self.size, self._batch_size = len(features), batch_size
        self.steps = -(-self.size // batch_size)

    def epoch(self, rng: np.random.Generator | None) -> Iterator[Batch]:
        """Yield the batches; in a fixed order without `rng`."""
        order = np.arange(self.size) if rng is None else rng.permutation(self.size)
        for start in range(0, self.size, self._batch_size):
            rows = order[start : start + self._batch_size]
            fill = self._batch_size - len(rows)
            weights = np.concatenate([np.ones(len(rows)), np.zeros(fill)]).astype(np.float32)
            index = np.concatenate([rows, np.full(fill, -1)])
            rows = np.concatenate([rows, np.repeat(rows[:1], fill)])
            yield Batch({"features": self.features[rows]}, self._labels[rows], weights, index)

    def count(self, batch: Batch) -> None:
        """Count nothing: features were read once."""
