"""Checkpoints whose numbers would come out wrong are refused in one line. Needs no MindSpore."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from models import GOLDENS
from safetensors.numpy import load_file, save_file

from promptkit.backbones.native.checkpoint import read_weights
from promptkit.backbones.native.engine import NativeEngine
from promptkit.backbones.native.reading import ARCHITECTURES
from promptkit.errors import UserError

OWN_ATTENTION = "only GPT-2's own attention is supported"


def scaling(kind: str, key: str = "rope_type", **more: Any) -> dict[str, Any]:
    return {"rope_scaling": {key: kind, "factor": 2.0, **more}, "rope_parameters": None}


@pytest.mark.parametrize(
    ("name", "fields", "said"),
    [
        ("bert-odd", {"position_embedding_type": "relative_key"}, "position embeddings 'relative_key' are not"),
        ("bert-odd", {"position_embedding_type": "relative_key_query"}, "'relative_key_query' are not supported"),
        ("bert-odd", {"is_decoder": True}, "is_decoder is true"),
        ("bert-odd", {"hidden_act": "tanh"}, "hidden_act"),
        ("roberta-odd", {"position_embedding_type": "relative_key"}, "position embeddings 'relative_key' are not"),
        ("gpt2-odd", {"scale_attn_weights": False}, OWN_ATTENTION),
        ("gpt2-odd", {"scale_attn_by_inverse_layer_idx": True}, OWN_ATTENTION),
        ("gpt2-odd", {"add_cross_attention": True}, OWN_ATTENTION),
        ("llama-odd", scaling("yarn"), "rope_scaling 'yarn' is not supported, only default, linear and llama3"),
        ("llama-odd", scaling("dynamic", "type"), "rope_scaling 'dynamic' is not supported"),
        ("llama-odd", scaling("factors", factors=[1.0]), "rope_scaling 'factors' is not supported"),
        ("qwen3-odd", {"rope_parameters": {"rope_type": "longrope"}}, "rope_scaling 'longrope' is not supported"),
        ("qwen2-odd", scaling("mrope", "type"), "rope_scaling 'mrope' is not supported"),
        ("bloom-odd", {"apply_residual_connection_post_layernorm": True}, "apply_residual_connection_post_layernorm"),
        ("qwen2-odd", {"use_sliding_window": True}, "attention to a window is not supported"),
        ("qwen3-odd", {"use_sliding_window": True}, "attention to a window is not supported"),
    ],
)
def test_a_configuration_that_is_not_computed_as_it_says(
    tmp_path: Path, name: str, fields: dict[str, Any], said: str
) -> None:
    folder = shutil.copytree(GOLDENS / name, tmp_path / "model")
    NativeEngine().describe(folder)
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))
    with pytest.raises(UserError) as refused:
        NativeEngine().describe(folder)
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("kind", [np.int8, np.uint8, np.int32])
def test_weights_that_are_whole_numbers(tmp_path: Path, kind: Any) -> None:
    folder = shutil.copytree(GOLDENS / "bert-odd", tmp_path / "model")
    weights, name = load_file(folder / "model.safetensors"), "bert.encoder.layer.1.intermediate.dense.weight"
    weights[name] = (10 * weights[name]).astype(kind)
    save_file(weights, folder / "model.safetensors")
    raw = json.loads((folder / "config.json").read_text())
    architecture = ARCHITECTURES[raw["model_type"]]
    stored = read_weights(folder, architecture.weight_plan(architecture.read_shape(raw, "config.json")))
    with pytest.raises(UserError, match=f"{name} holds {kind.__name__} numbers; quantised weights are not read"):
        stored["layers.1.up.weight"]
