"""BERT and models of its shape as a backbone.

It computes no more than it is asked for: keys and values everywhere, but in the last layer queries and the
feed-forward only at the positions that are read, and of the vocabulary only the rows that are asked for.
"""

from __future__ import annotations

from typing import Any

import mindspore as ms
from mindspore import nn, ops

from promptkit.backbones.constants import rows_read
from promptkit.backbones.face import Dropout, Inputs, Part, Precision, Tokenizer
from promptkit.backbones.native.checkpoint import Weights
from promptkit.backbones.native.layers.arithmetic import LOSS_SCALE, Arithmetic
from promptkit.backbones.native.layers.gates import gate_of
from promptkit.backbones.native.layers.masking import (
    block_bias,
    for_heads,
    left_by_dropout,
    left_in_layer,
    left_where_read,
    over_prefix,
)
from promptkit.backbones.native.layers.norms import LayerNorm, parameter
from promptkit.backbones.native.layers.post_norm import EncoderLayer, LayerCores
from promptkit.backbones.native.layers.vocabulary import VocabularyScores
from promptkit.backbones.native.shape import EncoderShape


class Transform(nn.Cell):
    """The language model head before its output rows: dense, activation, LayerNorm (Devlin et al. 2019)."""

    def __init__(self, shape: EncoderShape, weights: Weights, arithmetic: Arithmetic, *, learns: bool) -> None:
        super().__init__()
        self.weight = arithmetic.matrix("weight", weights["head.dense.weight"], learns)
        self.bias = parameter("bias", weights["head.dense.bias"], learns)
        self.norm = LayerNorm(
            weights["head.norm.weight"], weights["head.norm.bias"], shape.layer_norm_eps, arithmetic, learns
        )
        self.gate = gate_of(shape.head_activation, on_cpu=arithmetic.on_cpu)[0]
        self.linear = arithmetic.product(transpose_b=True)
        self.add_bias = ops.BiasAdd()

    def construct(self, x: Any) -> Any:
        """(N, H) -> (N, H)."""
        u = self.add_bias(self.linear(x, self.weight), self.bias)
        return self.norm(u * self.gate(u))


class Encoder(nn.Cell):
    """Embeddings and layers, and the output rows that may be tied to the embeddings."""

    def __init__(self, shape: EncoderShape, weights: Weights, arithmetic: Arithmetic, *, learns: bool) -> None:
        super().__init__()
        self.word = arithmetic.matrix("word", weights["word"], learns)
        # promptkit writes one text type, so token type 0 is part of every position's vector.
        table = weights["position"][shape.position_offset :] + weights["token_type"][0]
        self.position = parameter("position", table, learns)
        self.norm = LayerNorm(
            weights["embedding_norm.weight"], weights["embedding_norm.bias"], shape.layer_norm_eps, arithmetic, learns
        )
        cores = LayerCores(shape, arithmetic)
        self.layers = nn.CellList([EncoderLayer(cores, weights, i, learns=learns) for i in range(shape.layers)])
        self.output_bias = parameter("output_bias", weights["head.bias"], learns)
        self.untied = not shape.tied
        if self.untied:
            self.decoder = arithmetic.matrix("decoder", weights["head.decoder"], learns)
        self.heads = shape.heads

    def biases(self) -> list[Any]:
        """All that is added to a state on its way: those of the embeddings' LayerNorm and of the layers."""
        return [self.norm.bias, *(bias for layer in self.layers for bias in layer.biases())]

    def output_table(self) -> Any:
        """The rows that score vocabulary entries, (V, H)."""
        return self.decoder if self.untied else self.word

    def construct(self, embeddings: Any, inputs: Inputs, prefix: Any, dropout: Any) -> Any:
        """See `Backbone.run`."""
        rows, length, hidden = embeddings.shape
        examples, slots = inputs["read"].shape[1], inputs["read"].shape[2]
        places = ops.gather(self.position, inputs["position_ids"].reshape(-1), 0)
        x = self.norm(embeddings.reshape(rows * length, hidden) + places)
        if dropout is not None:
            x = x * left_by_dropout(dropout["hidden"][0], dropout["rate"])
        chosen = rows_read(inputs["read"], length)
        bias = block_bias(inputs["segment_ids"])
        read_bias = ops.gather(bias.reshape(rows * length, length), chosen, 0)
        read_bias = read_bias.reshape(rows, examples * slots, length)
        plain = for_heads(bias, self.heads)
        first, wide = len(self.layers), plain
        if prefix is not None:
            first = first - prefix.shape[0]
            wide, read_bias = over_prefix(bias, prefix.shape[3]), over_prefix(read_bias, prefix.shape[3])
            wide = for_heads(wide, self.heads)
        read_bias = for_heads(read_bias, self.heads)
        for number, layer in enumerate(self.layers[:-1]):
            left = left_in_layer(dropout, number)
            x = layer(x, plain, None, left) if number < first else layer(x, wide, prefix[number - first], left)
        own, left = None, left_in_layer(dropout, len(self.layers) - 1)
        if prefix is not None:
            own = prefix[-1]
        left = left_where_read(left, chosen, examples * slots)
        return self.layers[-1].at(x, read_bias, chosen, own, left).reshape(rows * examples, slots, hidden)

    def keys_and_values(self, embeddings: Any) -> Any:
        """See `Backbone.keys_and_values`; embeddings (P, H)."""
        count = embeddings.shape[0]
        x = self.norm(embeddings + self.position[:count])
        bias, found = ops.zeros((1, self.heads, count, count), ms.float32), []
        for layer in self.layers:
            x, _, keys, values, *_ = layer.core.forward(x, bias, None, layer.own())
            found.append(ops.stack((keys[0], values[0])))
        return ops.stack(found)


