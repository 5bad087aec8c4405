"""The weights of a BERT checkpoint: the engine's names, theirs in Hugging Face files, and their shapes."""

from __future__ import annotations

import re
from collections.abc import Mapping

from promptkit.backbones.native.bert.config import CLASSES
from promptkit.backbones.native.checkpoint import WeightPlan
from promptkit.backbones.native.shape import EncoderShape

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
    "head.dense.weight": "cls.predictions.transform.dense.weight",
    "head.dense.bias": "cls.predictions.transform.dense.bias",
    "head.norm.weight": "cls.predictions.transform.LayerNorm.weight",
    "head.norm.bias": "cls.predictions.transform.LayerNorm.bias",
    "head.bias": "cls.predictions.bias",
    "head.decoder": "cls.predictions.decoder.weight",
    "head.decoder_bias": "cls.predictions.decoder.bias",
}
_OTHER_TASKS = r"^cls\.seq_relationship\."
_BUFFERS = r"(^|\.)(pooler\.|position_ids$|token_type_ids$)"


def weight_plan(shape: EncoderShape) -> WeightPlan:
    """Return what a checkpoint of this shape must hold."""
    return encoder_plan(shape, _HEAD, head="cls", classes=CLASSES)


def encoder_plan(shape: EncoderShape, head_names: Mapping[str, str], *, head: str, classes: str) -> WeightPlan:
    """Return the plan of a BERT-shaped checkpoint, its head's names given.

    The output rows are the word embeddings if they are tied and the file has no others. Where the output biases stand
    under two names, the decoder's own are read, tied or not (transformers 5; in older files both are equal).
    """
    stem = f"{shape.architecture}."
    names: dict[str, tuple[str, ...]] = {ours: (stem + theirs,) for ours, theirs in _EMBEDDINGS.items()}
    for layer in range(shape.layers):
        for ours, theirs in _LAYER.items():
            names[f"layers.{layer}.{ours}"] = (f"{stem}encoder.layer.{layer}.{theirs}",)
    for ours in ("head.dense.weight", "head.dense.bias", "head.norm.weight", "head.norm.bias"):
        names[ours] = (head_names[ours],)
    bias, own_bias, decoder = (head_names[n] for n in ("head.bias", "head.decoder_bias", "head.decoder"))
    names["head.bias"] = (own_bias, bias)
    names["head.decoder"] = (decoder, *names["word"]) if shape.tied else (decoder,)
    return WeightPlan(
        names=names,
        shapes=_shapes(shape),
        ignored=re.compile(f"{_BUFFERS}|{_OTHER_TASKS}"),
        head=head,
        classes=classes,
    )


def _shapes(shape: EncoderShape) -> dict[str, tuple[int, ...]]:
    h, f, v = shape.hidden_size, shape.intermediate_size, shape.vocab_size
    shapes: dict[str, tuple[int, ...]] = {
        "word": (v, h),
        "position": (shape.position_rows, h),
        "token_type": (shape.token_types, h),
        "embedding_norm.weight": (h,),
        "embedding_norm.bias": (h,),
        "head.dense.weight": (h, h),
        "head.dense.bias": (h,),
        "head.norm.weight": (h,),
        "head.norm.bias": (h,),
        "head.bias": (v,),
        "head.decoder": (v, h),
    }
    wide = {"up.weight": (f, h), "up.bias": (f,), "down.weight": (h, f)}
    for layer in range(shape.layers):
        for name in _LAYER:
            square = name.split(".")[0] in ("query", "key", "value", "output") and name.endswith(".weight")
            shapes[f"layers.{layer}.{name}"] = wide.get(name, (h, h) if square else (h,))
    return shapes
