"""`config.json` of a Llama checkpoint (Touvron et al. 2023, arXiv:2302.13971)."""

from __future__ import annotations

from typing import Any

from promptkit.backbones.native.decoder.config import head_sizes, rotary_frequencies
from promptkit.backbones.native.decoder.shape import DecoderShape
from promptkit.backbones.native.shape import Activation
from promptkit.checking import CheckedModel, Count, Positive, Size, checked


class LlamaConfig(CheckedModel):
    """The fields of `config.json` that Llama and models of its shape are built from, under Hugging Face's names."""

    vocab_size: Size
    hidden_size: Size
    intermediate_size: Size
    num_hidden_layers: Count
    num_attention_heads: Count
    num_key_value_heads: Count | None = None
    head_dim: Count | None = None
    hidden_act: Activation = "silu"
    max_position_embeddings: Size = 2048
    rms_norm_eps: Positive = 1e-6
    rope_theta: Positive = 10000.0
    attention_bias: bool = False
    mlp_bias: bool = False
    tie_word_embeddings: bool = False


def read_shape(raw: dict[str, Any], where: str) -> DecoderShape:
    """Return the shape that a configuration describes.

    Raises:
        UserError: for a field that is missing or does not fit, or for what is not supported.
    """
    config = checked(LlamaConfig, raw, where)
    return llama_shape(config, raw, where, "llama", qkv_bias=config.attention_bias, output_bias=config.attention_bias)


def llama_shape(
    config: LlamaConfig,
    raw: dict[str, Any],
    where: str,
    architecture: str,
    *,
    qkv_bias: bool,
    output_bias: bool,
    head_norms: bool = False,
) -> DecoderShape:
    """Return the shape of a model with RMSNorm, rotary positions and a gated feed-forward layer."""
    kv_heads, width = head_sizes(
        config.hidden_size, config.num_attention_heads, config.num_key_value_heads, config.head_dim, where
    )
    return DecoderShape(
        architecture=architecture,
        vocab_size=config.vocab_size,
        hidden_size=config.hidden_size,
        layers=config.num_hidden_layers,
        heads=config.num_attention_heads,
        kv_heads=kv_heads,
        head_width=width,
        intermediate_size=config.intermediate_size,
        max_length=config.max_position_embeddings,
        activation=config.hidden_act,
        eps=config.rms_norm_eps,
        positions="rotary",
        frequencies=rotary_frequencies(raw, width, config.rope_theta, where),
        root_mean_square=True,
        gated=True,
        qkv_bias=qkv_bias,
        output_bias=output_bias,
        ffn_bias=config.mlp_bias,
        head_norms=head_norms,
        tied=config.tie_word_embeddings,
    )
