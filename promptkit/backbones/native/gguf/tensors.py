"""The tensors of a GGUF file, dequantised, under the names and in the layout of Hugging Face checkpoints."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from promptkit.backbones.native.gguf.config import config_of, head_counts
from promptkit.backbones.native.gguf.header import Header, read_header
from promptkit.backbones.native.gguf.values import Array, tensor_values
from promptkit.errors import UserError

Turn = Callable[[Any], Any]

_LLAMA = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "attn_q_norm": "self_attn.q_norm",
    "attn_k_norm": "self_attn.k_norm",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
    "token_embd": "model.embed_tokens",
    "output_norm": "model.norm",
}
_GPT2 = {
    "attn_norm": "ln_1",
    "attn_qkv": "attn.c_attn",
    "attn_output": "attn.c_proj",
    "ffn_norm": "ln_2",
    "ffn_up": "mlp.c_fc",
    "ffn_down": "mlp.c_proj",
    "token_embd": "transformer.wte",
    "position_embd": "transformer.wpe",
    "output_norm": "transformer.ln_f",
}
_BLOOM = {
    "attn_norm": "input_layernorm",
    "attn_qkv": "self_attention.query_key_value",
    "attn_output": "self_attention.dense",
    "ffn_norm": "post_attention_layernorm",
    "ffn_up": "mlp.dense_h_to_4h",
    "ffn_down": "mlp.dense_4h_to_h",
    "token_embd": "transformer.word_embeddings",
    "token_embd_norm": "transformer.word_embeddings_layernorm",
    "output_norm": "transformer.ln_f",
}
# Architecture -> what its layers are called, and the names of parts in the file -> theirs in a checkpoint.
_NAMES: dict[str, tuple[str, Mapping[str, str]]] = {
    "llama": ("model.layers.{}.", _LLAMA),
    "qwen2": ("model.layers.{}.", _LLAMA),
    "qwen3": ("model.layers.{}.", _LLAMA),
    "gpt2": ("transformer.h.{}.", _GPT2),
    "bloom": ("transformer.h.{}.", _BLOOM),
}
_IN_LAYER = re.compile(r"blk\.(\d+)\.(\w+)\.(weight|bias)")
_OUTSIDE = re.compile(r"(\w+)\.(weight|bias)")
# Frequencies, which the configuration holds, and tables of old files that no program reads.
_LEFT_OUT = re.compile(r"rope_freqs\.weight|blk\.\d+\.attn_rot_embd\.weight")


def tensor_readers(path: Path) -> dict[str, Callable[[], Array]]:
    """Return what reads each tensor, by its name in a Hugging Face checkpoint: float16 as such, all else as float32.

    Each is read and dequantised when its reader is called, so that one quantised matrix at a time is in memory twice.
    Shapes and order are those of `LlamaForCausalLM`, `Qwen2ForCausalLM`, `Qwen3ForCausalLM`, `GPT2LMHeadModel` (whose
    matrices are (in, out)) and `BloomForCausalLM` (whose queries, keys and values go head by head). A tensor that
    these do not have keeps the name it has in the file.

    Raises:
        UserError: in one line, for a file that cannot be read (`read_header`), or another architecture.
    """
    header = read_header(path)
    config_of(header)  # refuses what is not supported
    kind, (heads, kv_heads) = header.architecture, head_counts(header)
    turns = _turns(kind, heads, kv_heads)
    readers: dict[str, Callable[[], Array]] = {}
    for name in header.tensors:
        if not _LEFT_OUT.fullmatch(name):
            part = name.split(".")[2] if name.startswith("blk.") and name.count(".") > 2 else ""
            readers[_checkpoint_name(kind, name)] = partial(_turned, header, name, turns.get(part))
    return readers


def _checkpoint_name(kind: str, name: str) -> str:
    layers, parts = _NAMES[kind]
    if found := _IN_LAYER.fullmatch(name):
        number, part, end = found.groups()
        return f"{layers.format(number)}{parts[part]}.{end}" if part in parts else name
    if name == "output.weight":
        return "lm_head.weight"
    found = _OUTSIDE.fullmatch(name)
    return f"{parts[found[1]]}.{found[2]}" if found and found[1] in parts else name


def _turns(kind: str, heads: int, kv_heads: int) -> dict[str, Turn]:
    """Return what gives parts of a layer the layout that checkpoints have."""
    if kind == "llama":
        return {"attn_q": partial(_unpermuted, heads=heads), "attn_k": partial(_unpermuted, heads=kv_heads)}
    if kind == "gpt2":
        return dict.fromkeys(("attn_qkv", "attn_output", "ffn_up", "ffn_down"), np.transpose)
    if kind == "bloom":
        return {"attn_qkv": partial(_head_by_head, heads=heads)}
    return {}


def _turned(header: Header, name: str, turn: Turn | None) -> Array:
    values = tensor_values(header, name)
    if turn is None:
        return values
    try:
        return np.ascontiguousarray(turn(values))
    except ValueError:  # rows that cannot be dealt out to the heads
        raise UserError(
            f"{header.where}: tensor {name} has shape {values.shape}, which its heads cannot have."
        ) from None


def _unpermuted(values: Any, heads: int) -> Any:
    """Llama files turn neighbours, (A, D / 2, 2) rows; checkpoints turn halves, (A, 2, D / 2)."""
    return values.reshape(heads, -1, 2, *values.shape[1:]).swapaxes(1, 2).reshape(values.shape)


def _head_by_head(values: Any, heads: int) -> Any:
    """From all queries, keys, values, (3, A, D) rows, to those of each head behind each other, (A, 3, D)."""
    return values.reshape(3, heads, -1, *values.shape[1:]).swapaxes(0, 1).reshape(values.shape)
