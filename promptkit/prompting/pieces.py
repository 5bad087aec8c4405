"""The pieces of a vocabulary, and how people read them."""

from __future__ import annotations

from functools import cache
from typing import Any

from promptkit.backbones.face import Tokenizer
from promptkit.checking import is_mark

Pieces = tuple[int, ...]
"""Ids of a vocabulary, in the order in which they stand."""
_MARKS = str.maketrans({" ": "Ġ", "\n": "Ċ", "\r": "č", "\t": "ĉ"})


def readable_piece(tokenizer: Tokenizer, piece: int) -> str:
    """Return a piece as text, with white space as byte-level BPE marks it: `Ġgreat`, `评论` for `è¯Ħè®º`.

    A piece that is only a part of a character stays as the vocabulary has it; other white space, such as that of
    Chinese, is shown by its number.
    """
    text = _spelling(tokenizer, piece)
    if text is None:
        return tokenizer.token(piece)
    return "".join(f"U+{ord(char):04X}" if char.isspace() else char for char in text.translate(_MARKS))


def whole_word(tokenizer: Tokenizer, piece: int) -> str:
    """Return the word that a piece is, without the space before it, or "" for what is none.

    Letters alone are a word, of any script; a part of a character is none, nor is a continuation that the vocabulary
    marks as one (`##ing`).
    """
    word = (_spelling(tokenizer, piece) or "").removeprefix(" ").removeprefix("▁")
    return word if word[:1].isalpha() and all(char.isalpha() or is_mark(char) for char in word) else ""


def _spelling(tokenizer: Tokenizer, piece: int) -> str | None:
    """Return what a piece of a byte-level vocabulary stands for, or None for a part of a character; others as is."""
    token = tokenizer.token(piece)
    if not tokenizer.marks_spaces or token.isascii():
        return token
    text: str = _byte_level().decode([token])
    return None if "\ufffd" in text else text


@cache
def _byte_level() -> Any:
    from tokenizers.decoders import ByteLevel

    return ByteLevel()
