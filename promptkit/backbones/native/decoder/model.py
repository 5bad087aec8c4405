"""A decoder as a backbone; fulfils `promptkit.backbones.face.Backbone` for every architecture of `DecoderShape`.

It computes no more than it is asked for: keys and values everywhere, but in the last layer queries and the
feed-forward only at the positions that are read, and of the vocabulary only the rows that are asked for.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn, ops

from promptkit.backbones.constants import FAR, numbers, rows_read
from promptkit.backbones.face import Dropout, Inputs, Part, Precision, Tokenizer
from promptkit.backbones.native.checkpoint import Weights
from promptkit.backbones.native.decoder.shape import DecoderShape
from promptkit.backbones.native.layers.arithmetic import LOSS_SCALE, Arithmetic
from promptkit.backbones.native.layers.decoder_layer import DecoderCores, DecoderLayer
from promptkit.backbones.native.layers.masking import (
    causal_bias,
    for_heads,
    front_bias,
    left_by_dropout,
    left_in_layer,
    left_where_read,
    linear_bias,
    linear_prefix_bias,
    over_prefix,
)
from promptkit.backbones.native.layers.norms import Norm, NormalCore, parameter
from promptkit.backbones.native.layers.rotary import Angles
from promptkit.backbones.native.layers.vocabulary import TokenLikelihoods, VocabularyScores


class DecoderNorm(nn.Cell):
    """LayerNorm or RMSNorm over the last axis of (N, H), with gain and, for LayerNorm, bias."""

    def __init__(
        self, name: str, shape: DecoderShape, weights: Weights, arithmetic: Arithmetic, *, learns: str | None
    ) -> None:
        super().__init__()
        centred = not shape.root_mean_square
        self.weight = parameter("weight", weights[f"{name}.weight"], learns == "all")
        self.biased = centred
        bias = weights[f"{name}.bias"] if centred else np.zeros(1, np.float32)
        self.bias = parameter("bias", bias, centred and learns in ("all", "biases"))
        self.normal = NormalCore(shape.hidden_size, shape.eps, arithmetic, centred)
        self.norm = Norm(shape.hidden_size, shape.eps, arithmetic)

    def construct(self, x: Any) -> Any:
        """(N, H) -> (N, H)."""
        return self.norm.scale(self.normal(x)[0], self.weight, self.bias if self.biased else None)


class Decoder(nn.Cell):
    """Embeddings, layers and the last norm, and the output rows that may be tied to the embeddings."""

    def __init__(self, shape: DecoderShape, weights: Weights, arithmetic: Arithmetic, *, learns: str | None) -> None:
        super().__init__()
        every = learns == "all"
        self.word = arithmetic.matrix("word", weights["word"], every)
        self.learnt, self.rotary = shape.positions == "learnt", shape.positions == "rotary"
        if self.learnt:
            self.position = parameter("position", weights["position"], every)
        if self.rotary:
            self.query_angles = Angles(shape.frequencies, shape.heads)
            self.key_angles = Angles(shape.frequencies, shape.kv_heads)
        self.distances = shape.positions == "alibi"
        if self.distances:
            self.slopes = Tensor(np.array(slopes(shape.heads), np.float32))
        self.norms_embeddings = shape.embedding_norm
        if self.norms_embeddings:
            self.embedding_norm = DecoderNorm("embedding_norm", shape, weights, arithmetic, learns=learns)
        cores = DecoderCores(shape, arithmetic, learns=learns)
        self.layers = nn.CellList(
            [DecoderLayer(cores, shape, weights, i, learns=learns) for i in range(shape.layers)]
        )
        self.norm = DecoderNorm("final_norm", shape, weights, arithmetic, learns=learns)
        self.untied = not shape.tied
        if self.untied:
            self.decoder = arithmetic.matrix("decoder", weights["head.decoder"], every)
        self.heads, self.kv_heads, self.group = shape.heads, shape.kv_heads, shape.heads // shape.kv_heads

    def output_table(self) -> Any:
        """The rows that score vocabulary entries, (V, H)."""
        return self.decoder if self.untied else self.word

    def begun(self, embeddings: Any, positions: Any) -> Any:
        """What the first layer reads, from word embeddings (N, H) and positions (N,)."""
        x = embeddings
        if self.learnt:
            x = x + ops.gather(self.position, positions, 0)
        return self.embedding_norm(x) if self.norms_embeddings else x

    def turns(self, positions: Any) -> Any:
        """Angles for queries and for keys at positions (N,); where nothing is rotated a number nobody looks at."""
        if self.rotary:
            return self.query_angles(positions), self.key_angles(positions)
        nothing = ops.zeros((2, 1), ms.float32)
        return nothing, nothing

    def grouped(self, bias: Any) -> Any:
        """A bias for every head, (R, A, Q, K), as the layers take it: (R, A_kv, G * Q, K)."""
        rows, _, queries, keys = bias.shape
        return bias.reshape(rows, self.kv_heads, self.group * queries, keys)

    def construct(self, embeddings: Any, inputs: Inputs, prefix: Any, dropout: Any, front: Any) -> Any:
        """See `Backbone.run`."""
        rows, length, hidden = embeddings.shape
        examples, slots = inputs["read"].shape[1], inputs["read"].shape[2]
        positions = inputs["position_ids"].reshape(-1)
        x = self.begun(embeddings.reshape(rows * length, hidden), positions)
        if dropout is not None:
            x = x * left_by_dropout(dropout["hidden"][0], dropout["rate"])
        turn_q, turn_k = self.turns(positions)
        chosen = rows_read(inputs["read"], length)
        bias = causal_bias(inputs["segment_ids"], inputs["position_ids"])
        bias = for_heads(bias, self.heads)
        if self.distances:
            bias = bias + linear_bias(inputs["position_ids"], self.slopes)
        first, plain, wide = len(self.layers), self.grouped(bias), bias
        if front is not None:
            wide = self.over(bias, inputs, front.shape[3], True)
            prefix = front
        elif prefix is not None:
            wide = self.over(bias, inputs, prefix.shape[3], False)
        if prefix is not None:
            first = first - prefix.shape[0]
        read_bias = self.read_bias(wide, chosen, examples * slots)
        wide = self.grouped(wide)
        for number, layer in enumerate(self.layers[:-1]):
            left = left_in_layer(dropout, number)
            if number < first:
                x = layer(x, plain, turn_q, turn_k, None, left)
            else:
                x = layer(x, wide, turn_q, turn_k, prefix[number - first], left)
        own, left = None, left_in_layer(dropout, len(self.layers) - 1)
        if prefix is not None:
            own = prefix[-1]
        left = left_where_read(left, chosen, examples * slots)
        turn_read = ops.gather(turn_q, chosen, 1) if self.rotary else turn_q
        x = self.layers[-1].at(x, read_bias, chosen, turn_read, turn_k, own, left)
        return self.norm(x).reshape(rows * examples, slots, hidden)

    def over(self, bias: Any, inputs: Any, count: Any, is_front: Any) -> Any:
        """A bias for `count` positions of a prefix or a front as well, (R, A, S, count + S)."""
        if not (self.distances or is_front):
            return over_prefix(bias, count)
        segments, positions = inputs["segment_ids"], inputs["position_ids"]
        before = ops.zeros((1, 1, 1, 1), ms.float32)
        if self.distances:
            before = linear_prefix_bias(segments, positions, self.slopes, count)
        if is_front:
            before = before + for_heads(front_bias(segments, positions, count), self.heads)
        return ops.concat((before, bias), -1)

    def read_bias(self, bias: Any, chosen: Any, count: Any) -> Any:
        """The rows of a bias (R, A, S, K) at the positions read, (R, A_kv, G * Q, K)."""
        rows, heads, length, keys = bias.shape
        flat = ops.transpose(bias, (0, 2, 1, 3)).reshape(rows * length, heads * keys)
        read = ops.gather(flat, chosen, 0).reshape(rows, count, heads, keys)
        return self.grouped(ops.transpose(read, (0, 2, 1, 3)))

    def extend(
        self, embeddings: Any, position_ids: Any, kept_positions: Any, seen: Any, kept: Any, first: Any, front: Any
    ) -> Any:
        """See `Writing.extend`."""
        count, length, hidden = embeddings.shape
        positions = position_ids.reshape(-1)
        x, (turn_q, turn_k) = self.begun(embeddings.reshape(count * length, hidden), positions), self.turns(positions)
        bias = for_heads(seen, self.heads)
        if self.distances:
            there = ops.concat((kept_positions, position_ids), 1).expand_dims(1) - position_ids.expand_dims(2)
            bias = bias + there.astype(ms.float32).expand_dims(1) * self.slopes.reshape(1, -1, 1, 1)
        below = bias
        if first > 0:
            below = ops.concat((bias[:, :, :, :front] - FAR, bias[:, :, :, front:]), -1)
        bias, below, found = self.grouped(bias), self.grouped(below), []
        for number, layer in enumerate(self.layers):
            own = below if number < first else bias
            x, keys, values, *_ = layer.core.forward(x, own, turn_q, turn_k, kept[number], layer.own())
            found.append(ops.stack((keys, values)))
        return self.norm(x).reshape(count, length, hidden), ops.stack(found)

    def keys_and_values(self, embeddings: Any, before: Any) -> Any:
        """See `Backbone.keys_and_values`; embeddings (P, H)."""
        count = embeddings.shape[0]
        positions = numbers(0, count)
        turned = positions - count if before else positions
        x, (turn_q, turn_k) = self.begun(embeddings, positions), self.turns(turned)
        one = ops.ones((1, count), ms.int32)
        bias = for_heads(causal_bias(one, positions.reshape(1, -1)), self.heads)
        if self.distances:
            bias = bias + linear_bias(positions.reshape(1, -1), self.slopes)
        bias, found = self.grouped(bias), []
        for layer in self.layers:
            x, keys, values = layer.free(x, bias, turn_q, turn_k, None, layer.own())
            found.append(ops.stack((keys[0], values[0])))
        return ops.stack(found)


class DecoderBackbone(nn.Cell):
    """A causal language model; fulfils `promptkit.backbones.face.Backbone`.

    Args:
        shape: its numbers.
        weights: by the engine's names.
        tokenizer: its tokenizer.
        source: name or path it was loaded from.
        fingerprint: over weights, configuration and tokenizer.
        learns: which part requires gradient. Nothing stands between the last norm and the output rows, so of `head`
            there is nothing to learn.
        precision: of matrix products.
        decoder: that of another backbone, to share it.
    """

    def __init__(
        self,
        shape: DecoderShape,
        weights: Weights,
        tokenizer: Tokenizer,
        *,
        source: str,
        fingerprint: str,
        learns: Part | None = None,
        precision: Precision = "fp32",
        decoder: Decoder | None = None,
    ) -> None:
        super().__init__()
        arithmetic = Arithmetic.here(precision)
        self.loss_scale, self._precision = LOSS_SCALE[precision], precision
        self.info, self.tokenizer = shape.info(), tokenizer
        self.source, self.fingerprint, self.learns = source, fingerprint, learns
        self._shape, self._weights = shape, weights
        part = learns if learns in ("all", "biases") else None
        self.decoder = decoder or Decoder(shape, weights, arithmetic, learns=part)
        self.scores, self.found = VocabularyScores(arithmetic), TokenLikelihoods(arithmetic)

    def embed(self, ids: Any) -> Any:
        """Word embeddings of vocabulary ids: int32 (...) -> (..., H)."""
        return ops.gather(self.decoder.word, ids, 0).astype(ms.float32)

    def run(
        self, embeddings: Any, inputs: Inputs, prefix: Any = None, dropout: Dropout | None = None, front: Any = None
    ) -> Any:
        """Last hidden states at the read positions, (R * E, M, H); see `promptkit.backbones.face.Backbone`."""
        return self.decoder(embeddings, inputs, prefix, dropout, front)

    def keys_and_values(self, embeddings: Any, before: bool = False) -> Any:
        """Those of every layer for a text, (L, 2, A_kv, P, D); see `promptkit.backbones.face.Backbone`."""
        return self.decoder.keys_and_values(embeddings, before)

    def logits(self, hidden: Any, rows: Any = None, normalised: bool = False) -> Any:
        """Scores of vocabulary rows, (N, M, W); see `promptkit.backbones.face.Backbone`."""
        count, slots, width = hidden.shape
        x = hidden.reshape(count * slots, width)
        scores = self.scores(x, self.decoder.output_table(), None, rows, normalised)
        return scores.reshape(count, slots, scores.shape[1])

    def extend(
        self, embeddings: Any, position_ids: Any, kept_positions: Any, seen: Any, kept: Any, first: Any, front: Any
    ) -> Any:
        """Read further positions of texts; see `promptkit.backbones.face.Writing`."""
        return self.decoder.extend(embeddings, position_ids, kept_positions, seen, kept, first, front)

    @property
    def end_ids(self) -> tuple[int, ...]:
        """The tokens that end what it writes; see `promptkit.backbones.face.Writing`."""
        return tuple(self.tokenizer.end_ids)  # type: ignore[attr-defined]

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of token ids; see `promptkit.backbones.face.Writing`."""
        return str(self.tokenizer.decode(ids))  # type: ignore[attr-defined]

    def likelihoods(self, hidden: Any, targets: Any) -> Any:
        """Log-probabilities of one vocabulary entry each, (N,); see `promptkit.backbones.face.Likelihoods`."""
        if self.learns == "all":
            scores = self.scores(hidden, self.decoder.output_table(), None, None, True)
            return ops.gather_elements(scores, 1, targets.reshape(-1, 1)).reshape(-1)
        return self.found(hidden, self.decoder.output_table(), targets)[0]

    def trainable(self, part: Part) -> DecoderBackbone:
        """Return a copy in which a part learns; that of the head shares everything with this one."""
        return DecoderBackbone(
            self._shape,
            self._weights,
            self.tokenizer,
            source=self.source,
            fingerprint=self.fingerprint,
            learns=part,
            precision=self._precision,
            decoder=self.decoder if part == "head" else None,
        )


def slopes(heads: int) -> list[float]:
    """Return by how much each head's scores fall with distance (Press et al. 2022, section 3, footnote 5).

    A geometric sequence for a power of two; for other numbers those of the next lower one, and every other of the
    next higher one.
    """
    lower = 2 ** int(math.log2(heads))
    found = [2.0 ** (-8.0 * (i + 1) / lower) for i in range(lower)]
    return found + [2.0 ** (-4.0 * (2 * i + 1) / lower) for i in range(heads - lower)]
