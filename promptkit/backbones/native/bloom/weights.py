"""The weights of a BLOOM checkpoint, whose files hold each head's query, key and value behind each other."""

from __future__ import annotations

from typing import Any

from promptkit.backbones.native.checkpoint import WeightPlan
from promptkit.backbones.native.decoder.shape import DecoderShape
from promptkit.backbones.native.decoder.weights import Take, decoder_plan

_LAYER = {
    "attention_norm": "input_layernorm",
    "query": "self_attention.query_key_value",
    "key": "self_attention.query_key_value",
    "value": "self_attention.query_key_value",
    "output": "self_attention.dense",
    "ffn_norm": "post_attention_layernorm",
    "up": "mlp.dense_h_to_4h",
    "down": "mlp.dense_4h_to_h",
}
_TOP = {"word": "word_embeddings", "embedding_norm": "word_embeddings_layernorm", "final_norm": "ln_f"}


def weight_plan(shape: DecoderShape) -> WeightPlan:
    """Return what a checkpoint of this shape must hold."""
    takes: dict[str, Take] = {}
    for number, part in enumerate(("query", "key", "value")):
        takes[f"{part}.weight"] = takes[f"{part}.bias"] = _of_heads(shape, number)
    stems = ("transformer.", "")
    return decoder_plan(shape, _LAYER, _TOP, stems=stems, layers="h.{}", takes=takes)


def _of_heads(shape: DecoderShape, number: int) -> Take:
    """Return what takes queries, keys or values from (A * 3 * D, ...)."""

    def take(values: Any) -> Any:
        rest = values.shape[1:]
        heads = values.reshape(shape.heads, 3, shape.head_width, *rest)
        return heads[:, number].reshape(shape.query_width, *rest)

    return take
