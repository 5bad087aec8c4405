"""Batches of few static shapes, with little padding.

A graph is compiled for each shape it meets, and an accelerator wants shapes that stand still. So encoded
examples are sorted into a few widths, every batch of a width has the same shape, and `plan_widths` weighs
the padding that fewer widths cost against the compilation that more widths cost.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from promptkit.prompting import Encoded

Int32 = NDArray[np.int32]
Int64 = NDArray[np.int64]
Float32 = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Batch:
    """Rows of one width S. The last batch of a width is filled up with copies of its first row.

    Attributes:
        input_ids: (B, S) token ids, the pad id behind the text.
        attention_mask: (B, S) 1 for a token, 0 for padding.
        virtual_ids: (B, S) number of the virtual token at a position, -1 for none.
        positions: (B, M) positions that class scores are read from; (B, 1) zeros for the first token.
        labels: (B,) class indices, -1 where they are unknown.
        weights: (B,) 1 for an example, 0 for a filler row.
        index: (B,) row of the example in the data set, -1 for a filler row.
    """

    input_ids: Int32
    attention_mask: Float32
    virtual_ids: Int32
    positions: Int32
    labels: Int32
    weights: Float32
    index: Int64

    @property
    def arrays(self) -> tuple[Int32, Float32, Int32, Int32]:
        """What a prompted model takes: input_ids, attention_mask, virtual_ids, positions."""
        return self.input_ids, self.attention_mask, self.virtual_ids, self.positions


def plan_widths(
    lengths: Sequence[int],
    batch_size: int,
    *,
    passes: float,
    token_cost: float,
    compile_cost: float,
    multiple: int = 8,
    max_widths: int = 6,
) -> tuple[int, ...]:
    """Choose the widths that examples are padded to, so that a whole run costs least.

    The cost is `passes * token_cost * (tokens of all batches, padding and filler rows included)
    + compile_cost * (number of widths)`; an exact dynamic programme finds its minimum. Only lengths rounded
    up to `multiple` can be widths of an optimum: any other width could shrink to the next one below it.

    Args:
        lengths: tokens of each example.
        batch_size: B, rows of a batch.
        passes: how often the run goes through these examples.
        token_cost: cost of one padded token in one pass, in any unit.
        compile_cost: cost of one more width, in the same unit.
        multiple: widths are multiples of this.
        max_widths: at most so many widths.

    Returns:
        Ascending widths; the last holds the longest example. Of equally cheap plans, one with fewest widths.

    Raises:
        ValueError: without lengths, or with a count below 1 or a negative cost.
    """
    if not len(lengths) or min(lengths) < 1 or min(batch_size, multiple, max_widths) < 1:
        raise ValueError("plan_widths needs lengths, batch_size, multiple and max_widths of at least 1")
    if min(passes, token_cost, compile_cost) < 0:
        raise ValueError("costs cannot be negative")
    rounded = -(-np.asarray(lengths, dtype=np.int64) // multiple) * multiple
    widths, counts = np.unique(rounded, return_counts=True)
    upto = np.concatenate([[0], np.cumsum(counts)])

    def rows(start: int, stop: int) -> int:
        return -(-int(upto[stop] - upto[start]) // batch_size) * batch_size

    # best[n] = (cost, plan) over the n shortest candidates, for the number of widths of this round.
    unit = passes * token_cost
    best: dict[int, tuple[float, tuple[int, ...]]] = {0: (0.0, ())}
    answer: tuple[float, tuple[int, ...]] | None = None
    for _ in range(min(max_widths, len(widths))):
        longer: dict[int, tuple[float, tuple[int, ...]]] = {}
        for stop in range(1, len(widths) + 1):
            width = int(widths[stop - 1])
            options = (
                (cost + unit * rows(start, stop) * width + compile_cost, (*plan, width))
                for start, (cost, plan) in best.items()
                if start < stop
            )
            found = min(options, default=None)
            if found is not None:
                longer[stop] = found
        best = longer
        whole = best.get(len(widths))
        if whole is not None and (answer is None or whole[0] < answer[0]):
            answer = whole
    assert answer is not None
    return answer[1]


@dataclass(frozen=True, eq=False)
class _Bucket:
    """All examples of one width, padded once and in order of length."""

    width: int
    input_ids: Int32
    virtual_ids: Int32
    positions: Int32
    lengths: Int64
    labels: Int32
    index: Int64

    def batch(self, rows: Int64, batch_size: int) -> Batch:
        fillers = batch_size - len(rows)
        rows = np.concatenate([rows, np.full(fillers, rows[0])])
        real = np.arange(batch_size) < batch_size - fillers
        return Batch(
            input_ids=self.input_ids[rows],
            attention_mask=(np.arange(self.width) < self.lengths[rows, None]).astype(np.float32),
            virtual_ids=self.virtual_ids[rows],
            positions=self.positions[rows],
            labels=self.labels[rows],
            weights=real.astype(np.float32),
            index=np.where(real, self.index[rows], -1),
        )


class Batcher:
    """Hands out encoded examples as batches, each example once an epoch.

    Args:
        encoded: the examples.
        labels: class index of each, or None where nobody knows.
        batch_size: B.
        widths: ascending padded widths, e.g. from `plan_widths`.
        pad_id: the tokenizer's pad id.
        readout_positions: `mask` reads class scores at the mask slots, `first` at the first token.

    Attributes:
        num_batches: batches an epoch.
        padded_share: share of an epoch's token positions that hold padding or a filler row, 0 to 1.

    Raises:
        ValueError: no examples, a length beyond the last width, as many labels as examples not given, or
            examples that differ in the number of their mask slots or have none to read.
    """

    def __init__(
        self,
        encoded: Sequence[Encoded],
        labels: Sequence[int] | None,
        *,
        batch_size: int,
        widths: Sequence[int],
        pad_id: int,
        readout_positions: Literal["mask", "first"],
    ) -> None:
        lengths = np.array([len(example.input_ids) for example in encoded], dtype=np.int64)
        if not len(lengths) or batch_size < 1:
            raise ValueError("a batcher needs examples and a batch size of at least 1")
        if labels is not None and len(labels) != len(lengths):
            raise ValueError(f"{len(labels)} labels for {len(lengths)} examples")
        if not len(widths) or list(widths) != sorted(set(widths)) or lengths.max() > widths[-1]:
            raise ValueError(f"widths {tuple(widths)} must ascend and hold the length {lengths.max()}")
        classes = np.full(len(lengths), -1) if labels is None else np.asarray(labels)
        positions = _positions(encoded, readout_positions)
        self.batch_size = batch_size
        self._buckets: list[_Bucket] = []
        order = np.argsort(lengths, kind="stable")
        place = np.searchsorted(np.asarray(widths), lengths[order])
        for number, width in enumerate(widths):
            rows = order[place == number]
            if len(rows):
                self._buckets.append(
                    _Bucket(
                        width=int(width),
                        input_ids=_padded([encoded[row].input_ids for row in rows], width, pad_id),
                        virtual_ids=_padded([encoded[row].virtual_ids for row in rows], width, -1),
                        positions=positions[rows],
                        lengths=lengths[rows],
                        labels=classes[rows].astype(np.int32),
                        index=rows.astype(np.int64),
                    )
                )
        counts = [-(-len(bucket.index) // batch_size) for bucket in self._buckets]
        tokens = sum(n * batch_size * bucket.width for n, bucket in zip(counts, self._buckets, strict=True))
        self.num_batches = sum(counts)
        self.padded_share = 1.0 - float(lengths.sum()) / tokens

    def epoch(self, rng: np.random.Generator | None) -> Iterator[Batch]:
        """Yield the batches of one epoch.

        Args:
            rng: shuffles examples within their width and batches over the widths; None goes by length,
                the same way every time.
        """
        plan: list[tuple[_Bucket, Int64]] = []
        for bucket in self._buckets:
            count = len(bucket.index)
            rows = np.arange(count) if rng is None else rng.permutation(count)
            plan.extend((bucket, rows[i : i + self.batch_size]) for i in range(0, count, self.batch_size))
        turns = range(len(plan)) if rng is None else rng.permutation(len(plan))
        for turn in turns:
            bucket, rows = plan[turn]
            yield bucket.batch(rows, self.batch_size)


def _positions(encoded: Sequence[Encoded], readout: str) -> Int32:
    """Return the readout positions of all examples, (N, M), or (N, 1) zeros for the first token."""
    if readout == "first":
        return np.zeros((len(encoded), 1), dtype=np.int32)
    if readout != "mask":
        raise ValueError(f"readout_positions is 'mask' or 'first', not '{readout}'")
    slots = {len(example.mask_positions) for example in encoded}
    if len(slots) > 1 or 0 in slots:
        raise ValueError(f"examples must have the same number of mask slots, at least 1; found {sorted(slots)}")
    return np.array([example.mask_positions for example in encoded], dtype=np.int32)


def _padded(rows: Sequence[Sequence[int]], width: int, value: int) -> Int32:
    """Return rows of different lengths as one (N, width) array."""
    array = np.full((len(rows), width), value, dtype=np.int32)
    for row, ids in zip(array, rows, strict=True):
        row[: len(ids)] = ids
    return array
