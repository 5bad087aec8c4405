"""From what the user calls a model to the directory it lies in. Touches the network only when asked to."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from promptkit.backbones.engines import describe_model
from promptkit.backbones.face import Engine
from promptkit.errors import UserError, did_you_mean, unknown

Registry = Mapping[str, Callable[[], Path]]
_HUB_FILES = [
    "config.json", "model.safetensors", "model-*.safetensors", "model.safetensors.index.json", "tokenizer.json",
    "tokenizer_config.json", "vocab.txt", "vocab.json", "merges.txt",
]  # fmt: skip


@dataclass(frozen=True)
class ModelCard:
    """A model for the listing."""

    name: str
    architecture: str
    engine: str
    summary: str


def shipped_root() -> Path:
    """Return the folder of the models inside the package."""
    return Path(__file__).resolve().parents[1] / "models"


def list_models(registry: Registry | None = None, engines: Mapping[str, Engine] | None = None) -> list[ModelCard]:
    """Return the shipped models, described by the engine that takes them, and those of plugins."""
    cards = []
    for directory in sorted(p for p in shipped_root().iterdir() if (p / "config.json").is_file()):
        if not engines:
            cards.append(ModelCard(directory.name, "", "", "no engine is installed"))
            continue
        files = describe_model(directory, engines)
        info = files.info
        shape = f"{info.layers} layers, {info.hidden_size} wide, {info.vocab_size} pieces"
        cards.append(ModelCard(directory.name, info.architecture, files.engine, shape))
    cards.extend(ModelCard(name, "", "", "from a plugin") for name in sorted(registry or {}))
    return cards


def find_model(
    name: str, *, registry: Registry | None = None, download: bool = False, mirror: str | None = None
) -> Path:
    """Return the checkpoint directory, or the GGUF file, for a model's name.

    Args:
        name: a shipped or registered name, a directory, a `.gguf` file, or a Hub id such as
            `google-bert/bert-base-uncased`, or `bert-base-chinese`, for the oldest ones have no owner.
        registry: models that plugins registered.
        download: whether a Hub id may be fetched; without it only the local Hub cache is looked at.
        mirror: base URL of a Hub mirror; asking for one asks for the download as well.

    Raises:
        UserError: for a name that is none of these, or a download that fails.
    """
    registered = registry or {}
    shipped = shipped_root() / name
    if re.fullmatch(r"[\w.-]+", name) and (shipped / "config.json").is_file():
        return shipped
    if name in registered:
        return registered[name]()
    path = Path(name).expanduser()
    if path.is_dir() or (path.is_file() and path.suffix == ".gguf"):
        return path
    if path.is_file():
        raise UserError(f"model '{name}' is a file, and no GGUF one; give the checkpoint's directory.")
    known = [card.name for card in list_models(registered)]
    if not re.fullmatch(r"([\w.-]+/)?[\w.-]+", name):
        raise unknown("model", name, known)
    if "/" in name or download or mirror is not None:
        near = "" if "/" in name else did_you_mean(name, known)
        return _from_hub(name, download=download or mirror is not None, mirror=mirror, hint=near)
    try:
        return _from_hub(name, download=False, mirror=None)
    except UserError:
        raise UserError(f"{unknown('model', name, known)} If it is a model of the Hub, add --download.") from None


def _from_hub(name: str, *, download: bool, mirror: str | None, hint: str = "") -> Path:
    """Return the folder of a Hub model; `hint` ends the error of a download that fails."""
    try:
        from huggingface_hub import snapshot_download
    except ImportError:
        raise UserError(f"model '{name}': a Hub id needs the package huggingface_hub.") from None
    try:
        found = snapshot_download(name, allow_patterns=_HUB_FILES, local_files_only=not download, endpoint=mirror)
    except Exception as error:  # the client raises a dozen kinds, of several libraries
        if not download:
            raise UserError(
                f"model '{name}' is no directory and not in the local Hub cache; add --download to fetch it "
                "(--mirror URL for another host)."
            ) from None
        reason = str(error).split("\n")[0][:200]
        raise UserError(f"model '{name}' could not be downloaded: {reason.rstrip('.')}.{hint}") from None
    return Path(found)
