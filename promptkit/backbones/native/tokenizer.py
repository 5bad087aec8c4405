"""Tokenizers of the supported checkpoints, through the `tokenizers` library.

Implements `promptkit.prompting.TokenizerFace`: ids without special tokens, and the special ids by name.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from promptkit.errors import UserError

_SPECIAL = {
    "bert": {"cls": "[CLS]", "sep": "[SEP]", "pad": "[PAD]", "mask": "[MASK]", "unk": "[UNK]"},
    "roberta": {"cls": "<s>", "sep": "</s>", "pad": "<pad>", "mask": "<mask>", "unk": "<unk>"},
}


class Tokenizer:
    """Text -> token ids of one checkpoint.

    Attributes:
        cls_id, sep_id, pad_id, mask_id, unk_id: ids of the special tokens.
        marks_spaces: True where a word's first piece differs after a space (byte-level BPE).
        vocab_size: number of entries.
    """

    def __init__(self, backend: Any, architecture: str, *, marks_spaces: bool, where: str = "tokenizer") -> None:
        backend.no_truncation()
        backend.no_padding()
        # A text that happens to contain "[MASK]" is text: only the template makes special tokens.
        backend.encode_special_tokens = True
        self._backend = backend
        self.marks_spaces = marks_spaces
        self.vocab_size: int = backend.get_vocab_size()
        ids = {}
        for role, token in _SPECIAL[architecture].items():
            number = backend.token_to_id(token)
            if number is None:
                raise UserError(f"{where}: the vocabulary has no {token}.")
            ids[role] = number
        self.cls_id, self.sep_id, self.pad_id = ids["cls"], ids["sep"], ids["pad"]
        self.mask_id, self.unk_id = ids["mask"], ids["unk"]

    def encode(self, text: str) -> list[int]:
        """Return the ids of a text, without special tokens."""
        return list(self._backend.encode(text, add_special_tokens=False).ids)

    def encode_many(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the ids of several texts, without special tokens."""
        return [list(e.ids) for e in self._backend.encode_batch(list(texts), add_special_tokens=False)]

    def token(self, number: int) -> str:
        """Return the piece with an id."""
        return str(self._backend.id_to_token(number))


def load_tokenizer(directory: Path, architecture: str, vocab_size: int) -> Tokenizer:
    """Load `tokenizer.json`, or `vocab.txt` (BERT), or `vocab.json` with `merges.txt` (RoBERTa).

    Raises:
        UserError: if none is there, one cannot be read, or it has more entries than the model has rows.
    """
    where = f"model '{directory}'"
    backend, kind = _backend(directory, architecture, where)
    tokenizer = Tokenizer(backend, architecture, marks_spaces=kind == "ByteLevel", where=where)
    if tokenizer.vocab_size > vocab_size:
        raise UserError(
            f"{where}: the tokenizer has {tokenizer.vocab_size} entries, the model only {vocab_size} rows."
        )
    return tokenizer


def _backend(directory: Path, architecture: str, where: str) -> tuple[Any, str]:
    import tokenizers

    fast = directory / "tokenizer.json"
    vocab_txt = directory / "vocab.txt"
    vocab_json, merges = directory / "vocab.json", directory / "merges.txt"
    try:
        if fast.is_file():
            text = fast.read_text(encoding="utf-8")
            kind = "ByteLevel" if '"ByteLevel"' in json.dumps(json.loads(text)["pre_tokenizer"]) else ""
            return tokenizers.Tokenizer.from_str(text), kind
        if architecture == "bert" and vocab_txt.is_file():
            wordpiece = tokenizers.BertWordPieceTokenizer(str(vocab_txt), lowercase=_lower_cases(directory))
            return wordpiece._tokenizer, ""
        if architecture == "roberta" and vocab_json.is_file() and merges.is_file():
            bpe = tokenizers.ByteLevelBPETokenizer(str(vocab_json), str(merges))
            return bpe._tokenizer, "ByteLevel"
    except Exception as error:  # the library raises bare Exception for a broken file
        raise UserError(f"{where}: the tokenizer cannot be read ({error}).") from None
    wanted = "tokenizer.json or vocab.txt" if architecture == "bert" else "tokenizer.json or vocab.json + merges.txt"
    raise UserError(f"{where}: no {wanted} there.")


def _lower_cases(directory: Path) -> bool:
    """Whether the tokenizer is uncased; `tokenizer_config.json` says so, and BERT's own default is yes."""
    path = directory / "tokenizer_config.json"
    if not path.is_file():
        return True
    return bool(json.loads(path.read_text(encoding="utf-8")).get("do_lower_case", True))
