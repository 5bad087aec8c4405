"""The numbers that a bidirectional encoder with LayerNorm behind every block is built from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from promptkit.backbones.face import BackboneInfo

Activation = Literal["gelu", "gelu_new", "gelu_pytorch_tanh", "relu", "silu"]


@dataclass(frozen=True)
class EncoderShape:
    """The shape of a masked language model.

    Attributes:
        architecture: `model_type` of the checkpoint.
        vocab_size: V.
        hidden_size: H.
        layers: L.
        heads: A; H is a multiple of it.
        intermediate_size: F, width of the feed-forward layer.
        position_offset: row of the position table that the first token uses.
        position_rows: rows of the position table in the checkpoint.
        token_types: rows of the token type table.
        activation: of the layers.
        head_activation: of the language model head.
        layer_norm_eps: epsilon of every LayerNorm.
        tied: whether the output rows are the input word embeddings.
    """

    architecture: str
    vocab_size: int
    hidden_size: int
    layers: int
    heads: int
    intermediate_size: int
    position_offset: int
    position_rows: int
    token_types: int
    activation: Activation
    head_activation: Activation
    layer_norm_eps: float
    tied: bool

    @property
    def head_width(self) -> int:
        """D, the width of one attention head."""
        return self.hidden_size // self.heads

    @property
    def max_length(self) -> int:
        """The longest example that the position table takes, special tokens included."""
        return self.position_rows - self.position_offset

    def info(self) -> BackboneInfo:
        """Return what strategies and tables are told."""
        h, f, v = self.hidden_size, self.intermediate_size, self.vocab_size
        layer = 4 * h * h + 2 * h * f
        vectors = 9 * h + f  # biases and gains of a layer
        tables = (v + self.position_rows + self.token_types + 2) * h
        head = h * h + 3 * h + v + (0 if self.tied else v * h)
        return BackboneInfo(
            kind="masked",
            architecture=self.architecture,
            layers=self.layers,
            hidden_size=h,
            heads=self.heads,
            kv_heads=self.heads,
            head_width=self.head_width,
            vocab_size=v,
            max_length=self.max_length,
            parameters=tables + self.layers * (layer + vectors) + head,
            flops_per_token=2 * self.layers * layer,
        )
