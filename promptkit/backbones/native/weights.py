"""Weights from a checkpoint file, renamed and checked before anything is copied.

The renaming is data: two tables from the engine's names to those that Hugging Face checkpoints of each
architecture use. Only safetensors files are read; a pickle can run code and is never loaded.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from promptkit.backbones.native.config import BackboneConfig
from promptkit.errors import UserError

Weights = dict[str, npt.NDArray[np.float32]]

_LAYER = {
    "query.weight": "attention.self.query.weight",
    "query.bias": "attention.self.query.bias",
    "key.weight": "attention.self.key.weight",
    "key.bias": "attention.self.key.bias",
    "value.weight": "attention.self.value.weight",
    "value.bias": "attention.self.value.bias",
    "output.weight": "attention.output.dense.weight",
    "output.bias": "attention.output.dense.bias",
    "attention_norm.weight": "attention.output.LayerNorm.weight",
    "attention_norm.bias": "attention.output.LayerNorm.bias",
    "up.weight": "intermediate.dense.weight",
    "up.bias": "intermediate.dense.bias",
    "down.weight": "output.dense.weight",
    "down.bias": "output.dense.bias",
    "output_norm.weight": "output.LayerNorm.weight",
    "output_norm.bias": "output.LayerNorm.bias",
}
_EMBEDDINGS = {
    "word": "embeddings.word_embeddings.weight",
    "position": "embeddings.position_embeddings.weight",
    "token_type": "embeddings.token_type_embeddings.weight",
    "embedding_norm.weight": "embeddings.LayerNorm.weight",
    "embedding_norm.bias": "embeddings.LayerNorm.bias",
}
_HEAD = {
    "bert": {
        "head.dense.weight": "cls.predictions.transform.dense.weight",
        "head.dense.bias": "cls.predictions.transform.dense.bias",
        "head.norm.weight": "cls.predictions.transform.LayerNorm.weight",
        "head.norm.bias": "cls.predictions.transform.LayerNorm.bias",
        "head.bias": "cls.predictions.bias",
        "head.decoder": "cls.predictions.decoder.weight",
    },
    "roberta": {
        "head.dense.weight": "lm_head.dense.weight",
        "head.dense.bias": "lm_head.dense.bias",
        "head.norm.weight": "lm_head.layer_norm.weight",
        "head.norm.bias": "lm_head.layer_norm.bias",
        "head.bias": "lm_head.bias",
        "head.decoder": "lm_head.decoder.weight",
    },
}
# Weights of tasks that promptkit does not use, buffers, and second names of tied tensors.
_IGNORED = re.compile(r"(^|\.)(pooler\.|position_ids$|token_type_ids$)|^cls\.seq_relationship\.|\.decoder\.bias$")


def expected_shapes(config: BackboneConfig) -> dict[str, tuple[int, ...]]:
    """Return the engine's weight names with the shapes a checkpoint of this configuration must have."""
    h, f, v = config.hidden_size, config.intermediate_size, config.vocab_size
    shapes: dict[str, tuple[int, ...]] = {
        "word": (v, h),
        "position": (config.position_rows, h),
        "token_type": (config.token_types, h),
        "embedding_norm.weight": (h,),
        "embedding_norm.bias": (h,),
        "head.dense.weight": (h, h),
        "head.dense.bias": (h,),
        "head.norm.weight": (h,),
        "head.norm.bias": (h,),
        "head.bias": (v,),
    }
    if not config.tied:
        shapes["head.decoder"] = (v, h)
    wide = {"up.weight": (f, h), "up.bias": (f,), "down.weight": (h, f)}
    for layer in range(config.layers):
        for name in _LAYER:
            square = name.split(".")[0] in ("query", "key", "value", "output") and name.endswith(".weight")
            shapes[f"layers.{layer}.{name}"] = wide.get(name, (h, h) if square else (h,))
    return shapes


