"""`config.json` of a GPT-2 checkpoint (Radford et al. 2019)."""

from __future__ import annotations

from typing import Any

from promptkit.backbones.native.decoder.config import head_sizes
from promptkit.backbones.native.decoder.shape import DecoderShape
from promptkit.backbones.native.shape import Activation
from promptkit.checking import CheckedModel, Count, Positive, Size, checked
from promptkit.errors import UserError


class Gpt2Config(CheckedModel):
    """The fields of `config.json` that GPT-2 is built from, under Hugging Face's names."""

    vocab_size: Size
    n_embd: Size
    n_layer: Count
    n_head: Count
    n_positions: Size = 1024
    n_inner: Size | None = None
    activation_function: Activation = "gelu_new"
    layer_norm_epsilon: Positive = 1e-5
    scale_attn_weights: bool = True
    scale_attn_by_inverse_layer_idx: bool = False
    add_cross_attention: bool = False
    tie_word_embeddings: bool = True


def read_shape(raw: dict[str, Any], where: str) -> DecoderShape:
    """Return the shape that a configuration describes.

    Raises:
        UserError: for a field that is missing or does not fit, or for what is not supported.
    """
    config = checked(Gpt2Config, raw, where)
    if not config.scale_attn_weights or config.scale_attn_by_inverse_layer_idx or config.add_cross_attention:
        raise UserError(
            f"{where}: only GPT-2's own attention is supported (scale_attn_weights true, "
            "scale_attn_by_inverse_layer_idx and add_cross_attention false)."
        )
    kv_heads, width = head_sizes(config.n_embd, config.n_head, None, None, where)
    return DecoderShape(
        architecture="gpt2",
        vocab_size=config.vocab_size,
        hidden_size=config.n_embd,
        layers=config.n_layer,
        heads=config.n_head,
        kv_heads=kv_heads,
        head_width=width,
        intermediate_size=config.n_inner or 4 * config.n_embd,
        max_length=config.n_positions,
        activation=config.activation_function,
        eps=config.layer_norm_epsilon,
        positions="learnt",
        tied=config.tie_word_embeddings,
    )
