"""Writes small GGUF files with the `gguf` package, as llama.cpp's converter lays them out."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import tokenizers
from tokenizers import models, pre_tokenizers, trainers

H, F, HEADS, KV, WIDTH = 256, 512, 4, 2, 64
END = "<|endoftext|>"
TEXTS = (
    "It's a truly 'GREAT' film, 12345 of them!",
    "Été  at the cinéma\n\n\tx",
    "电影很好看。",
    "a\u0301 \u00bd (b|c) they'LL  ",
    "",
)
_rng = np.random.default_rng(0)


def normal(*shape: int) -> Any:
    return _rng.standard_normal(shape).astype(np.float32)


def vocabulary() -> tuple[list[str], list[list[str]]]:
    """Return tokens and merges of a small byte-level BPE."""
    made = tokenizers.Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    made.train_from_iterator(
        TEXTS * 3,
        trainers.BpeTrainer(vocab_size=360, initial_alphabet=alphabet, special_tokens=[END], show_progress=False),
    )
    model = json.loads(made.to_str())["model"]
    return sorted(model["vocab"], key=model["vocab"].get), [list(pair) for pair in model["merges"]]


def llama_tensors(rows: int) -> dict[str, Any]:
    """Return the tensors of a Llama of one layer, under their names in the file."""
    layer = {
        "attn_norm": (H,),
        "attn_q": (H, H),
        "attn_k": (KV * WIDTH, H),
        "attn_v": (KV * WIDTH, H),
        "attn_output": (H, H),
        "ffn_norm": (H,),
        "ffn_gate": (F, H),
        "ffn_up": (F, H),
        "ffn_down": (H, F),
    }
    tensors = {f"blk.0.{name}.weight": normal(*shape) for name, shape in layer.items()}
    return {"token_embd.weight": normal(rows, H), "output_norm.weight": normal(H), **tensors}


def llama_values(kind: str = "llama") -> dict[str, Any]:
    """Return the metadata of such a model, without what begins with the architecture's name."""
    values = {
        "block_count": 1,
        "context_length": 512,
        "embedding_length": H,
        "feed_forward_length": F,
        "attention.head_count": HEADS,
        "attention.head_count_kv": KV,
        "attention.layer_norm_rms_epsilon": 1e-5,
        "rope.freq_base": 1e6,
    }
    return {f"{kind}.{key}": value for key, value in values.items()}


def tokenizer_values(pre: str | None = "smollm") -> dict[str, Any]:
    """Return the metadata of the tokenizer of `vocabulary`."""
    tokens, merges = vocabulary()
    values = {
        "model": "gpt2",
        "pre": pre,
        "tokens": tokens,
        "merges": [" ".join(pair) for pair in merges],
        "token_type": [3 if token == END else 1 for token in tokens],
        "bos_token_id": tokens.index(END),
        "eos_token_id": tokens.index(END),
    }
    return {f"tokenizer.ggml.{key}": value for key, value in values.items()}


def write(path: Path, kind: str, values: Mapping[str, Any], tensors: Mapping[str, Any]) -> Path:
    """Write a file; a tensor is an array, or (bytes of rows, their type). None leaves a value out."""
    writer = gguf.GGUFWriter(path, kind)
    for key, value in values.items():
        if isinstance(value, list):
            writer.add_array(key, value)
        elif isinstance(value, bool):
            writer.add_bool(key, value)
        elif isinstance(value, int):
            writer.add_uint32(key, value)
        elif isinstance(value, float):
            writer.add_float32(key, value)
        elif value is not None:
            writer.add_string(key, value)
    for name, tensor in tensors.items():
        if isinstance(tensor, tuple):
            writer.add_tensor(name, tensor[0], raw_dtype=tensor[1])
        else:
            writer.add_tensor(name, tensor)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def write_llama(path: Path, *, pre: str = "smollm", rows: int = 360, **changes: Any) -> Path:
    """Write a small Llama; changes are values by key, `__` for dots, or tensors; None leaves one out."""
    values, tensors = llama_values() | tokenizer_values(pre), llama_tensors(rows)
    for name, change in changes.items():
        key = name.replace("__", ".")
        if isinstance(change, (np.ndarray, tuple)) or key in tensors:
            tensors[key] = change
        else:
            values[key] = change
    return write(path, "llama", values, {name: each for name, each in tensors.items() if each is not None})
