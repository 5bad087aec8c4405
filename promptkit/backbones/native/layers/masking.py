"""What is added to attention scores so that packed examples do not see each other; and what dropout leaves."""

from __future__ import annotations

from typing import Any

import mindspore as ms
from mindspore import ops

from promptkit.backbones.constants import FAR, numbers


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
    return (ops.equal(own, other).astype(ms.float32) - 1.0) * FAR


def causal_bias(segment_ids: Any, position_ids: Any) -> Any:
    """The same where a position sees what came before it in its example, and itself.

    Args:
        segment_ids: (R, S) int32.
        position_ids: (R, S) int32, positions within examples.

    Returns:
        (R, S, S) float32.
    """
    later = ops.less(position_ids.expand_dims(2), position_ids.expand_dims(1))
    return ops.minimum(block_bias(segment_ids), later.astype(ms.float32) * -FAR)


def linear_bias(position_ids: Any, slopes: Any) -> Any:
    """What attention loses with distance (Press et al. 2022, ALiBi).

    Args:
        position_ids: (R, S) int32.
        slopes: (A,).

    Returns:
        (R, A, S, S) float32: slope * (position of the key - position of the query).
    """
    places = position_ids.astype(ms.float32)
    apart = places.expand_dims(1) - places.expand_dims(2)
    return apart.expand_dims(1) * slopes.reshape(1, -1, 1, 1)


def linear_prefix_bias(segment_ids: Any, position_ids: Any, slopes: Any, count: Any) -> Any:
    """The same for a prefix, which stands directly in front of every example.

    Args:
        segment_ids: (R, S) int32.
        position_ids: (R, S) int32.
        slopes: (A,).
        count: P.

    Returns:
        (R, A, S, P) float32.
    """
    rows, length = segment_ids.shape
    from_start = _from_start(segment_ids, position_ids).reshape(rows, 1, length, 1)
    before = numbers(-count, 0).astype(ms.float32).reshape(1, 1, 1, count)
    return (before - from_start) * slopes.reshape(1, -1, 1, 1)


def front_bias(segment_ids: Any, position_ids: Any, count: Any) -> Any:
    """Let examples that begin behind a front attend to it, and no others: those whose positions begin at 0.

    Args:
        segment_ids: (R, S) int32.
        position_ids: (R, S) int32.
        count: F.

    Returns:
        (R, S, F) float32.
    """
    begins = position_ids.astype(ms.float32) - _from_start(segment_ids, position_ids)
    hidden = ops.less(begins, 0.5).astype(ms.float32) * -FAR
    return ops.broadcast_to(hidden.expand_dims(2), (*position_ids.shape, count))


def _from_start(segment_ids: Any, position_ids: Any) -> Any:
    """How far every position is from its example's first one, (R, S): one less than what it sees of the example."""
    seen = ops.equal(causal_bias(segment_ids, position_ids), 0.0).astype(ms.float32)
    return seen.sum(-1) - 1.0


def over_prefix(bias: Any, count: Any) -> Any:
    """Let every position attend to `count` prefix positions in front: (..., S) -> (..., count + S)."""
    return ops.concat((ops.zeros((*bias.shape[:-1], count), ms.float32), bias), -1)


def left_by_dropout(keep: Any, rate: Any) -> Any:
    """What to multiply by: 1 / (1 - rate) where `keep` is true and 0 elsewhere (Srivastava et al. 2014)."""
    return keep.astype(ms.float32) * (1.0 / (1.0 - rate))


def left_in_layer(dropout: Any, number: Any) -> Any:
    """What a layer multiplies by: attention probabilities, and the outputs of attention and feed-forward; or None."""
    if dropout is None:
        return None
    hidden, rate = dropout["hidden"], dropout["rate"]
    return (
        left_by_dropout(dropout["attention"][number], rate),
        left_by_dropout(hidden[2 * number + 1], rate),
        left_by_dropout(hidden[2 * number + 2], rate),
    )


def left_where_read(left: Any, chosen: Any, count: Any) -> Any:
    """The same for a layer that computes the R * Q chosen rows only, `count` = Q of each."""
    if left is None:
        return None
    places, attended, fed = left
    return places[:, :, :count], ops.gather(attended, chosen, 0), ops.gather(fed, chosen, 0)


def for_heads(bias: Any, heads: Any) -> Any:
    """Repeat a bias for every head, (R, Q, S) -> (R, A, Q, S), so that no layer has to broadcast."""
    rows, queries, length = bias.shape
    return ops.broadcast_to(bias.expand_dims(1), (rows, heads, queries, length))
