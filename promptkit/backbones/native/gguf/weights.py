"""The weights of a GGUF file, which names them alike for every architecture."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from promptkit.backbones.native.checkpoint import StoredWeights, Tensors, WeightPlan, take_weights
from promptkit.backbones.native.decoder.shape import DecoderShape
from promptkit.backbones.native.decoder.weights import Take, decoder_plan
from promptkit.backbones.native.gguf.header import Header
from promptkit.backbones.native.gguf.values import tensor_values

_LAYER = {
    "attention_norm": "attn_norm",
    "query": "attn_q",
    "key": "attn_k",
    "value": "attn_v",
    "output": "attn_output",
    "query_norm": "attn_q_norm",
    "key_norm": "attn_k_norm",
    "ffn_norm": "ffn_norm",
    "gate": "ffn_gate",
    "up": "ffn_up",
    "down": "ffn_down",
}
_TOP = {
    "word": "token_embd",
    "position": "position_embd",
    "embedding_norm": "token_embd_norm",
    "final_norm": "output_norm",
}
_TOGETHER = ("query", "key", "value")


def read_weights(header: Header, shape: DecoderShape) -> StoredWeights:
    """Return the weights the engine needs, each read and dequantised when it is asked for, as float32.

    Raises:
        UserError: as `take_weights`.
    """
    readers = {name: partial(tensor_values, header, name) for name in header.tensors}
    tensors = Tensors(readers, header.path.name, [header.path])
    return take_weights(tensors, weight_plan(shape), f"model '{header.path}'")


def weight_plan(shape: DecoderShape) -> WeightPlan:
    """Return what a file of this shape must hold."""
    layer, takes = _LAYER, dict[str, Take]()
    if shape.architecture in ("gpt2", "bloom"):
        layer = _LAYER | dict.fromkeys(_TOGETHER, "attn_qkv")
        for number, part in enumerate(_TOGETHER):
            takes[f"{part}.weight"] = takes[f"{part}.bias"] = partial(_third, number=number)
    if shape.architecture == "llama":
        for part, heads in (("query", shape.heads), ("key", shape.kv_heads)):
            takes[f"{part}.weight"] = takes[f"{part}.bias"] = partial(_unpermuted, heads=heads)
    return decoder_plan(shape, layer, _TOP, stems=("",), layers="blk.{}", head="output.weight", takes=takes)


def _third(values: Any, number: int) -> Any:
    """Take queries, keys or values from (3 H, ...)."""
    return np.split(values, 3)[number]


def _unpermuted(values: Any, heads: int) -> Any:
    """Llama files turn neighbours, (A, D / 2, 2) rows; the engine turns halves, (A, 2, D / 2)."""
    return values.reshape(heads, -1, 2, *values.shape[1:]).swapaxes(1, 2).reshape(values.shape)