def source_names(config: BackboneConfig) -> dict[str, str]:
    """Return the engine's weight names with the names they have in a Hugging Face checkpoint."""
    prefix = f"{config.architecture}."
    names = {ours: prefix + theirs for ours, theirs in _EMBEDDINGS.items()}
    for layer in range(config.layers):
        for ours, theirs in _LAYER.items():
            names[f"layers.{layer}.{ours}"] = f"{prefix}encoder.layer.{layer}.{theirs}"
    return names | _HEAD[config.architecture]


def weights_file(directory: Path) -> Path:
    """Return the checkpoint's safetensors file, or say why there is none."""
    path = directory / "model.safetensors"
    if path.is_file():
        return path
    if (directory / "model.safetensors.index.json").is_file():
        raise UserError(f"model '{directory}': the weights are split over several files; save them as one.")
    pickles = [p.name for pattern in ("*.bin", "*.pt", "*.pth", "*.ckpt") for p in directory.glob(pattern)]
    if pickles:
        raise UserError(
            f"model '{directory}': {pickles[0]} is a pickle, which can run code and is never loaded; "
            "convert it to model.safetensors."
        )
    raise UserError(f"model '{directory}': no model.safetensors there.")


def read_weights(directory: Path, config: BackboneConfig) -> Weights:
    """Read every weight the engine needs, as float32.

    Raises:
        UserError: for a missing or unreadable file, missing or extra weights, or a wrong shape.
    """
    raw = _read_file(weights_file(directory))
    _refuse_without_head(raw, config, directory)
    names = source_names(config)
    shapes = expected_shapes(config)
    missing = [names[ours] for ours in shapes if names[ours] not in raw]
    if missing:
        raise UserError(f"model '{directory}': {_some(missing)} missing from model.safetensors.")
    known = set(names.values())
    extra = [name for name in raw if name not in known and not _IGNORED.search(name)]
    if extra:
        raise UserError(f"model '{directory}': {_some(extra)} in model.safetensors that this architecture lacks.")
    for ours, shape in shapes.items():
        found = tuple(raw[names[ours]].shape)
        if found != shape:
            raise UserError(f"model '{directory}': {names[ours]} has shape {found}, config.json says {shape}.")
    return {ours: np.ascontiguousarray(raw[names[ours]], dtype=np.float32) for ours in shapes}


def _read_file(path: Path) -> dict[str, npt.NDArray[np.generic]]:
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        raw = load_file(path)
    except (SafetensorError, OSError, TypeError, AttributeError, KeyError) as error:
        raise UserError(f"'{path}' is not a readable safetensors file of fp32 or fp16 weights ({error}).") from None
    return {_canonical(name): value for name, value in raw.items()}


def _canonical(name: str) -> str:
    """Give first-generation LayerNorm names their present form, and the output bias its own name."""
    name = re.sub(r"\.gamma$", ".weight", name)
    return re.sub(r"\.beta$", ".bias", name)


def _refuse_without_head(raw: Mapping[str, object], config: BackboneConfig, directory: Path) -> None:
    head = _HEAD[config.architecture]
    stem = head["head.dense.weight"].split(".")[0]
    if not any(name.startswith(f"{stem}.") for name in raw):
        raise UserError(
            f"model '{directory}': the checkpoint has no masked language model head ({stem}.*); promptkit needs "
            "one of BertForMaskedLM, BertForPreTraining, RobertaForMaskedLM."
        )


def _some(names: list[str], limit: int = 3) -> str:
    shown = ", ".join(sorted(names)[:limit])
    more = f" and {len(names) - limit} more weights" if len(names) > limit else ""
    return shown + more


def file_fingerprint(directory: Path) -> str:
    """Return the first 16 hex digits of the SHA-256 over the weights file and `config.json`."""
    digest = hashlib.sha256()
    for path in (directory / "config.json", weights_file(directory)):
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()[:16]
