"""Random texts in packed rows, and what a model makes of them, for the tests of the engine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from promptkit.data import Batch, Packer, Rows


@dataclass(frozen=True)
class Text:
    """An encoded example; see `promptkit.data.packing.Packable`."""

    token_ids: tuple[int, ...]
    virtual_ids: tuple[int, ...]
    read: tuple[int, ...]
    front: int = 0


def random_texts(rng: np.random.Generator, lengths: Sequence[int], *, vocabulary: int, slots: int = 1) -> list[Text]:
    """Return a text of each length, with two virtual tokens in front where it is long enough, read anywhere."""
    return [
        Text(
            tuple(int(n) for n in rng.integers(5, vocabulary, length)),
            tuple(place if place < 2 and length > 3 else -1 for place in range(length)),
            tuple(int(n) for n in rng.integers(0, length, slots)),
        )
        for length in lengths
    ]


def one_batch(texts: Sequence[Text], rows: Rows, *, shuffled: int | None = None) -> Batch:
    """Return all texts in one batch; labels are 0 and 1 in turn."""
    labels = [number % 2 for number in range(len(texts))]
    packer = Packer(texts, labels, batch_size=len(texts), rows=rows, pad_id=0)
    (batch,) = packer.epoch(None if shuffled is None else np.random.default_rng(shuffled))
    return batch


def alone(texts: Sequence[Text]) -> Batch:
    """Return the texts one a row."""
    return one_batch(texts, Rows(len(texts), max(len(text.token_ids) for text in texts), 1))


def by_example(batch: Batch, values: Any) -> Any:
    """Return values of the batch's places, (R * E, ...), in the order of the examples."""
    real = batch.index >= 0
    ordered = np.zeros((int(real.sum()), *values.shape[1:]), values.dtype)
    ordered[batch.index[real]] = values[real]
    return ordered


def tokens_by_example(batch: Batch, values: Any) -> list[Any]:
    """Return values of the batch's positions, (R, S, ...), as an array for each example."""
    segments = np.asarray(batch.inputs["segment_ids"])
    index = batch.index.reshape(len(segments), -1)
    found: dict[int, Any] = {}
    for row, place in np.argwhere(index >= 0):
        found[int(index[row, place])] = values[row][segments[row] == place + 1]
    return [found[number] for number in range(len(found))]
