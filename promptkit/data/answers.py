"""Prompts with their answers, packed into rows: read at every token of every answer, however long each is.

A packed example of a classification task is read at the same number of positions as every other. Answers differ in
length, so the positions of a row are read as one list: R rows, Q positions read of each, whose owners are known.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from promptkit.data.packing import Batch, Packable, Rows, as_targets, empty_inputs

_MULTIPLE = 8
_ROOM = 1.25  # positions read that a row has room for, in the number that it has on average
_Waiting = list[tuple[int, int, int]]  # tokens, tokens of the answer, number


def with_reads(rows: Rows, encoded: Sequence[Packable], batch_size: int) -> Rows:
    """Return the rows with the number of positions that are read of each.

    A quarter more than a row of an average batch needs, and enough for the longest answer.
    """
    reads = [len(example.read) for example in encoded]
    average = float(np.mean(reads)) * min(batch_size, len(reads)) / rows.count
    wanted = max(max(reads), int(np.ceil(_ROOM * average)))
    return replace(rows, reads=min(-(-wanted // _MULTIPLE) * _MULTIPLE, rows.length))


class AnswerPacker:
    """Hands out prompts with answers in batches of one shape, each once an epoch; otherwise as `Packer`.

    Its batches have `read` of shape (R, 1, Q), `weights` (R, Q), 1 for a token of an answer, and `owners`.

    Args:
        encoded: the examples. Each is read at the position before each token of its answer.
        batch_size: examples a batch, at most; fewer where they do not fit into its rows.
        rows: the shape of a batch, with `reads`.
        pad_id: the token id of padding.

    Raises:
        ValueError: no examples, or one longer than a row, or with a longer answer.
    """

    def __init__(self, encoded: Sequence[Packable], *, batch_size: int, rows: Rows, pad_id: int) -> None:
        if not encoded or batch_size < 1:
            raise ValueError("packing needs examples and a batch size of at least 1")
        self._encoded, self._pad_id = encoded, pad_id
        self.size, self.batch_size, self.rows = len(encoded), batch_size, rows
        self._sizes = [(len(each.token_ids), len(each.read)) for each in encoded]
        self._fewest = min(count for _, count in self._sizes)
        if max(size for size, _ in self._sizes) > rows.length or max(count for _, count in self._sizes) > rows.reads:
            raise ValueError(f"rows of {rows.length}, read at {rows.reads}, do not hold the longest example")

    def epoch(self, rng: np.random.Generator | None) -> Iterator[Batch]:
        """Yield the batches of one epoch; without `rng` packed as tightly as they go, the same way every time."""
        order = range(self.size) if rng is None else rng.permutation(self.size).tolist()
        taken, left = (self.size if rng is None else self.batch_size), _Waiting()
        start = 0
        while start < self.size or left:
            new = order[start : start + taken - len(left)]
            start += len(new)
            left = sorted([*left, *((*self._sizes[n], n) for n in new)])
            packed: list[list[int]] = []
            while left and len(packed) < self.rows.count:
                packed.append(self._row(left))
            yield self._batch(packed)

    def _row(self, waiting: _Waiting) -> list[int]:
        """Take a row's examples out: the longest that is left, then the longest that still fit."""
        room, reads, row = self.rows.length, self.rows.reads, list[int]()
        place = len(waiting)
        while place := bisect_left(waiting, (room + 1,), hi=place):
            place -= 1
            size, count, number = waiting[place]
            if count <= reads:
                del waiting[place]
                room, reads = room - size, reads - count
                row.append(number)
                if reads < self._fewest:
                    break
        return row

    def _batch(self, packed: list[list[int]]) -> Batch:
        count = self.rows.count
        inputs: Any = empty_inputs(count, self.rows.length, (1, self.rows.reads), self._pad_id)
        token_ids, segment_ids, position_ids, virtual_ids, read = inputs.values()
        owners: NDArray[Any] = np.full((count, self.rows.reads), -1, np.int64)
        for row, numbers in enumerate(packed):
            at = done = 0
            for place, number in enumerate(numbers, 1):
                example, (size, tokens) = self._encoded[number], self._sizes[number]
                here, those = slice(at, at + size), slice(done, done + tokens)
                token_ids[row, here], virtual_ids[row, here] = example.token_ids, example.virtual_ids
                segment_ids[row, here], position_ids[row, here] = place, example.front + np.arange(size)
                read[row, 0, those] = np.asarray(example.read) + at
                owners[row, those] = number
                at, done = at + size, done + tokens
        return Batch(
            inputs=inputs,
            labels=as_targets(np.zeros(count)),
            weights=(owners >= 0).astype(np.float32),
            index=np.array([number for numbers in packed for number in numbers], np.int64),
            owners=owners,
        )
