"""The metadata of a GGUF file as the `config.json` that the same model has in a Hugging Face checkpoint."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np

from promptkit.backbones.native.gguf.header import Header
from promptkit.backbones.native.gguf.values import tensor_values
from promptkit.checking import shortened
from promptkit.errors import UserError

_T = TypeVar("_T")
WORDS, OUTPUT, FACTORS = "token_embd.weight", "output.weight", "rope_freqs.weight"
# `general.architecture` is what Hugging Face calls `model_type` for all of these.
ARCHITECTURES = ("llama", "qwen2", "qwen3", "gpt2", "bloom")


def read_config(header: Header) -> dict[str, Any]:
    """Return what `config.json` would say.

    What llama.cpp takes for granted where a key is missing is taken so here: as many heads of keys and values as of
    queries, heads of width H / A, the base 10,000. Embeddings are tied where the file has no output rows of its own.
    Rotary frequencies that the file divides one by one (Llama 3) are `rope_scaling` of the type `factors`, which is
    none of Hugging Face's.

    Raises:
        UserError: in one line, for another architecture, a value that is missing or does not fit, or what is not
            supported: experts, windows, layers of different sizes, a part of each head turned.
    """
    kind = header.architecture
    if kind not in ARCHITECTURES:
        known = ", ".join(ARCHITECTURES)
        raise UserError(f"{header.where}: architecture {shortened(kind)} is not supported. Supported: {known}.")
    _refuse_others(header)
    if (words := header.tensors.get(WORDS)) is None or len(words.shape) != 2:
        raise UserError(f"{header.where}: no tensor {WORDS} of two dimensions there.")
    common = {
        "model_type": kind,
        "vocab_size": words.shape[0],
        "tie_word_embeddings": OUTPUT not in header.tensors,
    }
    return common | {"gpt2": _gpt2, "bloom": _bloom}.get(kind, _rotary)(header)


def _rotary(header: Header) -> dict[str, Any]:
    kind, hidden = header.architecture, _needed(header, "embedding_length")
    heads = _needed(header, "attention.head_count")
    width = _same(header, "attention.key_length") or max(hidden // heads, 1)
    for key in ("attention.value_length", "rope.dimension_count"):
        if (_same(header, key) or width) != width:
            raise UserError(f"{header.where}: {kind}.{key} is not the width of a head, {width}; not supported.")
    config = {
        "hidden_size": hidden,
        "intermediate_size": _needed(header, "feed_forward_length"),
        "num_hidden_layers": _needed(header, "block_count"),
        "num_attention_heads": heads,
        "num_key_value_heads": _same(header, "attention.head_count_kv") or heads,
        "head_dim": width,
        "hidden_act": "silu",
        "max_position_embeddings": _needed(header, "context_length"),
        "rms_norm_eps": _needed_number(header, "attention.layer_norm_rms_epsilon"),
        "rope_theta": header.number(f"{kind}.rope.freq_base") or 10000.0,
    }
    if scaling := _scaling(header, width):
        config["rope_scaling"] = scaling
    if kind != "qwen2":  # whose queries, keys and values have biases always, and whose output never
        config["attention_bias"] = "blk.0.attn_q.bias" in header.tensors
    return config | {"mlp_bias": "blk.0.ffn_up.bias" in header.tensors}


def _scaling(header: Header, width: int) -> dict[str, Any] | None:
    """Return how rotary frequencies are scaled; a type that is not named is linear, as in llama.cpp."""
    kind, where = header.architecture, header.where
    named = header.text(f"{kind}.rope.scaling.type") or "linear"
    factor = header.number(f"{kind}.rope.scaling.factor") or header.number(f"{kind}.rope.scale_linear") or 1.0
    if named not in ("none", "linear"):
        raise UserError(f"{where}: {kind}.rope.scaling.type '{named[:40]}' is not supported, only none and linear.")
    factor = factor if named == "linear" else 1.0
    if FACTORS in header.tensors:
        factors = tensor_values(header, FACTORS).astype(np.float32)
        if factors.shape != (width // 2,) or not (np.isfinite(factors) & (factors > 0)).all():
            raise UserError(f"{where}: {FACTORS} holds no {width // 2} finite numbers above 0.")
        return {"rope_type": "factors", "factors": [float(str(each)) * factor for each in factors]}
    return {"rope_type": "linear", "factor": factor} if factor != 1.0 else None


def _gpt2(header: Header) -> dict[str, Any]:
    return {
        "n_embd": _needed(header, "embedding_length"),
        "n_layer": _needed(header, "block_count"),
        "n_head": _needed(header, "attention.head_count"),
        "n_positions": _needed(header, "context_length"),
        "n_inner": _same(header, "feed_forward_length"),
        "activation_function": "gelu_new",
        "layer_norm_epsilon": _needed_number(header, "attention.layer_norm_epsilon"),
    }


def _bloom(header: Header) -> dict[str, Any]:
    return {
        "hidden_size": _needed(header, "embedding_length"),
        "n_layer": _needed(header, "block_count"),
        "n_head": _needed(header, "attention.head_count"),
        "seq_length": _needed(header, "context_length"),
        "layer_norm_epsilon": _needed_number(header, "attention.layer_norm_epsilon"),
        "apply_residual_connection_post_layernorm": False,
    }


def _refuse_others(header: Header) -> None:
    """Refuse models that call themselves as ours and are computed otherwise."""
    kind = header.architecture
    if header.index(f"{kind}.expert_count"):
        raise UserError(f"{header.where}: a mixture of experts is not supported.")
    window = header.index(f"{kind}.attention.sliding_window")
    if window and window < _needed(header, "context_length"):
        raise UserError(f"{header.where}: attention to a window of {window} tokens is not supported.")
    if header.flag(f"{kind}.attention.causal") is False:
        raise UserError(f"{header.where}: attention that looks ahead (attention.causal false) is not supported.")
    for key in ("attention.scale", "logit_scale", "residual_scale", "embedding_scale", "attention.clamp_kqv"):
        if header.number(f"{kind}.{key}"):
            raise UserError(f"{header.where}: {kind}.{key} is not supported.")


def _same(header: Header, key: str) -> int | None:
    """Return a number that may be given once or for each layer."""
    found = header.sizes(f"{header.architecture}.{key}")
    if found and len(set(found)) > 1:
        raise UserError(f"{header.where}: {header.architecture}.{key} differs between layers; not supported.")
    return found[0] if found else None


def _needed(header: Header, key: str) -> int:
    return _there(header, key, _same(header, key))


def _needed_number(header: Header, key: str) -> float:
    return _there(header, key, header.number(f"{header.architecture}.{key}"))


def _there(header: Header, key: str, value: _T | None) -> _T:
    if value is None:
        raise UserError(f"{header.where}: no {header.architecture}.{key} there.")
    return value
