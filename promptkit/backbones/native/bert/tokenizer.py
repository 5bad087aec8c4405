"""BERT's tokenizer: WordPiece, from `tokenizer.json` or `vocab.txt`."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from promptkit.backbones.native.reading import Fields, read_object
from promptkit.backbones.native.tokenizer import FAST, NativeTokenizer, check_rows, fast_backend
from promptkit.errors import UserError

SPECIAL = {"cls": "[CLS]", "sep": "[SEP]", "pad": "[PAD]", "mask": "[MASK]", "unk": "[UNK]"}
_VOCABULARY, _SETTINGS = "vocab.txt", "tokenizer_config.json"


def tokenizer_files(directory: Path) -> list[Path]:
    """Return the files that the tokenizer is read from."""
    names = (FAST,) if (directory / FAST).is_file() else (_VOCABULARY, _SETTINGS)
    return [directory / name for name in names if (directory / name).is_file()]


def load_tokenizer(directory: Path, vocab_size: int) -> NativeTokenizer:
    """Load `tokenizer.json`, or `vocab.txt` with the settings of `tokenizer_config.json`.

    Raises:
        UserError: if none is there, one cannot be read, or it has more entries than the model has rows.
    """
    where = f"model '{directory}'"
    if (directory / FAST).is_file():
        backend, marks = fast_backend(directory, where)
    elif (directory / _VOCABULARY).is_file():
        backend, marks = _wordpiece(directory, where), False
    else:
        raise UserError(f"{where}: no {FAST} or {_VOCABULARY} there.")
    return check_rows(NativeTokenizer(backend, SPECIAL, marks_spaces=marks, where=where), vocab_size, where)


def _wordpiece(directory: Path, where: str) -> Any:
    import tokenizers

    path = directory / _VOCABULARY
    settings = Fields(read_object(directory / _SETTINGS, where, missing={}), f"{where}: {_SETTINGS}")
    lowercase = settings.flag("do_lower_case", True)
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
        vocabulary = lines[:-1] if lines[-1] == "" else lines
        doubled = [piece for piece, count in Counter(vocabulary).items() if count > 1]
        if doubled:
            raise UserError(f"{where}: {_VOCABULARY} has the line {doubled[0][:40]!r} twice.")
        made = tokenizers.BertWordPieceTokenizer(
            {piece: number for number, piece in enumerate(vocabulary)},
            lowercase=lowercase,
            handle_chinese_chars=settings.flag("tokenize_chinese_chars", True),
            # Not said, or null: accents go where capitals do (transformers, BertTokenizer).
            strip_accents=settings.flag_or_none("strip_accents"),
        )
    except UserError:
        raise
    except Exception as error:  # the library raises bare Exception for a broken vocabulary
        raise UserError(f"{where}: {_VOCABULARY} cannot be read ({error}).") from None
    return made._tokenizer
