"""The weights of a RoBERTa checkpoint: BERT's, under another prefix and with another head."""

from __future__ import annotations

from promptkit.backbones.native.bert.weights import encoder_plan
from promptkit.backbones.native.checkpoint import WeightPlan
from promptkit.backbones.native.roberta.config import CLASSES
from promptkit.backbones.native.shape import EncoderShape

_HEAD = {
    "head.dense.weight": "lm_head.dense.weight",
    "head.dense.bias": "lm_head.dense.bias",
    "head.norm.weight": "lm_head.layer_norm.weight",
    "head.norm.bias": "lm_head.layer_norm.bias",
    "head.bias": "lm_head.bias",
    "head.decoder": "lm_head.decoder.weight",
    "head.decoder_bias": "lm_head.decoder.bias",
}


def weight_plan(shape: EncoderShape) -> WeightPlan:
    """Return what a checkpoint of this shape must hold."""
    return encoder_plan(shape, _HEAD, head="lm_head", classes=CLASSES)
