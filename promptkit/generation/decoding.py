"""Texts going on token by token, several beside each other, with what their tokens' keys and values were kept.

Every shape is fixed at the start, so that one compiled graph reads the prompts and another one writes every token.
Dimensions: B texts, T positions of the longest prompt, P prefix positions, C = P + T + N kept positions for N tokens
to be written, L layers, A_kv heads of keys and values, D head width, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from mindspore import Tensor, ops

from promptkit.backbones.compiled import CompiledFunctions
from promptkit.backbones.constants import FAR
from promptkit.backbones.device import Mode
from promptkit.backbones.face import Writing
from promptkit.backbones.fusion import compiling
from promptkit.errors import UserError
from promptkit.interrupts import held_interrupts, restore_interrupts
from promptkit.nn import PromptedModel, packed
from promptkit.prompting import Encoded

_MULTIPLE = 16  # widths of prompts are multiples of it, so that few shapes are compiled


class Decoding:
    """Prompts that a model goes on with.

    Args:
        model: what asks, e.g. a `SoftPrompt`; its backbone offers `Writing`.
        longest: tokens of the longest prompt that will come.
        texts: B.
        tokens: N, most tokens of an answer.
        mode: `pynative` does not compile.

    Attributes:
        texts, tokens: B and N.
        end_ids: the tokens that end an answer.

    Raises:
        UserError: if the backbone does not write, or the texts would be longer than it reads.
    """

    def __init__(
        self,
        model: PromptedModel,
        *,
        longest: int,
        texts: int,
        tokens: int,
        mode: Mode,
    ) -> None:
        self._model = model
        self._backbone: Any = writing(model)
        info = self._backbone.info
        if longest + tokens > info.max_length:
            raise UserError(
                f"a prompt of {longest} tokens and {tokens} to be written are more than the model reads, "
                f"{info.max_length}; lower --max-tokens."
            )
        given = model.in_front()
        prefix = None if given is None else given.asnumpy()
        self._front = 0 if prefix is None else prefix.shape[3]
        self._first = 0 if prefix is None else info.layers - prefix.shape[0]
        self._width = -(-longest // _MULTIPLE) * _MULTIPLE
        self.texts, self.tokens, self._mode = texts, tokens, mode
        self.end_ids: tuple[int, ...] = tuple(self._backbone.end_ids)
        self._room = self._front + self._width + tokens
        # A prompt looks back at the prefix alone; nothing takes one position, for no tensor is empty.
        self._behind = max(self._front, 1)
        shape = (info.layers, 2, texts, info.kv_heads, self._room, info.head_width)
        self._nothing = np.zeros(shape, np.float32)
        if prefix is not None:
            self._nothing[self._first :, :, :, :, : self._front] = prefix[:, :, None]
        self._functions = CompiledFunctions()

    def begin(self, prompts: Sequence[Encoded]) -> Any:
        """Read B prompts and return the scores of the tokens that come next, (B, V)."""
        count, width, front = self.texts, self._width, self._front
        lengths = self._lengths = np.array([len(prompt.token_ids) for prompt in prompts])
        token_ids, virtual_ids = (
            np.full((count, width), self._backbone.tokenizer.pad_id, np.int32),
            np.full((count, width), -1, np.int32),
        )
        for row, prompt in enumerate(prompts):
            token_ids[row, : lengths[row]] = prompt.token_ids
            virtual_ids[row, : lengths[row]] = prompt.virtual_ids
        places = np.arange(width)
        position_ids = np.broadcast_to(np.minimum(places, lengths[:, None] - 1), (count, width)).astype(np.int32)
        self._there = np.zeros((count, self._room), bool)
        self._there[:, :front] = True
        self._positions = np.zeros((count, self._room), np.int32)
        self._positions[:, :front] = np.arange(-front, 0)
        own = (places <= places[:, None])[None] & (places < lengths[:, None])[:, None]
        own |= np.eye(width, dtype=bool)
        before = np.broadcast_to(self._there[:, None, : self._behind], (count, width, self._behind))
        last = np.arange(count) * width + lengths - 1
        scores, self._kept = self._call(
            "begin", token_ids, virtual_ids, position_ids, self._positions[:, : self._behind], _bias(before, own),
            self._nothing, last.astype(np.int32),
        )  # fmt: skip
        self._there[:, front : front + width] = places < lengths[:, None]
        self._positions[:, front : front + width] = position_ids
        self._written = 0
        return _checked(scores)

    def go_on(self, tokens: Sequence[int]) -> Any:
        """Put one token behind each text and return the scores of the next ones, (B, V)."""
        slot = self._front + self._width + self._written
        position_ids = (self._lengths + self._written).astype(np.int32)[:, None]
        seen = _bias(self._there[:, None], np.ones((self.texts, 1, 1), bool))
        hot = (np.arange(self._room) == slot).astype(np.float32)
        token_ids = np.asarray(tokens, np.int32)[:, None]
        scores, self._kept = self._call(
            "go_on", token_ids, position_ids, self._positions, seen, self._kept, hot
        )  # fmt: skip
        self._there[:, slot], self._positions[:, slot] = True, position_ids[:, 0]
        self._written += 1
        return _checked(scores)

    def _call(self, name: str, *arguments: Any) -> Any:
        given = [each if isinstance(each, Tensor) else Tensor(np.ascontiguousarray(each)) for each in arguments]
        if name in self._functions:
            return self._functions[name](*given)
        self._functions.add(name, self._begun() if name == "begin" else self._gone_on(), self._mode)
        # Ctrl-C while MindSpore compiles would end in its own call stack.
        with held_interrupts(), compiling():
            result = self._functions[name](*given)
        restore_interrupts()
        return result

    def _begun(self) -> Callable[..., Any]:
        model, backbone, first, front, width = self._model, self._backbone, self._first, self._front, self._width
        behind = self._behind

        def begin(
            token_ids: Any, virtual_ids: Any, position_ids: Any, kept_positions: Any, seen: Any, kept: Any, last: Any
        ) -> Any:
            embeddings = model.embeddings(packed(token_ids, position_ids, position_ids, virtual_ids, position_ids))
            there = kept[:, :, :, :, :behind]
            states, new = backbone.extend(embeddings, position_ids, kept_positions, seen, there, first, front)
            count, _, hidden = states.shape
            flat, own = kept.reshape(-1, *kept.shape[4:]), new.reshape(-1, *new.shape[4:])
            parts: tuple[Any, ...] = (own, flat[:, front + width :])
            if front > 0:
                parts = (flat[:, :front], *parts)
            chosen = ops.gather(states.reshape(count * width, hidden), last, 0).reshape(count, 1, hidden)
            return backbone.logits(chosen).reshape(count, -1), ops.concat(parts, 1).reshape(kept.shape)

        return begin

    def _gone_on(self) -> Callable[..., Any]:
        backbone, first, front = self._backbone, self._first, self._front

        def go_on(token_ids: Any, position_ids: Any, kept_positions: Any, seen: Any, kept: Any, hot: Any) -> Any:
            words = backbone.embed(token_ids)
            states, new = backbone.extend(words, position_ids, kept_positions, seen, kept, first, front)
            flat, own = kept.reshape(-1, *kept.shape[4:]), new.reshape(-1, *new.shape[4:])
            place = hot.reshape(1, -1, 1)
            kept = (flat * (1.0 - place) + own * place).reshape(kept.shape)
            return backbone.logits(states).reshape(states.shape[0], -1), kept

        return go_on


def writing(model: PromptedModel) -> Any:
    """Return the backbone of a model that writes, a `Writing`.

    Raises:
        UserError: if its engine offers none.
    """
    backbone = getattr(model, "backbone", None)
    if not isinstance(backbone, Writing) or getattr(backbone, "info", None) is None:
        raise UserError("this engine's models score texts, but do not write them.")
    return backbone


def _checked(scores: Any) -> Any:
    """Return scores as an array; the likeliest of what is no number would be written as the first token, for ever."""
    found = scores.asnumpy()
    if np.isnan(found).any() or np.isposinf(found).any():  # minus infinity is a token that never comes
        raise UserError("the model's scores of the next token are no numbers; with --precision fp16, try fp32.")
    return found


def _bias(before: Any, own: Any) -> Any:
    """Return 0 where a position is seen and far below elsewhere, (B, T, C + T) float32."""
    return np.where(np.concatenate((before, own), -1), 0.0, -FAR).astype(np.float32)
