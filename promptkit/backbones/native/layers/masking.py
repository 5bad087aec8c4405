"""What is added to attention scores so that packed examples do not see each other; and what dropout leaves."""

from __future__ import annotations

from typing import Any

import mindspore as ms
from mindspore import ops

_FAR = 1e9  # far enough below any score that softmax turns it into exactly 0


def block_bias(segment_ids: Any) -> Any:
    """Return 0 where two positions of a row belong to one example, else a number that softmax turns into 0.

    Padding belongs with padding, so that no position is left without one to attend to.

    Args:
        segment_ids: (R, S) int32.

    Returns:
        (R, S, S) float32.
    """
    own = segment_ids.expand_dims(2)
    other = segment_ids.expand_dims(1)
    return (ops.equal(own, other).astype(ms.float32) - 1.0) * _FAR


def over_prefix(bias: Any, count: Any) -> Any:
    """Let every position attend to `count` prefix positions in front: (R, Q, S) -> (R, Q, count + S)."""
    rows, queries, _ = bias.shape
    return ops.concat((ops.zeros((rows, queries, count), ms.float32), bias), 2)


def left_by_dropout(keep: Any, rate: Any) -> Any:
    """What to multiply by: 1 / (1 - rate) where `keep` is true and 0 elsewhere (Srivastava et al. 2014)."""
    return keep.astype(ms.float32) * (1.0 / (1.0 - rate))


def for_heads(bias: Any, heads: Any) -> Any:
    """Repeat a bias for every head, (R, Q, S) -> (R, A, Q, S), so that no layer has to broadcast."""
    rows, queries, length = bias.shape
    return ops.broadcast_to(bias.expand_dims(1), (rows, heads, queries, length))
