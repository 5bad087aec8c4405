"""Attention heads: states cut into them and joined again, and a prefix in front of keys and values.

R rows, S positions, A heads, D head width, P prefix positions.
"""

from __future__ import annotations

from typing import Any

from mindspore import ops


def split_heads(x: Any, rows: Any, heads: Any) -> Any:
    """(R * S, A * D) -> (R, A, S, D)."""
    count, width = x.shape
    return ops.transpose(x.reshape(rows, count // rows, heads, width // heads), (0, 2, 1, 3))


def join_heads(x: Any) -> Any:
    """(R, A, S, D) -> (R * S, A * D)."""
    rows, heads, length, width = x.shape
    return ops.transpose(x, (0, 2, 1, 3)).reshape(rows * length, heads * width)


def behind(prefix: Any, own: Any) -> Any:
    """Put a prefix in front of every row's keys or values: (A, P, D), (R, A, S, D) -> (R, A, P + S, D).

    A prefix of (R, A, P, D) is every row's own.
    """
    if len(prefix.shape) == 4:
        return ops.concat((prefix, own), 2)
    heads, count, width = prefix.shape
    repeated = ops.broadcast_to(prefix.expand_dims(0), (own.shape[0], heads, count, width))
    return ops.concat((repeated, own), 2)
