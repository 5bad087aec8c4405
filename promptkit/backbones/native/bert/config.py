"""`config.json` of a BERT checkpoint (Devlin et al. 2019)."""

from __future__ import annotations

from typing import Any

from promptkit.backbones.native.shape import Activation, EncoderShape
from promptkit.checking import CheckedModel, Count, Index, Name, Positive, Size, checked
from promptkit.errors import UserError

CLASSES = "BertForMaskedLM, BertForPreTraining"


class EncoderConfig(CheckedModel):
    """The fields of `config.json` that BERT and models of its shape are built from, under Hugging Face's names."""

    vocab_size: Size
    hidden_size: Size
    num_hidden_layers: Count
    num_attention_heads: Count
    intermediate_size: Size
    max_position_embeddings: Size
    type_vocab_size: Count = 2
    hidden_act: Activation = "gelu"
    layer_norm_eps: Positive = 1e-12
    pad_token_id: Index | None = None
    position_embedding_type: Name | None = None
    is_decoder: bool = False
    tie_word_embeddings: bool = True


def read_shape(raw: dict[str, Any], where: str) -> EncoderShape:
    """Return the shape that a configuration describes.

    Args:
        raw: the file's object.
        where: how errors name the file.

    Raises:
        UserError: for a field that is missing or does not fit, or for what is not supported.
    """
    return encoder_shape(checked(EncoderConfig, raw, where), where, "bert")


def encoder_shape(
    config: EncoderConfig,
    where: str,
    architecture: str,
    *,
    offset: int = 0,
    head_activation: Activation | None = None,
) -> EncoderShape:
    """Return the shape of a BERT-shaped model whose positions are counted from `offset`."""
    scheme = config.position_embedding_type or "absolute"
    if scheme != "absolute":
        raise UserError(f"{where}: position embeddings '{scheme}' are not supported, only absolute.")
    if config.is_decoder:
        raise UserError(f"{where}: is_decoder is true; a decoder's causal attention is not supported here.")
    hidden, heads = config.hidden_size, config.num_attention_heads
    if hidden % heads:
        raise UserError(f"{where}: hidden_size {hidden} is no multiple of {heads} attention heads.")
    if config.max_position_embeddings <= offset:
        raise UserError(
            f"{where}: {config.max_position_embeddings} position embeddings leave no room behind the first {offset}."
        )
    return EncoderShape(
        architecture=architecture,
        vocab_size=config.vocab_size,
        hidden_size=hidden,
        layers=config.num_hidden_layers,
        heads=heads,
        intermediate_size=config.intermediate_size,
        position_offset=offset,
        position_rows=config.max_position_embeddings,
        token_types=config.type_vocab_size,
        activation=config.hidden_act,
        head_activation=head_activation or config.hidden_act,
        layer_norm_eps=config.layer_norm_eps,
        tied=config.tie_word_embeddings,
    )
