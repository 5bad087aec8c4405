"""The engine `mindnlp`; fulfils `promptkit.backbones.face.Engine`."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
from pathlib import Path
from typing import Any

from promptkit import UserError
from promptkit.backbones.face import Backbone, ModelFiles, hash_file
from promptkit_mindnlp.shape import kind_of_model, read_info
from promptkit_mindnlp.tokenizer import load_tokenizer, tokenizer_files

CONFIG, WEIGHTS, INDEX = "config.json", "model.safetensors", "model.safetensors.index.json"
INSTALL = "docs/mindnlp.md has the command that installs it"
_COUNTING = ("mindnlp", "transformers", "mindspore")
"""Distributions that the numbers depend on."""


class MindNLPEngine:
    """Loads masked and causal language models with mindnlp, in a process of its own."""

    name = "mindnlp"
    last_resort = True

    def __init__(self) -> None:
        takes = "masked and causal models of transformers (DistilBERT, ALBERT, ELECTRA, DeBERTa, XLM-R, MPNet, OPT)"
        self.summary = f"{takes}; {self.missing}" if self.missing else takes

    @property
    def missing(self) -> str:
        """What keeps it from working here, or nothing."""
        return "" if _version("mindnlp") else "mindnlp is not installed"

    def claims(self, directory: Path) -> bool:
        """Return whether `config.json` names a masked or causal language model."""
        try:
            return kind_of_model(_read_config(directory)) is not None
        except UserError:
            return False

    def describe(self, directory: Path) -> ModelFiles:
        """Read the configuration, the tokenizer and the weights' shapes, and hash all that numbers depend on.

        Raises:
            UserError: if mindnlp is not installed; for what is missing, unreadable or not supported.
        """
        config, where = _read_config(directory), f"model '{directory}'"
        if kind_of_model(config) is None:
            raise UserError(f"{where}: {CONFIG} names no masked or causal language model.")
        if self.missing:
            raise UserError(f"{where} is one for engine 'mindnlp', and {self.missing}; {INSTALL}.")
        if "rope_parameters" in config and int(_version("transformers").partition(".")[0] or 0) < 5:
            # It would be passed over, and the model run with another base.
            raise UserError(f"{where}: {CONFIG} has rope_parameters, which only transformers 5 reads.")
        weights = _weights_files(directory, where)
        info = read_info(config, weights, where)
        tokenizer = load_tokenizer(directory, where)
        if tokenizer.vocab_size > info.vocab_size:
            raise UserError(
                f"{where}: the tokenizer has {tokenizer.vocab_size} entries, the model only {info.vocab_size} rows."
            )
        if info.kind == "causal":
            tokenizer.mask_id = -1  # of a tokenizer that was made for another model
        elif tokenizer.mask_id < 0:
            raise UserError(f"{where}: the tokenizer has no mask token.")
        fingerprint = _hash([directory / CONFIG, *weights, *tokenizer_files(directory)])
        software = ", ".join(f"{name} {_version(name)}" for name in _COUNTING)
        return ModelFiles(directory, self.name, info, tokenizer, fingerprint, software=software)

    def load(self, files: ModelFiles, source: str) -> Backbone:
        """Start the process that holds the model, and return what stands for it here.

        Raises:
            UserError: for what mindnlp cannot load, and for weights that are missing.
        """
        from promptkit_mindnlp.model import MindNLPBackbone
        from promptkit_mindnlp.process import ModelProcess

        return MindNLPBackbone(files, source, ModelProcess(files.directory, files.info, source))


def _version(distribution: str) -> str:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _read_config(directory: Path) -> dict[str, Any]:
    where = f"model '{directory}'"
    try:
        found = json.loads((directory / CONFIG).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{where}: no {CONFIG} there.") from None
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{where}: {CONFIG} cannot be read ({str(error).splitlines()[0]}).") from None
    if not isinstance(found, dict):
        raise UserError(f"{where}: {CONFIG} holds no JSON object.")
    return found


def _weights_files(directory: Path, where: str) -> list[Path]:
    """Return the files that hold weights, and the index of several; a pickle can run code and is never loaded."""
    if (directory / WEIGHTS).is_file():
        return [directory / WEIGHTS]
    if not (directory / INDEX).is_file():
        raise UserError(f"{where}: no {WEIGHTS} there; other formats are not loaded.")
    try:
        names = sorted(set(json.loads((directory / INDEX).read_text(encoding="utf-8"))["weight_map"].values()))
        files = [directory / Path(name).name for name in names]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{where}: {INDEX} cannot be read ({type(error).__name__}).") from None
    for file in files:
        if not file.is_file():
            raise UserError(f"{where}: {INDEX} names {file.name}, which is not there.")
    return [directory / INDEX, *files]


def _hash(files: list[Path]) -> str:
    digest = hashlib.sha256()
    for path in files:
        digest.update(path.name.encode())
        hash_file(digest, path)
    return digest.hexdigest()[:16]