class EncoderBackbone(nn.Cell):
    """A masked language model of BERT's shape; fulfils `promptkit.backbones.face.Backbone`.

    Args:
        shape: its numbers.
        weights: by the engine's names.
        tokenizer: its tokenizer.
        source: name or path it was loaded from.
        fingerprint: over weights, configuration and tokenizer.
        learns: which part requires gradient.
        precision: of matrix products.
        encoder: embeddings and layers of another backbone, to share them.
    """

    def __init__(
        self,
        shape: EncoderShape,
        weights: Weights,
        tokenizer: Tokenizer,
        *,
        source: str,
        fingerprint: str,
        learns: Part | None = None,
        precision: Precision = "fp32",
        encoder: Encoder | None = None,
    ) -> None:
        super().__init__()
        arithmetic = Arithmetic.here(precision)
        self.loss_scale, self._precision = LOSS_SCALE[precision], precision
        self.info, self.tokenizer = shape.info(), tokenizer
        self.source, self.fingerprint, self.learns = source, fingerprint, learns
        self._shape, self._weights = shape, weights
        self.encoder = encoder or Encoder(shape, weights, arithmetic, learns=learns == "all")
        if learns == "biases":
            for bias in self.encoder.biases():
                bias.requires_grad = True
        self.transform = Transform(shape, weights, arithmetic, learns=learns in ("all", "head"))
        self.scores = VocabularyScores(arithmetic)

    def embed(self, ids: Any) -> Any:
        """Word embeddings of vocabulary ids: int32 (...) -> (..., H)."""
        return ops.gather(self.encoder.word, ids, 0).astype(ms.float32)

    def run(
        self, embeddings: Any, inputs: Inputs, prefix: Any = None, dropout: Dropout | None = None, front: Any = None
    ) -> Any:
        """Last hidden states at the read positions, (R * E, M, H); see `promptkit.backbones.face.Backbone`.

        There is no front: what comes first in a masked model sees what comes behind it.
        """
        return self.encoder(embeddings, inputs, prefix, dropout)

    def keys_and_values(self, embeddings: Any, before: bool = False) -> Any:
        """Those of every layer for a text, (L, 2, A, P, D); see `promptkit.backbones.face.Backbone`.

        Its positions are learnt ones, from 0 whatever `before` says.
        """
        return self.encoder.keys_and_values(embeddings)

    def logits(self, hidden: Any, rows: Any = None, normalised: bool = False) -> Any:
        """Scores of vocabulary rows, (N, M, W); see `promptkit.backbones.face.Backbone`."""
        count, slots, width = hidden.shape
        x = self.transform(hidden.reshape(count * slots, width))
        scores = self.scores(x, self.encoder.output_table(), self.encoder.output_bias, rows, normalised)
        return scores.reshape(count, slots, scores.shape[1])

    def trainable(self, part: Part) -> EncoderBackbone:
        """Return a copy in which a part learns; that of the head shares the rest with this one."""
        return EncoderBackbone(
            self._shape,
            self._weights,
            self.tokenizer,
            source=self.source,
            fingerprint=self.fingerprint,
            learns=part,
            precision=self._precision,
            encoder=self.encoder if part == "head" else None,
        )
