"""Where the loop gets its batches: packed texts, or features computed once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from promptkit.data import AnswerPacker, Packer, as_targets


@dataclass(frozen=True)
class Step:
    """What one step takes.

    Attributes:
        inputs: the model's inputs, arrays.
        labels: (N,) int32 class indices, or (N, C) float32 probabilities.
        weights: (N,) float32, 0 for places without an example.
        index: (N,) number of the example in the data set, -1 for places without one.
        owners: of written answers, see `promptkit.data.AnswerPacker`; None where classes are scored.
    """

    inputs: tuple[Any, ...]
    labels: Any
    weights: Any
    index: Any
    owners: Any = None

    @property
    def examples(self) -> int:
        """How many examples there are."""
        return int((self.index >= 0).sum())

    def by_example(self, values: Any) -> tuple[Any, Any]:
        """Return numbers of examples and what a model gave for each of them.

        Args:
            values: class scores (N, C), or features; of answers log-probabilities of their tokens, (R, Q).

        Returns:
            (E,) and (E, ...); of answers (E, 2): the sum over the tokens, and how many there are.

        Raises:
            ValueError: for values of another shape.
        """
        places = self.index if self.owners is None else self.owners
        if values.shape[: places.ndim] != places.shape:
            raise ValueError(f"shape {values.shape} for {places.shape[0]} places")
        if self.owners is None:
            return self.index[self.index >= 0], values[self.index >= 0]
        real = self.owners >= 0
        numbers, place = np.unique(self.owners[real], return_inverse=True)
        sums = np.bincount(place, values[real].astype(np.float64)), np.bincount(place)
        return numbers, np.stack(sums, 1)


class BatchSource(Protocol):
    """Hands out the steps of an epoch, every example once.

    Attributes:
        size: number of examples.
        steps: steps an epoch, about: packing decides.
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

    def epoch(self, rng: np.random.Generator | None) -> Iterator[Step]:
        """Yield the steps; in a fixed order without `rng`."""

    def count(self, step: Step) -> None:
        """Count a step's tokens and positions, as `epoch` does, when it is read once more."""


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

    def epoch(self, rng: np.random.Generator | None) -> Iterator[Step]:
        """Yield the steps; in a fixed order without `rng`."""
        packer = self._packers[0]
        if rng is not None and len(self._packers) > 1:
            packer = self._packers[int(rng.integers(len(self._packers)))]
        for batch in packer.epoch(rng):
            step = Step(tuple(batch.inputs.values()), batch.labels, batch.weights, batch.index, batch.owners)
            self.count(step)
            yield step

    def count(self, step: Step) -> None:
        """Count a step's tokens and positions."""
        token_ids, segment_ids, *_ = step.inputs
        self.positions += token_ids.size
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

    def epoch(self, rng: np.random.Generator | None) -> Iterator[Step]:
        """Yield the steps; in a fixed order without `rng`."""
        order = np.arange(self.size) if rng is None else rng.permutation(self.size)
        for start in range(0, self.size, self._batch_size):
            rows = order[start : start + self._batch_size]
            fill = self._batch_size - len(rows)
            weights = np.concatenate([np.ones(len(rows)), np.zeros(fill)]).astype(np.float32)
            index = np.concatenate([rows, np.full(fill, -1)])
            rows = np.concatenate([rows, np.repeat(rows[:1], fill)])
            yield Step((self.features[rows],), self._labels[rows], weights, index)

    def count(self, step: Step) -> None:
        """Count nothing: features were read once."""
