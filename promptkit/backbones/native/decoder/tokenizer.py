"""Tokenizers of decoders: byte-level BPE as a rule, with few special tokens or none."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from promptkit.backbones.native.checkpoint import CONFIG, SETTINGS
from promptkit.backbones.native.roberta.tokenizer import PAIR, byte_level
from promptkit.backbones.native.tokenizer import (
    FAST,
    NativeTokenizer,
    check_parts,
    fitting,
    opened_by,
    read_backend,
    read_files,
    read_if_there,
)
from promptkit.checking import read_text
from promptkit.errors import UserError

_GENERATION = "generation_config.json"
_CHAT = "chat_template.jinja"
# Of these transformers goes by `add_bos_token`, whatever `tokenizer.json` puts in front.
_LLAMA = ("LlamaTokenizer", "LlamaTokenizerFast")
_NAMED = ("bos_token", "eos_token", "unk_token", "pad_token")


def tokenizer_files(directory: Path) -> list[Path]:
    """Return the files that the tokenizer is read from."""
    settings = [directory / name for name in (SETTINGS, _CHAT, _GENERATION) if (directory / name).is_file()]
    return [*read_files(directory, PAIR), *settings]


def load_tokenizer(directory: Path, vocab_size: int) -> NativeTokenizer:
    """Load `tokenizer.json`, or `vocab.json` with `merges.txt`, with the special tokens of `tokenizer_config.json`.

    Raises:
        UserError: if there is none, it cannot be read, or it has more entries than the model has rows.
    """
    where = f"model '{directory}'"
    config = read_if_there(directory / CONFIG, where, nan=True)
    if not (directory / FAST).is_file() and config.get("model_type") not in (None, "gpt2"):
        raise UserError(
            f"{where} has no {FAST}, and how its texts are split is not told by other files. Save it with the fast "
            "tokenizer of transformers."
        )
    backend, marks = read_backend(directory, others=PAIR, read_others=byte_level, marks_spaces=True)
    check_parts(backend, marks, where)
    given, writing = (read_if_there(directory / name, where) for name in (SETTINGS, _GENERATION))
    ends = [token for each in (config, writing) for token in _named_by_number(each.get("eos_token_id"), backend)]
    if not given.get("eos_token") and ends:
        given = {**given, "eos_token": ends[0]}
    if given.get("tokenizer_class") in _LLAMA:
        opened_by(backend, _opening(given, backend))
    chat = read_text(directory / _CHAT) if (directory / _CHAT).is_file() else _chat_template(given)
    tokenizer = make_tokenizer(backend, given, marks_spaces=marks, where=where, chat_template=chat, ends=ends)
    return fitting(tokenizer, vocab_size, where)


def _named_by_number(numbers: Any, backend: Any) -> list[str]:
    """Return the tokens that a configuration gives by number: one or a list."""
    found = numbers if isinstance(numbers, list) else [numbers]
    tokens = (backend.id_to_token(number) for number in found if type(number) is int and 0 <= number < 2**32)
    return [token for token in tokens if token is not None]


def _opening(given: dict[str, Any], backend: Any) -> list[str]:
    """Return the token that opens texts, or none, as `add_bos_token` says; true is its default."""
    token = _content(given.get("bos_token"))
    if token is None or given.get("add_bos_token") is False or backend.token_to_id(token) is None:
        return []
    return [token]


def _content(token: Any) -> str | None:
    token = token.get("content") if isinstance(token, dict) else token
    return token if isinstance(token, str) else None


def _chat_template(given: dict[str, Any]) -> str | None:
    """Return the template of a conversation; of several with names the one called `default`."""
    found = given.get("chat_template")
    if isinstance(found, list):
        named = {each.get("name"): each.get("template") for each in found if isinstance(each, dict)}
        found = named.get("default")
    return found if isinstance(found, str) else None


def make_tokenizer(
    backend: Any,
    given: dict[str, Any],
    *,
    marks_spaces: bool,
    where: str,
    chat_template: str | None = None,
    ends: Sequence[str] = (),
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
        ends: tokens that end what the model writes, besides `eos_token`.
    """
    tokens: dict[str, str] = {}
    for key in _NAMED:
        token = _content(given.get(key))
        if token is not None and backend.token_to_id(token) is not None:
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
        backend, special, marks_spaces=marks_spaces, where=where, chat_template=chat_template, chat_tokens=tokens,
        ends=ends,
    )  # fmt: skip
