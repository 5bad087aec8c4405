"""Tokenizers of decoders: byte-level BPE as a rule, with few special tokens or none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from promptkit.backbones.native.roberta.tokenizer import PAIR, byte_level
from promptkit.backbones.native.tokenizer import NativeTokenizer, fitting, read_backend, read_files
from promptkit.checking import read_json_object, read_text
from promptkit.errors import UserError

_SETTINGS = "tokenizer_config.json"
_CONFIG = "config.json"
_CHAT = "chat_template.jinja"
_NAMED = ("bos_token", "eos_token", "unk_token", "pad_token")


def tokenizer_files(directory: Path) -> list[Path]:
    """Return the files that the tokenizer is read from."""
    settings = [directory / name for name in (_SETTINGS, _CHAT) if (directory / name).is_file()]
    return [*read_files(directory, PAIR), *settings]


def load_tokenizer(directory: Path, vocab_size: int) -> NativeTokenizer:
    """Load `tokenizer.json`, or `vocab.json` with `merges.txt`, with the special tokens of `tokenizer_config.json`.

    Raises:
        UserError: if there is none, it cannot be read, or it has more entries than the model has rows.
    """
    where = f"model '{directory}'"
    backend, marks = read_backend(directory, others=PAIR, read_others=byte_level, marks_spaces=True)
    if not marks and backend.encode(" a ").ids != backend.encode("a").ids:
        raise UserError(
            f"{where}: its tokenizer puts a space in front of every text, as SentencePiece does for Llama 2; the "
            "parts of a template would be torn apart. Such models are not supported."
        )
    given = read_json_object(directory / _SETTINGS, where) if (directory / _SETTINGS).is_file() else {}
    if not given.get("eos_token"):
        given = given | _named_by_number(directory, backend, where)
    chat = read_text(directory / _CHAT) if (directory / _CHAT).is_file() else _chat_template(given)
    tokenizer = make_tokenizer(backend, given, marks_spaces=marks, where=where, chat_template=chat)
    return fitting(tokenizer, vocab_size, where)


def _named_by_number(directory: Path, backend: Any, where: str) -> dict[str, Any]:
    """Return the end-of-text token of a checkpoint whose configuration alone knows it, by its number."""
    number = (
        read_json_object(directory / _CONFIG, where).get("eos_token_id") if (directory / _CONFIG).is_file() else None
    )
    if isinstance(number, list):
        number = number[0] if number else None
    token = backend.id_to_token(number) if type(number) is int and number >= 0 else None
    return {} if token is None else {"eos_token": token}


def _chat_template(given: dict[str, Any]) -> str | None:
    """Return the template of a conversation; of several with names the one called `default`."""
    found = given.get("chat_template")
    if isinstance(found, list):
        named = {each.get("name"): each.get("template") for each in found if isinstance(each, dict)}
        found = named.get("default")
    return found if isinstance(found, str) else None


def make_tokenizer(
    backend: Any, given: dict[str, Any], *, marks_spaces: bool, where: str, chat_template: str | None = None
) -> NativeTokenizer:
    """Return a tokenizer with the special tokens that it has.

    What opens a text is what the backend itself puts in front of one. Where there is no padding token the one that
    ends a text stands for it: padding is never looked at.

    Args:
        backend: a `tokenizers.Tokenizer`.
        given: `bos_token`, `eos_token`, `pad_token`, `unk_token`: each a token, or an object with `content`.
        marks_spaces: see `NativeTokenizer`.
        where: how errors name the model.
        chat_template: see `NativeTokenizer`.
    """
    tokens: dict[str, str] = {}
    for key in _NAMED:
        token = given.get(key)
        token = token.get("content") if isinstance(token, dict) else token
        if isinstance(token, str) and backend.token_to_id(token) is not None:
            tokens[key] = token
    roles = (("sep", "eos_token"), ("pad", "pad_token"), ("unk", "unk_token"))
    special = {role: tokens[key] for role, key in roles if key in tokens}
    unknown = getattr(backend.model, "unk_token", None)
    if unknown and backend.token_to_id(unknown) is not None:
        special.setdefault("unk", unknown)
    if "sep" in special:
        special.setdefault("pad", special["sep"])
    plain, opened = (backend.encode("a", add_special_tokens=with_them).ids for with_them in (False, True))
    if plain and opened[: len(plain)] != plain:
        special["cls"] = str(backend.id_to_token(opened[0]))
    return NativeTokenizer(
        backend, special, marks_spaces=marks_spaces, where=where, chat_template=chat_template, chat_tokens=tokens
    )
