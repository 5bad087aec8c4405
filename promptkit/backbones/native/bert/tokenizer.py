"""BERT's tokenizer: WordPiece, from `tokenizer.json` or `vocab.txt`."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from promptkit.backbones.native.tokenizer import NativeTokenizer, read_files, read_tokenizer
from promptkit.checking import CheckedModel, checked, read_json_object, read_text
from promptkit.errors import UserError

SPECIAL = {"cls": "[CLS]", "sep": "[SEP]", "pad": "[PAD]", "mask": "[MASK]", "unk": "[UNK]"}
_VOCABULARY, _SETTINGS = "vocab.txt", "tokenizer_config.json"


class Settings(CheckedModel):
    """What of `tokenizer_config.json` decides how a text is split; null where accents go as capitals do."""

    do_lower_case: bool = True
    tokenize_chinese_chars: bool = True
    strip_accents: bool | None = None


def tokenizer_files(directory: Path) -> list[Path]:
    """Return the files that the tokenizer is read from."""
    return read_files(directory, (_VOCABULARY, _SETTINGS))


def load_tokenizer(directory: Path, vocab_size: int) -> NativeTokenizer:
    """Load `tokenizer.json`, or `vocab.txt` with the settings of `tokenizer_config.json`; see `read_tokenizer`."""
    return read_tokenizer(
        directory, vocab_size, SPECIAL, others=(_VOCABULARY,), read_others=_wordpiece, marks_spaces=False
    )


def _wordpiece(directory: Path, where: str) -> Any:
    import tokenizers

    path = directory / _VOCABULARY
    found = f"{where}: {_SETTINGS}"
    given = read_json_object(directory / _SETTINGS, found) if (directory / _SETTINGS).exists() else {}
    settings = checked(Settings, given, found)
    try:
        lines = read_text(path).split("\n")
        vocabulary = lines[:-1] if lines[-1] == "" else lines
        doubled = [piece for piece, count in Counter(vocabulary).items() if count > 1]
        if doubled:
            raise UserError(f"{where}: {_VOCABULARY} has the line {doubled[0][:40]!r} twice.")
        made = tokenizers.BertWordPieceTokenizer(
            {piece: number for number, piece in enumerate(vocabulary)},
            lowercase=settings.do_lower_case,
            handle_chinese_chars=settings.tokenize_chinese_chars,
            strip_accents=settings.strip_accents,
        )
    except UserError:
        raise
    except Exception as error:  # the library raises bare Exception for a broken vocabulary
        raise UserError(f"{where}: {_VOCABULARY} cannot be read ({error}).") from None
    return made._tokenizer
