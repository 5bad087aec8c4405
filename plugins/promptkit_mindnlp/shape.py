"""What `config.json` and the weights' headers tell of a model, without MindSpore."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from pathlib import Path
from typing import Any

from promptkit import UserError
from promptkit.backbones.face import BackboneInfo, Kind

_MASKED = (
    "albert", "camembert", "convbert", "data2vec-text", "deberta", "deberta-v2", "distilbert", "electra", "ernie",
    "mobilebert", "modernbert", "mpnet", "rembert", "roberta-prelayernorm", "roformer", "squeezebert", "xlm-roberta",
    "xlm-roberta-xl", "bert", "roberta",
)  # fmt: skip
_CAUSAL = (
    "opt", "gpt_neo", "gpt_neox", "gptj", "gemma", "gemma2", "mistral", "phi", "phi3", "olmo", "stablelm",
    "starcoder2", "llama", "qwen2", "qwen3", "gpt2", "bloom",
)  # fmt: skip
_ENDINGS: dict[str, Kind] = {"ForMaskedLM": "masked", "ForCausalLM": "causal", "LMHeadModel": "causal"}
_PADDED_POSITIONS = (
    "camembert", "data2vec-text", "mpnet", "roberta", "roberta-prelayernorm", "xlm-roberta", "xlm-roberta-xl",
)  # fmt: skip
"""Architectures whose position table begins one past the padding index (Liu et al. 2019, as fairseq has it)."""
_LAYERS = ("num_hidden_layers", "n_layers", "n_layer", "num_layers")
_HEADS = ("num_attention_heads", "n_heads", "n_head", "num_heads")
_HIDDEN = ("hidden_size", "dim", "n_embd", "n_embed", "d_model")
_INNER = ("intermediate_size", "hidden_dim", "ffn_dim", "n_inner")
_POSITIONS = ("max_position_embeddings", "n_positions", "max_sequence_length")
_NO_LIMIT = 512  # where a model has no table of positions


def kind_of_model(config: dict[str, Any]) -> Kind | None:
    """Return what a configuration describes, or None where it is no language model that predicts words."""
    named = config.get("architectures")
    for name in named if isinstance(named, list) else ():
        for ending, kind in _ENDINGS.items():
            if isinstance(name, str) and name.endswith(ending):
                return kind
    model_type = config.get("model_type")
    if model_type in _MASKED:
        return "masked"
    return "causal" if model_type in _CAUSAL else None


def read_info(config: dict[str, Any], weights: Sequence[Path], where: str) -> BackboneInfo:
    """Return a model's sizes.

    Args:
        config: of the checkpoint.
        weights: its files.
        where: how errors name the model.

    Raises:
        UserError: for a size that is missing or no positive whole number, or a file that cannot be read.
    """
    kind, architecture = kind_of_model(config), str(config.get("model_type", "unknown"))
    assert kind is not None
    hidden, layers = _size(config, _HIDDEN, where), _size(config, _LAYERS, where)
    heads, vocab = _size(config, _HEADS, where), _size(config, ("vocab_size",), where)
    inner = _size(config, _INNER, where, 4 * hidden)
    embedded = _size(config, ("embedding_size",), where, hidden)
    seen = hidden
    if architecture == "opt":
        # Its decoder projects into its own width and back (Zhang et al. 2022, the model of 350M).
        embedded = seen = _size(config, ("word_embed_proj_dim",), where, hidden)
    if architecture == "mobilebert":
        embedded = _size(config, ("embedding_size",), where, 128)
    longest = _size(config, _POSITIONS, where, _NO_LIMIT)
    if architecture in _PADDED_POSITIONS:
        padding = config.get("pad_token_id", 1)
        longest -= 1 + (padding if isinstance(padding, int) else 1)
    if longest < 1:
        raise UserError(f"{where}: config.json: no position is left for text.")
    width = _size(config, ("head_dim",), where, hidden // heads)
    return BackboneInfo(
        kind=kind,
        architecture=architecture,
        layers=layers,
        hidden_size=seen,
        heads=heads,
        kv_heads=_size(config, ("num_key_value_heads",), where, heads),
        head_width=width,
        vocab_size=vocab,
        max_length=longest,
        parameters=_count(weights, vocab, bool(config.get("tie_word_embeddings", True)), where),
        # An estimate where an architecture is unusual: attention's four products and the feed-forward's two.
        flops_per_token=2 * layers * (4 * hidden * hidden + 2 * hidden * inner),
        embedding_size=embedded,
    )


def _size(config: dict[str, Any], names: Sequence[str], where: str, otherwise: int | None = None) -> int:
    """Return the first of several fields that is there."""
    for name in names:
        value = config.get(name)
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise UserError(f"{where}: config.json: {name} is no positive whole number.")
        return value
    if otherwise is None:
        raise UserError(f"{where}: config.json: no {names[0]}.")
    return otherwise


def _count(weights: Sequence[Path], vocab: int, tied: bool, where: str) -> int:
    """Return how many numbers the files hold; of tables as long as the vocabulary that are tied, the first."""
    from safetensors import SafetensorError, safe_open

    total, tables = 0, set[tuple[int, ...]]()
    for path in weights:
        if path.suffix != ".safetensors":
            continue
        try:
            with safe_open(str(path), "numpy") as file:
                shapes = [(name, tuple(file.get_slice(name).get_shape())) for name in file.keys()]  # noqa: SIM118
        except (SafetensorError, OSError) as error:
            raise UserError(f"{where}: {path.name} cannot be read ({error}).") from None
        for name, shape in shapes:
            if name.endswith("position_ids") or (shape and shape[0] == vocab and tied and shape in tables):
                continue
            tables.add(shape)
            total += prod(shape)
    return total
