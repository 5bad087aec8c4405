"""The weights of a Llama checkpoint, and of others whose files name them alike."""

from __future__ import annotations

from promptkit.backbones.native.checkpoint import WeightPlan
from promptkit.backbones.native.decoder.shape import DecoderShape
from promptkit.backbones.native.decoder.weights import decoder_plan

_LAYER = {
    "attention_norm": "input_layernorm",
    "query": "self_attn.q_proj",
    "key": "self_attn.k_proj",
    "value": "self_attn.v_proj",
    "output": "self_attn.o_proj",
    "query_norm": "self_attn.q_norm",
    "key_norm": "self_attn.k_norm",
    "ffn_norm": "post_attention_layernorm",
    "gate": "mlp.gate_proj",
    "up": "mlp.up_proj",
    "down": "mlp.down_proj",
}
_TOP = {"word": "embed_tokens", "final_norm": "norm"}


def weight_plan(shape: DecoderShape) -> WeightPlan:
    """Return what a checkpoint of this shape must hold."""
    return decoder_plan(shape, _LAYER, _TOP, stems=("model.",), layers="layers.{}")
