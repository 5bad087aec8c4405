"""`config.json` of a RoBERTa checkpoint (Liu et al. 2019, arXiv:1907.11692)."""

from __future__ import annotations

from typing import Any

from promptkit.backbones.native.bert.config import encoder_shape
from promptkit.backbones.native.reading import Fields
from promptkit.backbones.native.shape import EncoderShape

CLASSES = "RobertaForMaskedLM"


def read_shape(raw: dict[str, Any], where: str) -> EncoderShape:
    """Return the shape that a configuration describes.

    Positions are counted from the row behind the padding's (transformers, `create_position_ids_from_input_ids`), and
    the head uses GELU whatever the layers' activation is.

    Raises:
        UserError: for a number that is missing or none, or for what is not supported.
    """
    fields = Fields(raw, f"{where}: config.json")
    offset = fields.count("pad_token_id", 1, least=0) + 1
    return encoder_shape(fields, "roberta", offset=offset, head_activation="gelu")
