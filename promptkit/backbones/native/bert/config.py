"""`config.json` of a BERT checkpoint (Devlin et al. 2019)."""

from __future__ import annotations

from typing import Any

from promptkit.backbones.native.reading import Fields
from promptkit.backbones.native.shape import ACTIVATIONS, EncoderShape
from promptkit.errors import UserError

CLASSES = "BertForMaskedLM, BertForPreTraining"


def read_shape(raw: dict[str, Any], where: str) -> EncoderShape:
    """Return the shape that a configuration describes.

    Args:
        raw: the file's object.
        where: how errors name the model.

    Raises:
        UserError: for a number that is missing or none, or for what is not supported.
    """
    return encoder_shape(Fields(raw, f"{where}: config.json"), "bert")


def encoder_shape(
    fields: Fields, architecture: str, offset: int = 0, head_activation: str | None = None
) -> EncoderShape:
    """Return the shape of a BERT-shaped model whose positions are counted from `offset`."""
    scheme = fields.text("position_embedding_type", "absolute")
    if scheme != "absolute":
        raise UserError(f"{fields.where}: position embeddings '{scheme}' are not supported, only absolute.")
    if fields.flag("is_decoder", False):
        raise UserError(f"{fields.where}: is_decoder is true; a decoder's causal attention is not supported here.")
    activation = fields.choice("hidden_act", ACTIVATIONS, "gelu")
    hidden, heads = fields.count("hidden_size"), fields.count("num_attention_heads")
    if hidden % heads:
        raise UserError(f"{fields.where}: hidden_size {hidden} is no multiple of {heads} attention heads.")
    rows = fields.count("max_position_embeddings")
    if rows <= offset:
        raise UserError(f"{fields.where}: {rows} position embeddings leave no room behind the first {offset}.")
    return EncoderShape(
        architecture=architecture,
        vocab_size=fields.count("vocab_size"),
        hidden_size=hidden,
        layers=fields.count("num_hidden_layers", most=1000),
        heads=heads,
        intermediate_size=fields.count("intermediate_size"),
        position_offset=offset,
        position_rows=rows,
        token_types=fields.count("type_vocab_size", 2),
        activation=activation,
        head_activation=head_activation or activation,
        layer_norm_eps=fields.number("layer_norm_eps", 1e-12, most=1.0),
        tied=fields.flag("tie_word_embeddings", True),
    )
