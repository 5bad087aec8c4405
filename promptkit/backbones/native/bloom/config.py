"""`config.json` of a BLOOM checkpoint (Le Scao et al. 2022, arXiv:2211.05100)."""

from __future__ import annotations

from typing import Any

from pydantic import AliasChoices, Field

from promptkit.backbones.native.decoder.config import head_sizes
from promptkit.backbones.native.decoder.shape import DecoderShape
from promptkit.checking import CheckedModel, Count, Positive, Size, checked
from promptkit.errors import UserError


class BloomConfig(CheckedModel):
    """The fields of `config.json` that BLOOM is built from, under Hugging Face's names, older ones included."""

    vocab_size: Size
    hidden_size: Size = Field(validation_alias=AliasChoices("hidden_size", "n_embed"))
    n_layer: Count = Field(validation_alias=AliasChoices("n_layer", "num_hidden_layers"))
    n_head: Count = Field(validation_alias=AliasChoices("n_head", "num_attention_heads"))
    seq_length: Size = 2048
    layer_norm_epsilon: Positive = 1e-5
    apply_residual_connection_post_layernorm: bool = False
    tie_word_embeddings: bool = True


def read_shape(raw: dict[str, Any], where: str) -> DecoderShape:
    """Return the shape that a configuration describes.

    Nothing in the model bounds the length of a text; 2,048 is what BLOOM was trained on.

    Raises:
        UserError: for a field that is missing or does not fit, or for what is not supported.
    """
    config = checked(BloomConfig, raw, where)
    if config.apply_residual_connection_post_layernorm:
        raise UserError(f"{where}: apply_residual_connection_post_layernorm is true, which is not supported.")
    kv_heads, width = head_sizes(config.hidden_size, config.n_head, None, None, where)
    return DecoderShape(
        architecture="bloom",
        vocab_size=config.vocab_size,
        hidden_size=config.hidden_size,
        layers=config.n_layer,
        heads=config.n_head,
        kv_heads=kv_heads,
        head_width=width,
        intermediate_size=4 * config.hidden_size,
        max_length=config.seq_length,
        activation="gelu_pytorch_tanh",
        eps=config.layer_norm_epsilon,
        positions="alibi",
        embedding_norm=True,
        tied=config.tie_word_embeddings,
    )
