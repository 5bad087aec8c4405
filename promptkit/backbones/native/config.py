"""What an engine needs to know of a checkpoint: the numbers of `config.json`, checked."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from promptkit.errors import UserError

SUPPORTED = {
    "bert": "BertForMaskedLM, BertForPreTraining",
    "roberta": "RobertaForMaskedLM",
}
ACTIVATIONS = ("gelu", "gelu_new", "gelu_pytorch_tanh", "relu", "silu")


@dataclass(frozen=True)
class BackboneConfig:
    """The shape of a masked language model.

    Attributes:
        architecture: `bert` or `roberta`.
        vocab_size: V.
        hidden_size: H.
        layers: L.
        heads: A; H is a multiple of it.
        intermediate_size: width of the feed-forward layer.
        max_length: longest row the position table takes, special tokens included.
        position_offset: row of the position table that the first token uses (RoBERTa keeps the first ones).
        position_rows: rows of the position table in the checkpoint.
        token_types: rows of the token type table.
        activation: one of `ACTIVATIONS`.
        layer_norm_eps: epsilon of every LayerNorm.
        tied: whether the output rows are the input word embeddings.
    """

    architecture: str
    vocab_size: int
    hidden_size: int
    layers: int
    heads: int
    intermediate_size: int
    max_length: int
    position_offset: int
    position_rows: int
    token_types: int
    activation: str
    layer_norm_eps: float
    tied: bool

    @property
    def head_width(self) -> int:
        """D, the width of one attention head."""
        return self.hidden_size // self.heads


def read_config(directory: Path) -> BackboneConfig:
    """Read and check `config.json`.

    Raises:
        UserError: if the file is missing or broken, or the architecture, activation or position scheme is
            not supported.
    """
    path = directory / "config.json"
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"model '{directory}': no config.json there; a Hugging Face checkpoint has one.") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"model '{directory}': config.json cannot be read ({error}).") from None
    try:
        return _checked(raw, directory)
    except KeyError as error:
        raise UserError(f"model '{directory}': config.json has no {error}.") from None


def _checked(raw: dict[str, Any], directory: Path) -> BackboneConfig:
    kind = raw.get("model_type")
    if kind not in SUPPORTED:
        supported = "; ".join(f"{name} ({classes})" for name, classes in SUPPORTED.items())
        raise UserError(f"model '{directory}': architecture '{kind}' is not supported. Supported: {supported}.")
    scheme = raw.get("position_embedding_type", "absolute") or "absolute"
    if scheme != "absolute":
        raise UserError(f"model '{directory}': position embeddings '{scheme}' are not supported, only absolute.")
    activation = raw.get("hidden_act", "gelu")
    if activation not in ACTIVATIONS:
        known = ", ".join(ACTIVATIONS)
        raise UserError(f"model '{directory}': activation '{activation}' is not supported. Supported: {known}.")
    hidden, heads = int(raw["hidden_size"]), int(raw["num_attention_heads"])
    if heads <= 0 or hidden % heads:
        raise UserError(f"model '{directory}': hidden_size {hidden} is no multiple of {heads} attention heads.")
    # RoBERTa numbers positions from padding_idx + 1 (transformers, create_position_ids_from_input_ids).
    offset = int(raw.get("pad_token_id", 1)) + 1 if kind == "roberta" else 0
    rows = int(raw["max_position_embeddings"])
    return BackboneConfig(
        architecture=kind,
        vocab_size=int(raw["vocab_size"]),
        hidden_size=hidden,
        layers=int(raw["num_hidden_layers"]),
        heads=heads,
        intermediate_size=int(raw["intermediate_size"]),
        max_length=rows - offset,
        position_offset=offset,
        position_rows=rows,
        token_types=int(raw.get("type_vocab_size", 2)),
        activation=activation,
        layer_norm_eps=float(raw.get("layer_norm_eps", 1e-12)),
        tied=bool(raw.get("tie_word_embeddings", True)),
    )
