"""BERT's tokenizer: WordPiece, from `tokenizer.json` or `vocab.txt`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from pathlib import Path
from typing import Any

from promptkit.backbones.native.checkpoint import SETTINGS
from promptkit.backbones.native.tokenizer import NativeTokenizer, read_files, read_if_there, read_tokenizer
from promptkit.checking import CheckedModel, checked, cut, read_text
from promptkit.errors import UserError

SPECIAL = {"cls": "[CLS]", "sep": "[SEP]", "pad": "[PAD]", "mask": "[MASK]", "unk": "[UNK]"}
_VOCABULARY, _ADDED = "vocab.txt", "added_tokens.json"
_CLASSES = tuple(f"{name}Tokenizer{fast}" for name in ("Bert", "DistilBert", "Electra") for fast in ("", "Fast"))


class Settings(CheckedModel):
    """What of `tokenizer_config.json` decides how a text is split; null where accents go as capitals do."""

    do_lower_case: bool = True
    tokenize_chinese_chars: bool = True
    strip_accents: bool | None = None
    tokenizer_class: str | None = None
    word_tokenizer_type: str | None = None
    subword_tokenizer_type: str | None = None
    do_basic_tokenize: bool | None = None


def tokenizer_files(directory: Path) -> list[Path]:
    """Return the files that the tokenizer is read from."""
    return read_files(directory, (_VOCABULARY, SETTINGS))


def load_tokenizer(directory: Path, vocab_size: int) -> NativeTokenizer:
    """Load `tokenizer.json`, or `vocab.txt` with the settings of `tokenizer_config.json`; see `read_tokenizer`."""
    return read_tokenizer(
        directory, vocab_size, SPECIAL, others=(_VOCABULARY,), read_others=_wordpiece, marks_spaces=False
    )


def _check_splitting(settings: Settings, where: str) -> None:
    """Refuse a vocabulary whose texts are not split as BERT's are: every score would be of other words."""
    others = {
        "tokenizer_class": settings.tokenizer_class not in (None, *_CLASSES) and settings.tokenizer_class,
        "word_tokenizer_type": settings.word_tokenizer_type not in (None, "basic") and settings.word_tokenizer_type,
        "subword_tokenizer_type": settings.subword_tokenizer_type not in (None, "wordpiece")
        and settings.subword_tokenizer_type,
        "do_basic_tokenize": settings.do_basic_tokenize is False and "false",
    }
    for name, value in others.items():
        if value:
            raise UserError(
                f"{where}: {name} is {cut(str(value))}, and how that splits texts {_VOCABULARY} alone does not tell. "
                "Save the model with the fast tokenizer of transformers, tokenizer.json."
            )


def _check_added(directory: Path, where: str, vocabulary: Collection[str]) -> None:
    """Refuse words that are added to the vocabulary; many a checkpoint has the file with none in it."""
    for word in read_if_there(directory / _ADDED, f"{where}: {_ADDED}"):
        if word not in vocabulary:
            raise UserError(
                f"{where}: {_ADDED} adds {cut(word)!r} to {_VOCABULARY}; save the model with tokenizer.json."
            )


def _wordpiece(directory: Path, where: str) -> Any:
    import tokenizers

    path = directory / _VOCABULARY
    found = f"{where}: {SETTINGS}"
    settings = checked(Settings, read_if_there(directory / SETTINGS, found), found)
    _check_splitting(settings, found)
    try:
        lines = [line.removesuffix("\r") for line in read_text(path).split("\n")]
        vocabulary = lines[:-1] if lines[-1] == "" else lines
        _check_added(directory, where, set(vocabulary))
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
