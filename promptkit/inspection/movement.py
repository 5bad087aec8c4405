"""How far virtual tokens went from where they started, and whether that is worth speaking of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

TOLERANCE = 0.1
"""A virtual token hardly moved if it went at most this share of the norm it started with."""


@dataclass(frozen=True)
class Movement:
    """How far the virtual tokens of one template went.

    Attributes:
        hardly_moved: whether none went further than `tolerance`.
        tolerance: a share of the norm that a token started with.
        within: how many went no further than that.
        of: how many there are.
        furthest: name of the token that went furthest, as a share.
        largest_move: its Euclidean distance from where it started; one of a larger norm may have gone a longer way.
        largest_share: the same as a share of the norm it started with, of all tokens the largest.
        lowest_cosine: of all tokens with where they started.
    """

    hardly_moved: bool
    tolerance: float
    within: int
    of: int
    furthest: str
    largest_move: float
    largest_share: float
    lowest_cosine: float


def movement(
    names: Sequence[str],
    moved: NDArray[np.float64],
    norms: NDArray[np.float64],
    cosines: NDArray[np.float64],
    scale: float,
) -> Movement:
    """Sum up how far P virtual tokens went.

    Args:
        names: of the tokens, (P,).
        moved: Euclidean distances from where they started, (P,).
        norms: Euclidean norms of what they started as, (P,).
        cosines: with where they started, (P,).
        scale: what a norm of 0 is replaced by, e.g. the median norm of the vocabulary's embeddings.
    """
    shares = moved / np.where(norms > 0, norms, scale or 1.0)
    furthest = int(shares.argmax())
    within = int((shares <= TOLERANCE).sum())
    return Movement(
        hardly_moved=within == len(names),
        tolerance=TOLERANCE,
        within=within,
        of=len(names),
        furthest=names[furthest],
        largest_move=float(moved[furthest]),
        largest_share=float(shares[furthest]),
        lowest_cosine=float(cosines.min()),
    )
