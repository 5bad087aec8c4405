"""RoBERTa's tokenizer: byte-level BPE, from `tokenizer.json` or `vocab.json` with `merges.txt`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from promptkit.backbones.native.tokenizer import FAST, NativeTokenizer, check_rows, fast_backend
from promptkit.errors import UserError

SPECIAL = {"cls": "<s>", "sep": "</s>", "pad": "<pad>", "mask": "<mask>", "unk": "<unk>"}
_PAIR = ("vocab.json", "merges.txt")


def tokenizer_files(directory: Path) -> list[Path]:
    """Return the files that the tokenizer is read from."""
    names = (FAST,) if (directory / FAST).is_file() else _PAIR
    return [directory / name for name in names if (directory / name).is_file()]


def load_tokenizer(directory: Path, vocab_size: int) -> NativeTokenizer:
    """Load the tokenizer.

    Raises:
        UserError: if none is there, one cannot be read, or it has more entries than the model has rows.
    """
    where = f"model '{directory}'"
    if (directory / FAST).is_file():
        backend, marks = fast_backend(directory, where)
    elif all((directory / name).is_file() for name in _PAIR):
        backend, marks = _byte_level(directory, where), True
    else:
        raise UserError(f"{where}: no {FAST} or {' + '.join(_PAIR)} there.")
    return check_rows(NativeTokenizer(backend, SPECIAL, marks_spaces=marks, where=where), vocab_size, where)


def _byte_level(directory: Path, where: str) -> Any:
    import tokenizers

    vocabulary, merges = (str(directory / name) for name in _PAIR)
    try:
        return tokenizers.ByteLevelBPETokenizer(vocabulary, merges)._tokenizer
    except Exception as error:  # the library raises bare Exception for a broken file
        raise UserError(f"{where}: {_PAIR[0]} or {_PAIR[1]} cannot be read ({error}).") from None
