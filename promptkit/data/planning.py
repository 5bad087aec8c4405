"""Which rows examples are packed into: those in which an epoch, or a scoring, takes the least time.

Every row length is tried with several numbers of rows on the lengths at hand, packed as `Packer` packs them, and
costed by its positions and by what attention adds to each of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

from promptkit.backbones.face import BackboneInfo
from promptkit.data.packing import Rows, fill_rows, group_rows

Int64 = NDArray[np.int64]
Order = list[tuple[int, int]]

_MULTIPLE = 8  # row lengths are multiples of it, for the sake of vector units
_LONGEST = 256  # rows longer than this are planned only where an example is
_SAMPLE = 2048  # examples that a plan is tried on
_CALL = 16  # positions that starting a batch takes the time of
_TRIALS = 16  # orders, or draws, that a plan for few examples is tried on
_MISFITS = 1 / 16  # share of draws that need not fit into the rows planned for a single batch
_FULL = 0.92  # share of the batch size that planned batches hold on average at least
# Attention costs so much more a token the longer the row: a share of S times heads / hidden_size^2, against the
# matrix products. Fitted to rows of 96, 128 and 256 of promptkit-mini on two cores, training steps.
_ATTENTION = 17.0


def plan_rows(
    lengths: Sequence[int], batch_size: int, info: BackboneInfo | None = None, *, typical: Sequence[int] = ()
) -> Rows:
    """Choose the rows in which an epoch over shuffled examples is trained fastest.

    Rows whose batches come to hold noticeably fewer examples than `batch_size` are not taken where there are others:
    they would train with another batch size than was asked for. Examples that fit into one batch are given rows that
    hold them all.

    Args:
        lengths: tokens of each example.
        batch_size: examples a batch, at most.
        info: of the model; without it attention is taken to cost nothing more.
        typical: tokens of examples that these were drawn from. The rows are then planned for such draws, not for this
            one, so that draws of one size nearly always get the same rows; this one fits in any case.

    Returns:
        Rows that hold a batch of average examples; the longest example fits into one.

    Raises:
        ValueError: without lengths, or with one below 1.
    """
    sizes = _checked(lengths, batch_size)
    batch_size = min(batch_size, len(sizes))
    if len(typical):
        rows = _train_plan(_draws(_checked(typical, 1), len(sizes)), batch_size, info)
        if _hold(rows, sizes, batch_size):
            return rows
    return _train_plan(_orders(sizes), batch_size, info)


def plan_scoring_rows(
    sets: Sequence[Sequence[int]], batch_size: int, info: BackboneInfo | None = None, *, longest: int = 0
) -> Rows:
    """Choose the rows in which sets of examples are scored fastest, each set packed by itself as tightly as it goes.

    Args:
        sets: tokens of each example of each set.
        batch_size: examples a batch, about.
        info: see `plan_rows`.
        longest: tokens of the longest example that must fit beside these.

    Raises:
        ValueError: without lengths, or with one below 1.
    """
    checked = [_checked(lengths, batch_size) for lengths in sets if len(lengths)]
    if not checked:
        raise ValueError("rows are planned for at least one set of examples")
    sampled = [_sampled(sizes) for sizes in checked]
    every = np.concatenate(sampled)
    batch_size = min(batch_size, max(map(len, checked)))

    @cache
    def filled(length: int, examples: int) -> list[int]:
        """Rows that each set fills, however many a batch has."""
        return [
            round(sum(1 for _ in fill_rows(_ascending(sample), length, examples)) * len(sizes) / len(sample))
            for sizes, sample in zip(checked, sampled, strict=True)
        ]

    def price(rows: Rows) -> tuple[bool, float]:
        batches = sum(-(-count // rows.count) for count in filled(rows.length, rows.examples))
        return False, batches * (rows.count * rows.length + _CALL)

    counts = (range(-3, 4), lambda length: batch_size * float(every.mean()) / length)
    return _cheapest(max(longest, int(every.max())), int(every.min()), batch_size, info, counts, price)


def _checked(lengths: Sequence[int], batch_size: int) -> Int64:
    if not len(lengths) or min(lengths) < 1 or batch_size < 1:
        raise ValueError("rows are planned for examples of at least one token, and batches of at least one example")
    return np.asarray(lengths, dtype=np.int64)


def _sampled(sizes: Int64) -> Int64:
    """Return at most `_SAMPLE` of the lengths, the longest among them."""
    if len(sizes) <= _SAMPLE:
        return sizes
    return np.concatenate([np.random.default_rng(0).choice(sizes, _SAMPLE - 1, replace=False), [sizes.max()]])


def _orders(sizes: Int64) -> list[Order]:
    """Return orders in which an epoch may come: one of many examples, several of few."""
    rng, sample = np.random.default_rng(0), _sampled(sizes)
    trials = int(np.clip(_SAMPLE // len(sample), 1, _TRIALS))
    return [list(enumerate(rng.permutation(sample).tolist())) for _ in range(trials)]


def _draws(typical: Int64, examples: int) -> list[Order]:
    """Return draws of so many examples from those that are typical."""
    rng, count = np.random.default_rng(0), min(examples, _SAMPLE)
    trials = int(np.clip(_SAMPLE // count, 1, _TRIALS))
    chosen = [rng.choice(typical, count, replace=count > len(typical)) for _ in range(trials)]
    # A draw may well hold the longest of all: rows that could not take it would be planned twice.
    chosen[0][0] = typical.max()
    return [list(enumerate(each.tolist())) for each in chosen]


def _train_plan(orders: list[Order], batch_size: int, info: BackboneInfo | None) -> Rows:
    sizes = np.array([size for order in orders for _, size in order])
    single = batch_size >= len(orders[0])

    def price(rows: Rows) -> tuple[bool, float]:
        held = [[sum(map(len, packed)) for packed in group_rows(order, rows, batch_size)] for order in orders]
        batches = float(np.mean([len(each) for each in held]))
        if single:
            # One that does not fit gets rows of its own, and a graph of its own with them.
            return sum(len(each) > 1 for each in held) > _MISFITS * len(held), rows.count * rows.length
        full = float(np.mean([count for each in held for count in each[:-1] or each]))
        return full < _FULL * batch_size, batches * rows.count * rows.length

    # Few examples fill rows badly, and a single batch shall hold what an unlucky draw has: more rows are tried.
    counts = (range(6 if single else 4), lambda length: max(1.0, batch_size * float(sizes.mean()) / length))
    return _cheapest(int(sizes.max()), int(sizes.min()), batch_size, info, counts, price)


def _cheapest(
    longest: int,
    shortest: int,
    batch_size: int,
    info: BackboneInfo | None,
    counts: tuple[range, Callable[[int], float]],
    price: Callable[[Rows], tuple[bool, float]],
) -> Rows:
    """Return the rows of the lowest price.

    Args:
        longest: tokens that a row must hold.
        shortest: tokens of the shortest example.
        batch_size: examples a batch.
        info: of the model.
        counts: numbers of rows to try, from the number that a batch of average examples fills at a row length.
        price: whether batches are too small, and the positions that are gone through.
    """
    extra = _ATTENTION * info.heads / info.hidden_size**2 if info else 0.0
    least = -(-longest // _MULTIPLE) * _MULTIPLE
    tried: list[tuple[bool, float, int, Rows]] = []
    for length in range(least, max(least, _LONGEST) + 1, _MULTIPLE):
        about = int(counts[1](length))
        for rows in _rows_of(about, counts[0], length, batch_size, shortest):
            meagre, positions = price(rows)
            tried.append((meagre, positions * (1.0 + extra * length), len(tried), rows))
        if about <= 1 and not min(tried)[0]:
            break  # a batch fits into one row: longer ones would only be emptier
    return min(tried)[3]


def _rows_of(about: int, steps: range, length: int, batch_size: int, shortest: int) -> Iterator[Rows]:
    """Yield rows of one length, in numbers about the one that is named."""
    for count in sorted({max(1, about + step) for step in steps}):
        # A row of short examples only may hold twice the average, no more: places cost something in the last layer.
        examples = min(-(-2 * batch_size // count), batch_size, max(1, length // shortest))
        yield Rows(count, length, examples)


def _hold(rows: Rows, sizes: Int64, batch_size: int) -> bool:
    """Return whether rows that were planned for others take these: each of them, and all at once if one batch may."""
    if int(sizes.max()) > rows.length:
        return False
    return (
        batch_size < len(sizes) or len(list(fill_rows(_ascending(sizes), rows.length, rows.examples))) <= rows.count
    )


def _ascending(sizes: Int64) -> list[tuple[int, int]]:
    return sorted((int(size), number) for number, size in enumerate(sizes))
