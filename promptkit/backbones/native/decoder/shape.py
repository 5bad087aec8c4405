"""The numbers that a causal decoder with a norm in front of every block is built from."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from promptkit.backbones.face import BackboneInfo
from promptkit.backbones.native.shape import Activation

Positions = Literal["rotary", "alibi", "learnt"]


@dataclass(frozen=True)
class DecoderShape:
    """The shape of a causal language model.

    Attributes:
        architecture: `model_type` of the checkpoint.
        vocab_size: V.
        hidden_size: H.
        layers: L.
        heads: A, of queries.
        kv_heads: A_kv, of keys and values; A is a multiple of it (Ainslie et al. 2023).
        head_width: D; A * D need not be H.
        intermediate_size: F, width of the feed-forward layer.
        max_length: the longest example.
        activation: of the feed-forward layer.
        eps: epsilon of every norm.
        positions: rotary (Su et al. 2021), linear biases (Press et al. 2022), or a table that is added.
        frequencies: of rotary positions, (D / 2,) angles a position; empty for others.
        root_mean_square: whether norms are RMSNorm (Zhang & Sennrich 2019), not LayerNorm.
        gated: whether the feed-forward layer is a gated one (Shazeer 2020): activation(gate) * up.
        qkv_bias: whether queries, keys and values have biases.
        output_bias: whether what attention puts out has one.
        ffn_bias: whether the feed-forward layer has.
        head_norms: whether each head's queries and keys go through a norm of their own.
        embedding_norm: whether embeddings go through one.
        tied: whether the output rows are the input word embeddings.
    """

    architecture: str
    vocab_size: int
    hidden_size: int
    layers: int
    heads: int
    kv_heads: int
    head_width: int
    intermediate_size: int
    max_length: int
    activation: Activation
    eps: float
    positions: Positions
    frequencies: tuple[float, ...] = ()
    root_mean_square: bool = False
    gated: bool = False
    qkv_bias: bool = True
    output_bias: bool = True
    ffn_bias: bool = True
    head_norms: bool = False
    embedding_norm: bool = False
    tied: bool = True

    @property
    def query_width(self) -> int:
        """A * D."""
        return self.heads * self.head_width

    @property
    def key_width(self) -> int:
        """A_kv * D."""
        return self.kv_heads * self.head_width

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the shape of every weight, by the engine's name."""
        h, f, v, q, k = self.hidden_size, self.intermediate_size, self.vocab_size, self.query_width, self.key_width
        found: dict[str, tuple[int, ...]] = {"word": (v, h)}
        if self.positions == "learnt":
            found["position"] = (self.max_length, h)

        def norm(name: str, width: int = h) -> None:
            found[f"{name}.weight"] = (width,)
            if not self.root_mean_square:
                found[f"{name}.bias"] = (width,)

        def dense(name: str, out: int, into: int, bias: bool) -> None:
            found[f"{name}.weight"] = (out, into)
            if bias:
                found[f"{name}.bias"] = (out,)

        if self.embedding_norm:
            norm("embedding_norm")
        for number in range(self.layers):
            at = f"layers.{number}."
            norm(f"{at}attention_norm")
            dense(f"{at}query", q, h, self.qkv_bias)
            dense(f"{at}key", k, h, self.qkv_bias)
            dense(f"{at}value", k, h, self.qkv_bias)
            dense(f"{at}output", h, q, self.output_bias)
            if self.head_norms:
                norm(f"{at}query_norm", self.head_width)
                norm(f"{at}key_norm", self.head_width)
            norm(f"{at}ffn_norm")
            if self.gated:
                dense(f"{at}gate", f, h, self.ffn_bias)
            dense(f"{at}up", f, h, self.ffn_bias)
            dense(f"{at}down", h, f, self.ffn_bias)
        norm("final_norm")
        found["head.decoder"] = (v, h)
        return found

    def info(self) -> BackboneInfo:
        """Return what strategies and tables are told."""
        sizes = {name: math.prod(size) for name, size in self.shapes().items()}
        parameters = sum(sizes.values()) - (sizes["head.decoder"] if self.tied else 0)
        products = sum(n for name, n in sizes.items() if name.startswith("layers.0.") and name.endswith(".weight"))
        return BackboneInfo(
            kind="causal",
            architecture=self.architecture,
            layers=self.layers,
            hidden_size=self.hidden_size,
            heads=self.heads,
            kv_heads=self.kv_heads,
            head_width=self.head_width,
            vocab_size=self.vocab_size,
            max_length=self.max_length,
            parameters=parameters,
            flops_per_token=2 * self.layers * products,
            takes_front=True,
        )
