"""Vectors against the vocabulary and against each other; NumPy only.

P virtual tokens, V vocabulary rows, H hidden, N words that are looked through.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from promptkit.backbones.face import ChatTokenizer
from promptkit.prompting.pieces import readable_piece

if TYPE_CHECKING:
    from promptkit.backbones.face import Tokenizer

# Rows that no text reaches, by the names that published vocabularies give them.
_UNUSED = re.compile(r"\[unused\d+\]|<unused\d+>|madeupword\d+|<[ST]>")
# Candidates beyond K, so that single precision does not decide who is the last of them.
_SPARE = 8


@dataclass(frozen=True)
class Neighbour:
    """A word of the vocabulary near a vector.

    Attributes:
        word: as people read it.
        id: its row.
        cosine: of the angle to the vector, from -1 to 1.
        distance: Euclidean, in the unit of the embeddings.
    """

    word: str
    id: int
    cosine: float
    distance: float


def word_rows(tokenizer: Tokenizer) -> NDArray[np.int64]:
    """Return the ids of the words: special tokens and rows that the vocabulary calls unused left out, (N,)."""
    special = {tokenizer.cls_id, tokenizer.sep_id, tokenizer.pad_id, tokenizer.mask_id, tokenizer.unk_id}
    if isinstance(tokenizer, ChatTokenizer):
        special |= _marks(tokenizer)
    usable = (
        number
        for number in range(tokenizer.vocab_size)
        if number not in special and not _UNUSED.fullmatch(tokenizer.token(number))
    )
    return np.fromiter(usable, np.int64)


def _marks(tokenizer: ChatTokenizer) -> set[int]:
    """Return what besides the usual ones is special: `<|im_start|>` and its like, which no text is split into."""
    named = ((number, tokenizer.token(number)) for number in range(tokenizer.vocab_size))
    return {
        number
        for number, token in named
        if token[:1] in ("<", "[") and tokenizer.encode_marked(token) == [number] != tokenizer.encode(token)
    }


def similarity(ones: NDArray[np.floating[Any]], others: NDArray[np.floating[Any]]) -> tuple[NDArray[np.float64], ...]:
    """Return the cosines and the Euclidean distances of vectors pair by pair, each (...,) from (..., H).

    The cosine with a vector of zeros is 0.
    """
    a, b = np.asarray(ones, np.float64), np.asarray(others, np.float64)
    norms = np.linalg.norm(a, axis=-1) * np.linalg.norm(b, axis=-1)
    dots = (a * b).sum(-1)
    return np.divide(dots, norms, out=np.zeros_like(dots), where=norms > 0), np.linalg.norm(a - b, axis=-1)


def nearest_words(
    vectors: NDArray[np.floating[Any]],
    table: NDArray[np.floating[Any]],
    rows: NDArray[np.int64],
    tokenizer: Tokenizer,
    k: int,
) -> list[tuple[Neighbour, ...]]:
    """Return for each vector the k words nearest by cosine, nearest first; of equals the lower id first.

    Args:
        vectors: (P, H).
        table: the vocabulary's embeddings, (V, H).
        rows: ids of the words to look through, (N,).
        tokenizer: names the words.
        k: how many; all N if that is fewer.
    """
    words = table[rows]
    norms = np.linalg.norm(words, axis=-1)
    cosines = vectors @ words.T / np.where(norms > 0, norms, 1)
    count = min(k + _SPARE, len(rows))
    found = []
    for vector, row in zip(vectors, cosines, strict=True):
        # All that are equal to the last one, so that their order in memory decides nothing.
        candidates = rows[row >= np.partition(row, -count)[-count]]
        cosine, distance = similarity(vector, table[candidates])
        order = np.lexsort((candidates, -cosine))[:k]
        found.append(
            tuple(
                Neighbour(
                    readable_piece(tokenizer, int(candidates[i])),
                    int(candidates[i]),
                    float(cosine[i]),
                    float(distance[i]),
                )
                for i in order
            )
        )
    return found


@dataclass(frozen=True)
class Projection:
    """Vectors seen in the two directions in which they differ most.

    Attributes:
        points: (N, 2).
        shares: of the variance, (2,), each from 0 to 1.
    """

    points: NDArray[np.float64]
    shares: NDArray[np.float64]


def principal_components(vectors: NDArray[np.floating[Any]]) -> Projection:
    """Return the first two principal components of vectors, (N, H) -> (N, 2); by singular values.

    A component's sign is free; here its loading of greatest size is positive. Vectors that differ in fewer than
    two directions have zeros for the rest.
    """
    centred = np.asarray(vectors, np.float64) - np.mean(vectors, axis=0, dtype=np.float64)
    left, values, axes = np.linalg.svd(centred, full_matrices=False)
    total = float((values**2).sum())
    points, shares = np.zeros((len(centred), 2)), np.zeros(2)
    for number in range(min(2, len(values)) if total > 0 else 0):
        sign = np.sign(axes[number][np.abs(axes[number]).argmax()])
        points[:, number] = sign * left[:, number] * values[number]
        shares[number] = values[number] ** 2 / total
    return Projection(points, shares)
