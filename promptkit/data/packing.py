"""Examples packed into rows of one length, so that little is padding and one shape is compiled.

Several examples share a row; attention is limited to each example's own segment and its positions begin again
(Krell et al. 2021, arXiv:2107.02027). Every batch of a `Packer` has the same shape, whatever its examples' lengths.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from promptkit.backbones.face import Inputs

Int32 = NDArray[np.int32]
Int64 = NDArray[np.int64]
Float32 = NDArray[np.float32]


class Packable(Protocol):
    """An encoded example: S ids, as many numbers of virtual tokens (-1 for none), and M positions to read.

    `front` positions stand before it, which are computed for all examples at once; 0 where there are none. It may
    have `parts`: the lengths of parts that see nothing of each other, each with positions of its own.
    """

    @property
    def token_ids(self) -> Sequence[int]: ...
    @property
    def virtual_ids(self) -> Sequence[int]: ...
    @property
    def read(self) -> Sequence[int]: ...
    @property
    def front(self) -> int: ...


@dataclass(frozen=True)
class Rows:
    """The static shape of a batch.

    Attributes:
        count: R, rows.
        length: S, positions a row.
        examples: E, examples a row at most.
        reads: Q, positions read of a row where answers are (`AnswerPacker`); 0 where each example is read alike.
    """

    count: int
    length: int
    examples: int
    reads: int = 0


@dataclass(frozen=True, eq=False)
class Batch:
    """Examples with what is known of them; N places, of which some are empty: R * E of packed rows.

    Attributes:
        inputs: what a prompted model takes, `Inputs`, as arrays. Of examples whose features were computed before,
            these alone: `{"features": (N, ...)}`.
        labels: (N,) int32 class indices, or (N, C) float32 probabilities; 0 where there is no example or no label.
        weights: (N,) float32, 1 for an example, 0 for an empty place.
        index: (N,) int64, number of the example in the data set, -1 for an empty place.
        owners: of answers, see `AnswerPacker`: (R, Q) int64, the example that a position is read for, -1 for none.
    """

    inputs: Any
    labels: Int32 | Float32
    weights: Float32
    index: Int64
    owners: Int64 | None = None

    @property
    def examples(self) -> int:
        """How many examples there are."""
        return int((self.index >= 0).sum())

    def by_example(self, values: NDArray[Any]) -> tuple[Int64, NDArray[Any]]:
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


def empty_inputs(count: int, length: int, read: tuple[int, int], pad_id: int) -> Inputs:
    """Return rows of padding alone, to be filled: R rows of S positions, `read` = (E, M)."""
    shape = (count, length)
    return {
        "token_ids": np.full(shape, pad_id, np.int32),
        "segment_ids": np.zeros(shape, np.int32),
        "position_ids": np.zeros(shape, np.int32),
        "virtual_ids": np.full(shape, -1, np.int32),
        "read": np.zeros((count, *read), np.int32),
    }


def as_targets(labels: Sequence[int] | NDArray[Any]) -> Int32 | Float32:
    """Return class indices (N,) as int32, probabilities of the classes (N, C) as float32."""
    targets = np.asarray(labels)
    return targets.astype(np.float32) if targets.ndim == 2 else targets.astype(np.int32)


def fill_rows(waiting: list[tuple[int, int]], length: int, examples: int) -> Iterator[list[int]]:
    """Yield rows, each filled with the longest example that is left and then with the longest that still fit.

    Args:
        waiting: (tokens, number) of each example, ascending; what is packed is taken out.
        length: of a row.
        examples: a row at most.
    """
    while waiting:
        room, row = length, list[int]()
        while waiting and len(row) < examples:
            place = bisect_right(waiting, (room, len(waiting) + (1 << 60)))
            if not place:
                break
            size, number = waiting.pop(place - 1)
            room -= size
            row.append(number)
        yield row


def group_rows(order: list[tuple[int, int]], rows: Rows, batch_size: int) -> Iterator[list[list[int]]]:
    """Yield batches of rows: each takes the next `batch_size` examples, and what does not fit opens the next one.

    Args:
        order: (number, tokens) of each example.
        rows: the shape of a batch.
        batch_size: examples a batch, at most.
    """
    start, left = 0, list[tuple[int, int]]()
    while start < len(order) or left:
        taken = batch_size - len(left)
        waiting = sorted([*left, *((size, number) for number, size in order[start : start + taken])])
        start += taken
        packed = list(islice(fill_rows(waiting, rows.length, rows.examples), rows.count))
        left = waiting
        yield packed


def rows_for_any(lengths: Sequence[int], batch_size: int, rows: Rows) -> Rows:
    """Return as many rows, each as long as before, as the longest examples of a batch take, so that any others fit.

    Args:
        lengths: positions of each example.
        batch_size: examples a batch.
        rows: which one of the longest fits.
    """
    longest = sorted((length, number) for number, length in enumerate(lengths))[-batch_size:]
    return replace(rows, count=sum(1 for _ in fill_rows(longest, rows.length, rows.examples)))


class Packer:
    """Hands out encoded examples in batches of one shape, each example once an epoch.

    Args:
        encoded: the examples, all with the same number of positions to read.
        labels: class index of each, (N,), or the probabilities of its classes, (N, C); None where nobody knows.
        batch_size: examples a batch, at most; fewer where their tokens do not fit into its rows.
        rows: the shape of a batch, e.g. from `plan_rows`.
        pad_id: the token id of padding.

    Attributes:
        size: number of examples.
        batch_size, rows: as given.

    Raises:
        ValueError: no examples, one longer than a row, as many labels as examples not given, or examples that differ
            in the number of their positions to read or have none.
    """

    def __init__(
        self,
        encoded: Sequence[Packable],
        labels: Sequence[int] | Float32 | None,
        *,
        batch_size: int,
        rows: Rows,
        pad_id: int,
    ) -> None:
        self._lengths = [len(example.token_ids) for example in encoded]
        if not self._lengths or batch_size < 1:
            raise ValueError("packing needs examples and a batch size of at least 1")
        if labels is not None and len(labels) != len(encoded):
            raise ValueError(f"{len(labels)} labels for {len(encoded)} examples")
        if max(self._lengths) > rows.length:
            raise ValueError(f"rows of {rows.length} do not hold an example of {max(self._lengths)} tokens")
        slots = {len(example.read) for example in encoded}
        if len(slots) > 1 or 0 in slots:
            raise ValueError(
                f"examples must be read at the same number of positions, at least 1; found {sorted(slots)}"
            )
        self.size = len(encoded)
        self.batch_size, self.rows = batch_size, rows
        self._slots, self._pad_id = slots.pop(), pad_id
        self._labels = as_targets(np.zeros(self.size) if labels is None else labels)
        self._starts = np.concatenate([[0], np.cumsum(self._lengths)])
        self._token_ids = np.concatenate([np.asarray(e.token_ids, np.int32) for e in encoded])
        self._virtual_ids = np.concatenate([np.asarray(e.virtual_ids, np.int32) for e in encoded])
        self._read = np.array([e.read for e in encoded], np.int32)
        lengths = [tuple(getattr(e, "parts", ())) or (len(e.token_ids),) for e in encoded]
        self._parts = np.concatenate([np.repeat(np.arange(len(each), dtype=np.int32), each) for each in lengths])
        self._positions = np.concatenate(
            [
                e.front + np.arange(part, dtype=np.int32)
                for e, each in zip(encoded, lengths, strict=True)
                for part in each
            ]
        )

    def epoch(self, rng: np.random.Generator | None) -> Iterator[Batch]:
        """Yield the batches of one epoch.

        Args:
            rng: shuffles the examples; None packs them as tightly as they go, the same way every time.
        """
        if rng is not None:
            order = [(int(n), self._lengths[int(n)]) for n in rng.permutation(self.size)]
            for packed in group_rows(order, self.rows, self.batch_size):
                yield self._batch(packed)
            return
        waiting = sorted((size, number) for number, size in enumerate(self._lengths))
        packed = list(fill_rows(waiting, self.rows.length, self.rows.examples))
        for start in range(0, len(packed), self.rows.count):
            yield self._batch(packed[start : start + self.rows.count])

    def _batch(self, packed: list[list[int]]) -> Batch:
        count, length, examples = self.rows.count, self.rows.length, self.rows.examples
        inputs: Any = empty_inputs(count, length, (examples, self._slots), self._pad_id)
        token_ids, segment_ids, position_ids, virtual_ids, read = inputs.values()
        index = np.full((count, examples), -1, np.int64)
        for row, numbers in enumerate(packed):
            at, further = 0, examples
            for place, number in enumerate(numbers):
                size = self._lengths[number]
                here, there = slice(at, at + size), slice(self._starts[number], self._starts[number + 1])
                token_ids[row, here] = self._token_ids[there]
                virtual_ids[row, here] = self._virtual_ids[there]
                # An example's further parts are numbered behind all that a row may hold.
                parts = self._parts[there]
                segment_ids[row, here] = np.where(parts > 0, further + parts, place + 1)
                further += int(parts[-1])
                position_ids[row, here] = self._positions[there]
                read[row, place] = self._read[number] + at
                index[row, place] = number
                at += size
        index = index.reshape(-1)
        real = index >= 0
        labels = self._labels[index]
        labels[~real] = 0
        return Batch(
            inputs=inputs,
            labels=labels,
            weights=real.astype(np.float32),
            index=index,
        )
