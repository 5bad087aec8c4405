"""The cells behind `autoprompt`; imported only when a run builds them. P trigger tokens, H hidden, V vocabulary."""

from __future__ import annotations

from typing import Any

import mindspore as ms
import numpy as np
from mindspore import Parameter, Tensor, nn, ops

from promptkit import PromptTask, readable_piece
from promptkit.nn import Backbone, Search, SoftPrompt, word_vectors


class Trigger(nn.Cell):
    """Words of the vocabulary in the place of virtual tokens.

    Args:
        backbone: embeds them.
        ids: their vocabulary ids, (P,).
    """

    def __init__(self, backbone: Backbone, ids: Any) -> None:
        super().__init__()
        self.backbone = backbone
        # Fractions hold whole numbers below 2^24 exactly, and they are what an artifact holds.
        self.ids = Parameter(Tensor(np.asarray(ids, np.float32)), name="ids", requires_grad=False)
        # It stays zero: its gradient is that of the embeddings.
        zeros = np.zeros((len(ids), backbone.info.embedding_size), np.float32)
        self.offset = Parameter(Tensor(zeros), name="offset")

    def construct(self) -> Any:
        """Return the embeddings, (P, H)."""
        return self.backbone.embed(self.ids.astype(ms.int32)) + self.offset


class TriggerPrompt(SoftPrompt):
    """A template whose virtual tokens are words that are searched for (Shin et al. 2020, section 2.2).

    They start as masks, or as the words of `{soft:"..."}`.

    Args:
        backbone: the language model.
        task: the resolved prompt.
        candidates: words tried in a turn.
        iterations: turns.
    """

    searches = True

    def __init__(self, backbone: Backbone, task: PromptTask, candidates: int, iterations: int) -> None:
        start = [task.tokenizer.mask_id if piece is None else piece for piece in task.virtual_init]
        super().__init__(backbone, task, prompt=Trigger(backbone, start))
        self.candidates, self.iterations = candidates, iterations
        self.allowed = _allowed(task)

    def own_parameters(self) -> dict[str, Parameter]:
        """Return the trigger's ids, all that prediction needs."""
        return {"prompt.ids": self.prompt.ids}

    def found(self) -> str:
        """Return the trigger's words, with the marks of the tokenizer."""
        return " ".join(readable_piece(self.backbone.tokenizer, int(number)) for number in self.prompt.ids.asnumpy())

    def search(self, search: Search) -> None:
        """Replace one trigger token a turn by the best of the most promising words.

        Exchanging token j's embedding for w changes the loss by about (w - e_j) * dL/de_j (Ebrahimi et al. 2018). The
        words for which that is lowest are tried on another batch, and the best takes the place if it lowers the loss
        there.
        """
        table = word_vectors(self.backbone, range(len(self.allowed)))
        for _ in search.turns(self.iterations):
            ids = self.prompt.ids.asnumpy().copy()
            place = int(search.rng.integers(len(ids)))
            _, (gradient,) = search.gradients(search.batch())
            change = np.where(self.allowed, table @ gradient[place], np.inf)
            change[int(ids[place])] = np.inf
            promising = [n for n in np.argsort(change, kind="stable")[: self.candidates] if np.isfinite(change[n])]
            batch = search.batch()
            losses = [search.loss(batch)]
            tried = [ids]
            for word in promising:
                tried.append(np.concatenate([ids[:place], [np.float32(word)], ids[place + 1 :]]).astype(np.float32))
                self._put(tried[-1])
                losses.append(search.loss(batch))
            best = int(np.argmin(losses))
            self._put(tried[best])
            if best:
                search.offer(losses[best])

    def _put(self, ids: Any) -> None:
        ops.assign(self.prompt.ids, Tensor(ids))


def _allowed(task: PromptTask) -> Any:
    """Return which words a trigger may have, (V,).

    Neither special tokens nor the label words, with which it would spell an answer out. Rows that a published
    vocabulary leaves unused, `[unused7]`, are special as well.
    """
    tokenizer = task.tokenizer
    special = {tokenizer.cls_id, tokenizer.sep_id, tokenizer.pad_id, tokenizer.mask_id, tokenizer.unk_id}
    if task.verbalizer is not None:
        special |= {piece for group in task.verbalizer.whole for word in group for piece in word}
    names = [tokenizer.token(number) for number in range(tokenizer.vocab_size)]
    return np.array(
        [n not in special and not (len(it) > 2 and it[0] + it[-1] in ("[]", "<>")) for n, it in enumerate(names)]
    )
