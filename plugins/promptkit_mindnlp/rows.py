"""Packed rows taken apart, one example a row, and put together again. NumPy alone.

R rows, S positions a row, E examples a row, M positions read of each, N = R * E.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Apart:
    """Where the positions of packed rows go when every example gets a row of its own, T positions long.

    Attributes:
        parts: examples that run together: which of the R * S positions stands where, (X, T) int64, R * S itself for
            padding; and a mask, (X, T) int64, 1 where there is a token.
        read: (N * M,) int64, which of the positions of all parts, one behind the other, is read.
    """

    parts: tuple[tuple[NDArray[np.int64], NDArray[np.int64]], ...]
    read: NDArray[np.int64]


def window_of(config: Any) -> int:
    """Return how many positions the layers of a model look back that look back least; very many where all see all.

    A mask that is handed over takes the place of the model's own, and of the window in it. So what is longer must not
    be packed.

    Args:
        config: as transformers has it: `sliding_window` (Mistral, Gemma), `local_attention`, of which half lies on
            each side (ModernBERT), or `window_size` (GPT-Neo).
    """
    sliding = getattr(config, "sliding_window", None) if getattr(config, "use_sliding_window", True) else None
    local = getattr(config, "local_attention", None)
    found = (sliding, local // 2 if isinstance(local, int) else None, getattr(config, "window_size", None))
    return min((each for each in found if isinstance(each, int) and each > 0), default=sys.maxsize)


def take_apart(segment_ids: Any, position_ids: Any, read: Any, padded: bool = True) -> Apart:
    """Return where everything goes.

    Args:
        segment_ids: (R, S), as in `promptkit.backbones.face.Inputs`.
        position_ids: (R, S).
        read: (R, E, M). Where a position of padding is read, the first example's first is.
        padded: whether all examples are one part, padded to the longest; else those of each length are.
    """
    segments, places = np.asarray(segment_ids), np.asarray(position_ids)
    rows, length = segments.shape
    of_row = np.arange(rows)[:, None].repeat(length, 1)
    real = segments > 0
    examples, number = np.unique(np.stack([of_row[real], segments[real]], 1), axis=0, return_inverse=True)
    longest = int(places[real].max()) + 1 if real.any() else 1
    source = np.full((max(len(examples), 1), longest), rows * length, np.int64)
    number = number.reshape(-1)
    source[number, places[real]] = np.flatnonzero(real)
    back = np.zeros(rows * length, np.int64)
    back[np.flatnonzero(real)] = number * longest + places[real]
    mask = (source < rows * length).astype(np.int64)
    mask[:, 0] = 1  # a row of padding alone looks at something
    flat = np.asarray(read).reshape(rows, -1) + np.arange(rows)[:, None] * length
    whole = Apart(((source, mask),), back[flat.reshape(-1)])
    return whole if padded else _by_length(whole)


def _by_length(whole: Apart) -> Apart:
    ((source, mask),) = whole.parts
    lengths = mask.sum(1)
    order = np.argsort(lengths, kind="stable")
    start = np.zeros_like(lengths)
    start[order] = np.cumsum(lengths[order]) - lengths[order]
    example, place = np.divmod(whole.read, mask.shape[1])
    parts = [(lengths == length, length) for length in np.unique(lengths)]
    own = tuple((source[which, :length], mask[which, :length]) for which, length in parts)
    return Apart(own, start[example] + place)


def attention(segment_ids: Any, causal: bool, prefix: int = 0) -> NDArray[np.bool_]:
    """Return which positions every position attends to, (R, S, prefix + S).

    Its own segment's, those before it alone if `causal`, and all of a prefix. Padding attends to padding.
    """
    segments = np.asarray(segment_ids)
    allowed = segments[:, :, None] == segments[:, None, :]
    if causal:
        allowed &= np.tril(np.ones(allowed.shape[1:], bool))
    return np.concatenate([np.ones((*allowed.shape[:2], prefix), bool), allowed], -1)
