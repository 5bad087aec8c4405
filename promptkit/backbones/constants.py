"""Numbers that engines, strategies and those who write share: constants of a graph, and what follows from shapes."""

from __future__ import annotations

from typing import Any

import mindspore as ms
import numpy as np
from mindspore import Tensor
from mindspore.ops import constexpr

FAR = 1e9
"""Taken from a score of attention: far enough below any other that softmax turns it into exactly 0."""


def numbers(start: int, stop: int, step: int = 1) -> Any:
    """Return whole numbers as an int32 tensor that a graph holds as a constant.

    In place of `ops.arange`, which is Python that MindSpore compiles along with every graph it stands in: a fifth of
    the time of a small one.

    Args:
        start: the first.
        stop: the first one too far. Within a graph all three have to follow from shapes.
        step: from one to the next.
    """
    return _constant(start, stop, step)


def rows_read(read: Any, length: Any) -> Any:
    """Return the numbers of the positions read among all R * `length`: (R, E, M) int32 -> (R * E * M,)."""
    rows, examples, slots = read.shape
    firsts = numbers(0, rows * length, length)
    return (read.reshape(rows, examples * slots) + firsts.reshape(rows, 1)).reshape(-1)


@constexpr  # type: ignore[untyped-decorator]
def _constant(start: int, stop: int, step: int) -> Tensor:
    return Tensor(np.arange(start, stop, step), ms.int32)
