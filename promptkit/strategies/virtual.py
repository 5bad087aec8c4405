"""Virtual tokens: what they are, and where they start."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from mindspore import Parameter, Tensor, nn, ops

from promptkit.backbones.face import Backbone
from promptkit.errors import UserError, unknown
from promptkit.prompting.pieces import whole_word
from promptkit.prompting.resolved import PromptTask

_STARTS = ("random", "vocab", "text")


class VirtualTokens(nn.Cell):
    """P trainable vectors in the place of word embeddings (Lester et al. 2021).

    Args:
        vectors: where they start, (P, H).
    """

    def __init__(self, vectors: Any) -> None:
        super().__init__()
        self.vectors = Parameter(Tensor(np.ascontiguousarray(vectors, dtype=np.float32)), name="vectors")

    def construct(self) -> Any:
        """Return the vectors, (P, H)."""
        return self.vectors


def mix_in(words: Any, vectors: Any, virtual_ids: Any) -> Any:
    """Put virtual tokens into their places.

    Args:
        words: word embeddings, (R, S, H).
        vectors: virtual tokens, (P, H).
        virtual_ids: (R, S) int32, which of them stands at a position, or -1.

    Returns:
        (R, S, H).
    """
    placed = ops.gather(vectors, ops.relu(virtual_ids), 0)
    is_virtual = (virtual_ids >= 0).expand_dims(-1).astype(words.dtype)
    return words * (1.0 - is_virtual) + placed * is_virtual


def word_vectors(backbone: Backbone, ids: Sequence[int]) -> Any:
    """Return word embeddings as NumPy.

    Args:
        backbone: the language model.
        ids: of the vocabulary.

    Returns:
        (len(ids), W) float32, with W the width of word embeddings, `info.embedding_size`: H for most models.
    """
    return np.array(backbone.embed(Tensor(np.asarray(ids, np.int32))).asnumpy())


def initial_vectors(backbone: Backbone, task: PromptTask, how: str) -> Any:
    """Return starting vectors for the virtual tokens.

    Virtual tokens that the template writes as words (`{soft:"It was"}`) start from those words' embeddings.

    Args:
        backbone: the language model.
        task: the resolved prompt, with P virtual tokens.
        how: the others start (Lester et al. 2021, section 3.2): `random`, uniform in [-0.5, 0.5]; `vocab`, from the
            embeddings of words drawn without replacement; `text`, from the label words in turn, as their class-label
            initialisation does, or from the labels' names where a head reads no label words.

    Returns:
        (P, W) float32 NumPy, with W the width of word embeddings, `info.embedding_size`: H for most models.

    Raises:
        UserError: for an unknown `how`, or for `text` where there are no words.
    """
    if how not in _STARTS:
        raise unknown("start of virtual tokens", how, _STARTS)
    count, width = task.num_virtual, backbone.info.embedding_size
    if how == "random":
        vectors = task.rng.uniform(-0.5, 0.5, (count, width)).astype(np.float32)
    else:
        vectors = word_vectors(backbone, _source_ids(task, how, count))
    for number, piece in enumerate(task.virtual_init):
        if piece is not None:
            vectors[number] = word_vectors(backbone, [piece])[0]
    return vectors


def _source_ids(task: PromptTask, how: str, count: int) -> list[int]:
    if how == "text":
        words = [piece for group in label_pieces(task) for piece in group]
        if not words:
            raise UserError(
                'init=text takes label words, and there are none; write {soft:"WORDS"} to start from some.'
            )
        return [words[i % len(words)] for i in range(count)]
    tokenizer = task.tokenizer
    special = {tokenizer.cls_id, tokenizer.sep_id, tokenizer.pad_id, tokenizer.mask_id, tokenizer.unk_id}
    usable = [i for i in range(tokenizer.vocab_size) if i not in special and whole_word(tokenizer, i)]
    pool = usable if len(usable) >= count else [i for i in range(tokenizer.vocab_size) if i not in special]
    drawn = task.rng.choice(len(pool), size=count, replace=len(pool) < count)
    return [pool[int(i)] for i in drawn]


def label_pieces(task: PromptTask) -> list[tuple[int, ...]]:
    if task.verbalizer is not None:
        return [word for words in task.verbalizer.whole for word in words]
    return [tuple(task.tokenizer.encode(label)) for label in task.labels] or [()]
