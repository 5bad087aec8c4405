"""The pieces of a vocabulary as people read them."""

from __future__ import annotations

from promptkit.backbones.face import Tokenizer

_MARKS = str.maketrans({" ": "Ġ", "\n": "Ċ", "\r": "č", "\t": "ĉ"})


def readable(tokenizer: Tokenizer, piece: int) -> str:
    """Return a piece as text, with white space as byte-level BPE marks it: `Ġgreat`, `评论` for `è¯Ħè®º`.

    A piece that is only a part of a character stays as the vocabulary has it.
    """
    token = tokenizer.token(piece)
    if not tokenizer.marks_spaces or token.isascii():
        return token
    from tokenizers.decoders import ByteLevel

    text: str = ByteLevel().decode([token])
    return token if "\ufffd" in text else text.translate(_MARKS)
