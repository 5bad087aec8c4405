"""RoBERTa's tokenizer: byte-level BPE, from `tokenizer.json` or `vocab.json` with `merges.txt`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from promptkit.backbones.native.tokenizer import NativeTokenizer, read_files, read_tokenizer
from promptkit.errors import UserError

SPECIAL = {"cls": "<s>", "sep": "</s>", "pad": "<pad>", "mask": "<mask>", "unk": "<unk>"}
PAIR = ("vocab.json", "merges.txt")


def tokenizer_files(directory: Path) -> list[Path]:
    """Return the files that the tokenizer is read from."""
    return read_files(directory, PAIR)


def load_tokenizer(directory: Path, vocab_size: int) -> NativeTokenizer:
    """Load `tokenizer.json`, or `vocab.json` with `merges.txt`; see `read_tokenizer`."""
    return read_tokenizer(directory, vocab_size, SPECIAL, others=PAIR, read_others=byte_level, marks_spaces=True)


def byte_level(directory: Path, where: str) -> Any:
    """Return the backend that `vocab.json` and `merges.txt` describe.

    Raises:
        UserError: if one cannot be read.
    """
    import tokenizers

    vocabulary, merges = (str(directory / name) for name in PAIR)
    try:
        return tokenizers.ByteLevelBPETokenizer(vocabulary, merges)._tokenizer
    except Exception as error:  # the library raises bare Exception for a broken file
        raise UserError(f"{where}: {PAIR[0]} or {PAIR[1]} cannot be read ({error}).") from None
