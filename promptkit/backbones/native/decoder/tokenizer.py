"""Tokenizers of decoders: byte-level BPE as a rule, with few special tokens or none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from promptkit.backbones.native.roberta.tokenizer import PAIR, byte_level
from promptkit.backbones.native.tokenizer import NativeTokenizer, fitting, read_backend, read_files
from promptkit.checking import read_json_object

_SETTINGS = "tokenizer_config.json"


def tokenizer_files(directory: Path) -> list[Path]:
    """Return the files that the tokenizer is read from."""
    settings = [directory / _SETTINGS] if (directory / _SETTINGS).is_file() else []
    return [*read_files(directory, PAIR), *settings]


def load_tokenizer(directory: Path, vocab_size: int) -> NativeTokenizer:
    """Load `tokenizer.json`, or `vocab.json` with `merges.txt`, with the special tokens of `tokenizer_config.json`.

    Raises:
        UserError: if there is none, it cannot be read, or it has more entries than the model has rows.
    """
    where = f"model '{directory}'"
    backend, marks = read_backend(directory, others=PAIR, read_others=byte_level, marks_spaces=True)
    given = read_json_object(directory / _SETTINGS, where) if (directory / _SETTINGS).is_file() else {}
    return fitting(make_tokenizer(backend, given, marks_spaces=marks, where=where), vocab_size, where)


def make_tokenizer(backend: Any, given: dict[str, Any], *, marks_spaces: bool, where: str) -> NativeTokenizer:
    """Return a tokenizer with the special tokens that it has.

    What opens a text is what the backend itself puts in front of one. Where there is no padding token the one that
    ends a text stands for it: padding is never looked at.

    Args:
        backend: a `tokenizers.Tokenizer`.
        given: `eos_token`, `pad_token`, `unk_token`: each a token, or an object with `content`.
        marks_spaces: see `NativeTokenizer`.
        where: how errors name the model.
    """
    special: dict[str, str] = {}
    for role, key in (("sep", "eos_token"), ("pad", "pad_token"), ("unk", "unk_token")):
        token = given.get(key)
        token = token.get("content") if isinstance(token, dict) else token
        if isinstance(token, str) and backend.token_to_id(token) is not None:
            special[role] = token
    unknown = getattr(backend.model, "unk_token", None)
    if unknown and backend.token_to_id(unknown) is not None:
        special.setdefault("unk", unknown)
    if "sep" in special:
        special.setdefault("pad", special["sep"])
    plain, opened = (backend.encode("a", add_special_tokens=with_them).ids for with_them in (False, True))
    if plain and opened[: len(plain)] != plain:
        special["cls"] = str(backend.id_to_token(opened[0]))
    return NativeTokenizer(backend, special, marks_spaces=marks_spaces, where=where)
