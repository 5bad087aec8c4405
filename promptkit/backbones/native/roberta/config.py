"""`config.json` of a RoBERTa checkpoint (Liu et al. 2019, arXiv:1907.11692)."""

from __future__ import annotations

from typing import Any

from promptkit.backbones.native.bert.config import EncoderConfig, encoder_shape
from promptkit.backbones.native.shape import EncoderShape
from promptkit.checking import Index, checked

CLASSES = "RobertaForMaskedLM"


class RobertaConfig(EncoderConfig):
    """BERT's fields; the padding's id decides where positions begin, and so cannot be null."""

    pad_token_id: Index = 1


def read_shape(raw: dict[str, Any], where: str) -> EncoderShape:
    """Return the shape that a configuration describes.

    Positions are counted from the row behind the padding's (transformers, `create_position_ids_from_input_ids`), and
    the head uses GELU whatever the layers' activation is.

    Raises:
        UserError: for a field that is missing or does not fit, or for what is not supported.
    """
    config = checked(RobertaConfig, raw, where)
    return encoder_shape(config, where, "roberta", offset=config.pad_token_id + 1, head_activation="gelu")
