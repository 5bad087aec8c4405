"""The frozen language model behind one face.

A strategy says what goes in (embeddings) and which positions come out; the backbone computes no more than
that: keys and values everywhere, but in the last layer queries and the feed-forward only at the positions that
are read, and of the vocabulary only the rows that are asked for.
"""

from __future__ import annotations

from typing import Any

import mindspore as ms
import numpy as np
from mindspore import nn, ops

from promptkit.backbones.native.config import BackboneConfig
from promptkit.backbones.native.layers.encoder import EncoderLayer, LayerNorm, attention_bias, parameter
from promptkit.backbones.native.layers.gates import gate_of
from promptkit.backbones.native.tokenizer import Tokenizer
from promptkit.backbones.native.weights import Weights


class LMHead(nn.Cell):
    """The masked language model head before its output rows: dense, activation, LayerNorm.

    Devlin et al. 2019; in checkpoints `cls.predictions.transform` or `lm_head`.
    """

    def __init__(self, config: BackboneConfig, weights: Weights, *, learns: bool, on_cpu: bool) -> None:
        super().__init__()
        self.weight = parameter("weight", weights["head.dense.weight"], learns)
        self.bias = parameter("bias", weights["head.dense.bias"], learns)
        self.norm = LayerNorm(weights["head.norm.weight"], weights["head.norm.bias"], config.layer_norm_eps, learns)
        # RoBERTa's head uses GELU whatever the encoder's activation is; BERT's uses the configured one.
        activation = "gelu" if config.architecture == "roberta" else config.activation
        self.gate = gate_of(activation, on_cpu=on_cpu)[0]
        self.linear = ops.MatMul(transpose_b=True)
        self.add_bias = ops.BiasAdd()

    def construct(self, x: Any) -> Any:
        """(N, H) -> (N, H)."""
        u = self.add_bias(self.linear(x, self.weight), self.bias)
        return self.norm(u * self.gate(u))


class Backbone(nn.Cell):
    """A masked language model of the BERT or RoBERTa family.

    Every weight is frozen, unless the backbone is a `trainable_copy`. Shapes: B batch, S sequence, H hidden,
    M positions read, R vocabulary rows, V vocabulary.

    Attributes:
        config: the shape of the model.
        tokenizer: its tokenizer.
        source: name or path it was loaded from.
        fingerprint: 16 hex digits of the checkpoint's SHA-256.
    """

    def __init__(
        self,
        config: BackboneConfig,
        weights: Weights,
        tokenizer: Tokenizer,
        *,
        source: str,
        fingerprint: str,
        learns: bool = False,
    ) -> None:
        super().__init__()
        on_cpu = ms.get_context("device_target") == "CPU"
        self.config, self.tokenizer = config, tokenizer
        self.source, self.fingerprint = source, fingerprint
        self._weights = weights
        self.word = parameter("word", weights["word"], learns)
        # promptkit writes one segment, so token type 0 is part of every position's vector.
        table = weights["position"][config.position_offset :] + weights["token_type"][0]
        self.position = parameter("position", table, learns)
        self.norm = LayerNorm(
            weights["embedding_norm.weight"], weights["embedding_norm.bias"], config.layer_norm_eps, learns
        )
        self.layers = nn.CellList(
            [EncoderLayer(config, weights, i, learns=learns, on_cpu=on_cpu) for i in range(config.layers)]
        )
        self.lm_head = LMHead(config, weights, learns=learns, on_cpu=on_cpu)
        self.output_bias = parameter("output_bias", weights["head.bias"], learns)
        self.untied = not config.tied
        if self.untied:
            self.decoder = parameter("decoder", weights["head.decoder"], learns)
        self.linear = ops.MatMul(transpose_b=True)

    def embed(self, input_ids: Any) -> Any:
        """Word embeddings of token ids: (B, S) int32 -> (B, S, H)."""
        return ops.gather(self.word, input_ids, 0)

    def encode(self, embeddings: Any, attention_mask: Any, positions: Any) -> Any:
        """Run the encoder.

        Args:
            embeddings: (B, S, H), word embeddings or virtual tokens; positions and token types are added here.
            attention_mask: (B, S) float32, 1 at real tokens.
            positions: (B, M) int32, where to read.

        Returns:
            Last hidden states at `positions`, (B, M, H).
        """
        rows, length, hidden = embeddings.shape
        x = (embeddings + self.position[:length]).reshape(rows * length, hidden)
        x = self.norm(x)
        bias, wide_bias = attention_bias(attention_mask, self.config.heads)
        for layer in self.layers[:-1]:
            x = layer(x, wide_bias)
        chosen = positions + ops.arange(rows).reshape(rows, 1).astype(ms.int32) * length
        return self.layers[-1].at(x, bias, chosen).reshape(rows, positions.shape[1], hidden)

    def output_rows(self, rows: Any) -> Any:
        """Output embeddings and biases of R vocabulary rows: (R,) int32 -> (R, H), (R,)."""
        table = self.decoder if self.untied else self.word
        return ops.gather(table, rows, 0), ops.gather(self.output_bias, rows, 0)

    def score(self, hidden: Any, rows: Any) -> Any:
        """Vocabulary logits at chosen rows only.

        Args:
            hidden: (B, M, H).
            rows: (R,) int32 vocabulary ids.

        Returns:
            (B, M, R).
        """
        count, slots, width = hidden.shape
        weight, bias = self.output_rows(rows)
        scores = self.linear(self.lm_head(hidden.reshape(count * slots, width)), weight) + bias
        return scores.reshape(count, slots, rows.shape[0])

    def log_normaliser(self, transformed: Any) -> Any:
        """Log of the softmax denominator over the whole vocabulary: (N, H) after `lm_head` -> (N, 1)."""
        table = self.decoder if self.untied else self.word
        return ops.logsumexp(self.linear(transformed, table) + self.output_bias, -1, True)

    def word_vectors(self, ids: Any) -> Any:
        """Word embeddings of ids as NumPy, (len(ids), H): for initialising virtual tokens."""
        return self._weights["word"][np.asarray(ids, dtype=np.int64)]

    def trainable_copy(self) -> Backbone:
        """Return a second model with the same weights that learn; this one stays frozen."""
        return Backbone(
            self.config, self._weights, self.tokenizer,
            source=self.source, fingerprint=self.fingerprint, learns=True,
        )  # fmt: skip

    def head_copy(self) -> LMHead:
        """Return a copy of the masked language model head whose weights learn."""
        on_cpu = ms.get_context("device_target") == "CPU"
        return LMHead(self.config, self._weights, learns=True, on_cpu=on_cpu)

    @property
    def weight_count(self) -> int:
        """Weights of the checkpoint, tied ones counted once."""
        return sum(int(w.size) for w in self._weights.values())


__all__ = ["Backbone", "LMHead"]
