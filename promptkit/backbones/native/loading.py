"""Checkpoint directory -> `Backbone`."""

from __future__ import annotations

from pathlib import Path

from promptkit.backbones.native.config import read_config
from promptkit.backbones.native.model import Backbone
from promptkit.backbones.native.tokenizer import Tokenizer, load_tokenizer
from promptkit.backbones.native.weights import file_fingerprint, read_weights


def load_backbone(
    directory: Path,
    *,
    source: str | None = None,
    tokenizer: Tokenizer | None = None,
    fingerprint: str | None = None,
) -> Backbone:
    """Load a Hugging Face checkpoint directory as a frozen backbone.

    Args:
        directory: holds `config.json`, `model.safetensors` and the tokenizer's files.
        source: the name to report; the directory by default.
        tokenizer: its tokenizer, if it is loaded already.
        fingerprint: of its files, if it is known already.

    Raises:
        UserError: for anything that is missing, unreadable, unsupported or misshapen.
    """
    config = read_config(directory)
    if tokenizer is None:
        tokenizer = load_tokenizer(directory, config.architecture, config.vocab_size)
    weights = read_weights(directory, config)
    return Backbone(
        config,
        weights,
        tokenizer,
        source=source or str(directory),
        fingerprint=fingerprint or file_fingerprint(directory),
    )
