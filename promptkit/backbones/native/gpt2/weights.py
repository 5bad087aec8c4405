"""The weights of a GPT-2 checkpoint, whose files hold queries, keys and values together and matrices turned round."""

from __future__ import annotations

from typing import Any

import numpy as np

from promptkit.backbones.native.checkpoint import WeightPlan
from promptkit.backbones.native.decoder.shape import DecoderShape
from promptkit.backbones.native.decoder.weights import Take, decoder_plan

_LAYER = {
    "attention_norm": "ln_1",
    "query": "attn.c_attn",
    "key": "attn.c_attn",
    "value": "attn.c_attn",
    "output": "attn.c_proj",
    "ffn_norm": "ln_2",
    "up": "mlp.c_fc",
    "down": "mlp.c_proj",
}
_TOP = {"word": "wte", "position": "wpe", "final_norm": "ln_f"}
_TURNED = ("output", "up", "down")


def weight_plan(shape: DecoderShape) -> WeightPlan:
    """Return what a checkpoint of this shape must hold."""
    takes: dict[str, Take] = {f"{part}.weight": np.transpose for part in _TURNED}
    for number, part in enumerate(("query", "key", "value")):
        takes[f"{part}.weight"] = takes[f"{part}.bias"] = _third(number)
    stems = ("transformer.", "")
    return decoder_plan(shape, _LAYER, _TOP, stems=stems, layers="h.{}", takes=takes)


def _third(number: int) -> Take:
    """Return what takes queries, keys or values from (H, 3 H) or (3 H,)."""

    def take(values: Any) -> Any:
        return np.split(values, 3, axis=-1)[number].T

    return take
