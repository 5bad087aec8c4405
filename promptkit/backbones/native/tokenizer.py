"""Tokenizers through the `tokenizers` library; fulfils `promptkit.backbones.face.Tokenizer`."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from promptkit.checking import read_json_object, read_text
from promptkit.errors import UserError

FAST = "tokenizer.json"


class NativeTokenizer:
    """Text -> token ids of one checkpoint.

    Args:
        backend: a `tokenizers.Tokenizer`.
        special: the special tokens by role, as many as the model has: `cls`, `sep`, `pad`, `mask`, `unk`.
        marks_spaces: True where a word's first piece differs after a space (byte-level BPE).
        where: how errors name the model.
        chat_template: the Jinja template of a conversation, or None.
        chat_tokens: the special tokens that it may name.
        ends: the tokens besides `sep` that end what the model writes.

    Attributes:
        cls_id, sep_id, pad_id, mask_id, unk_id: ids of the special tokens, -1 where there is none.
        marks_spaces, chat_template, chat_tokens: as given.
        vocab_size: number of entries.
        end_ids: ids of the tokens that end what the model writes, `sep_id` first; none where it has none.

    Raises:
        UserError: if the vocabulary lacks a special token.
    """

    def __init__(
        self,
        backend: Any,
        special: Mapping[str, str],
        *,
        marks_spaces: bool,
        where: str,
        chat_template: str | None = None,
        chat_tokens: Mapping[str, str] | None = None,
        ends: Sequence[str] = (),
    ) -> None:
        backend.no_truncation()
        backend.no_padding()
        # A text that happens to contain "[MASK]" is text: only the template makes special tokens.
        backend.encode_special_tokens = True
        if marks_spaces and backend.decoder is None:
            from tokenizers import decoders

            backend.decoder = decoders.ByteLevel()
        self._backend = backend
        self.marks_spaces = marks_spaces
        self.chat_template, self.chat_tokens = chat_template, dict(chat_tokens or {})
        self.vocab_size: int = backend.get_vocab_size()
        ids = dict.fromkeys(("cls", "sep", "pad", "mask", "unk"), -1)
        for role, token in special.items():
            number = backend.token_to_id(token)
            if number is None:
                raise UserError(f"{where}: the vocabulary has no {token}.")
            ids[role] = number
        self.cls_id, self.sep_id, self.mask_id, self.unk_id = ids["cls"], ids["sep"], ids["mask"], ids["unk"]
        ending = (self.sep_id, *(backend.token_to_id(token) for token in ends))
        self.end_ids = tuple(dict.fromkeys(number for number in ending if number is not None and number >= 0))
        self.pad_id = max(ids["pad"], 0)  # any will do: padding is never looked at

    def encode(self, text: str) -> list[int]:
        """Return the ids of a text, without special tokens."""
        return list(self._backend.encode(text, add_special_tokens=False).ids)

    def encode_many(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the ids of several texts, without special tokens."""
        return [list(e.ids) for e in self._backend.encode_batch(list(texts), add_special_tokens=False)]

    def encode_marked(self, text: str) -> list[int]:
        """Return the ids of a text in which special tokens are special; none is added."""
        self._backend.encode_special_tokens = False
        try:
            return self.encode(text)
        finally:
            self._backend.encode_special_tokens = True

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of ids, special tokens left out; a character that is not whole is U+FFFD."""
        return str(self._backend.decode(list(ids), skip_special_tokens=True))

    def token(self, id: int) -> str:
        """Return the piece with an id."""
        return str(self._backend.id_to_token(id))


def fast_backend(directory: Path, where: str) -> tuple[Any, bool]:
    """Return the backend that `tokenizer.json` describes, and whether it marks spaces (byte-level BPE).

    Raises:
        UserError: if the file cannot be read.
    """
    import tokenizers

    try:
        text = read_text(directory / FAST)
        marks = '"ByteLevel"' in json.dumps(json.loads(text)["pre_tokenizer"])
        return tokenizers.Tokenizer.from_str(text), marks
    except UserError:
        raise
    except Exception as error:  # the library raises bare Exception for a broken file
        raise UserError(f"{where}: {FAST} cannot be read ({error}).") from None


def read_if_there(path: Path, where: str, *, nan: bool = False) -> dict[str, Any]:
    """Return the object that a JSON file holds, an empty one where there is no file; see `read_json_object`."""
    return read_json_object(path, where, nan=nan) if path.is_file() else {}


def opened_by(backend: Any, front: Sequence[str]) -> None:
    """Have a backend that is asked for special tokens put these in front of a text, and no others around it."""
    from tokenizers.processors import TemplateProcessing

    backend.post_processor = TemplateProcessing(
        single=[*front, "$A"], special_tokens=[(token, backend.token_to_id(token)) for token in front]
    )


def read_files(directory: Path, others: Sequence[str]) -> list[Path]:
    """Return the files that a tokenizer is read from: `tokenizer.json`, or those of the others that are there."""
    names = (FAST,) if (directory / FAST).is_file() else others
    return [directory / name for name in names if (directory / name).is_file()]


def read_tokenizer(
    directory: Path,
    vocab_size: int,
    special: Mapping[str, str],
    *,
    others: Sequence[str],
    read_others: Callable[[Path, str], Any],
    marks_spaces: bool,
) -> NativeTokenizer:
    """Return the tokenizer of `tokenizer.json`, or of the files that an architecture keeps in its place.

    Args:
        directory: of the checkpoint.
        vocab_size: rows of the model.
        special: see `NativeTokenizer`.
        others: names of those files; all must be there.
        read_others: returns the backend they describe, from the directory and how errors name the model.
        marks_spaces: whether that backend marks spaces.

    Raises:
        UserError: if none is there, one cannot be read, or the tokenizer has more entries than the model has rows.
    """
    backend, marks = read_backend(directory, others=others, read_others=read_others, marks_spaces=marks_spaces)
    where = f"model '{directory}'"
    check_parts(backend, marks, where)
    return fitting(NativeTokenizer(backend, special, marks_spaces=marks, where=where), vocab_size, where)


def check_parts(backend: Any, marks_spaces: bool, where: str) -> None:
    """Refuse a backend that cannot encode a template part by part.

    Raises:
        UserError: if it puts a space in front of every text, or has no token for what it does not know.
    """
    try:
        backend.encode("\U00012000", add_special_tokens=False)  # cuneiform, which no vocabulary has
        plain = backend.encode("a", add_special_tokens=False)
        spaced = backend.encode(" a ", add_special_tokens=False)
    except Exception as error:  # the library raises bare Exception
        raise UserError(f"{where}: its tokenizer cannot encode every text ({error}).") from None
    if any(token.startswith("Ġ") for token in plain.tokens) if marks_spaces else spaced.ids != plain.ids:
        raise UserError(
            f"{where}: its tokenizer puts a space in front of every text, as SentencePiece does for Llama 2; the "
            "parts of a template would be torn apart. Such models are not supported."
        )


def read_backend(
    directory: Path, *, others: Sequence[str], read_others: Callable[[Path, str], Any], marks_spaces: bool
) -> tuple[Any, bool]:
    """Return the backend alone, and whether it marks spaces; see `read_tokenizer`."""
    where = f"model '{directory}'"
    if (directory / FAST).is_file():
        return fast_backend(directory, where)
    if all((directory / name).is_file() for name in others):
        return read_others(directory, where), marks_spaces
    raise UserError(f"{where}: no {FAST} or {' + '.join(others)} there.")


def fitting(tokenizer: NativeTokenizer, vocab_size: int, where: str) -> NativeTokenizer:
    """Return a tokenizer that the model has a row for every entry of.

    Raises:
        UserError: if it has more entries.
    """
    if tokenizer.vocab_size > vocab_size:
        raise UserError(
            f"{where}: the tokenizer has {tokenizer.vocab_size} entries, the model only {vocab_size} rows."
        )
    return tokenizer
