"""Tokenizers through the `tokenizers` library; fulfils `promptkit.backbones.face.Tokenizer`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from promptkit import UserError

FAST, VOCABULARY = "tokenizer.json", "vocab.txt"
_SETTINGS = ("tokenizer_config.json", "special_tokens_map.json")
_KEYS = {
    "cls": ("cls_token", "bos_token"),
    "sep": ("sep_token", "eos_token"),
    "pad": ("pad_token",),
    "mask": ("mask_token",),
    "unk": ("unk_token",),
}
_USUAL = {
    "cls": ("[CLS]", "<s>", "<cls>", "</s>"),
    "sep": ("[SEP]", "</s>", "<sep>", "<|endoftext|>"),
    "pad": ("[PAD]", "<pad>"),
    "mask": ("[MASK]", "<mask>"),
    "unk": ("[UNK]", "<unk>"),
}


_OTHERWISE = ("BertJapaneseTokenizer", "RoFormerTokenizer", "BertweetTokenizer")  # than by WordPiece alone


class FastTokenizer:
    """Text -> token ids of one checkpoint.

    Args:
        backend: a `tokenizers.Tokenizer`.
        named: special tokens by role (`cls`, `sep`, `pad`, `mask`, `unk`), as the checkpoint's files name them.

    Attributes:
        cls_id, sep_id, pad_id, mask_id, unk_id: ids of the special tokens, -1 where there is none; padding is never
            looked at, so that any id, 0, does.
        marks_spaces: True where a word's first piece differs after a space (byte-level BPE).
        vocab_size: number of entries.
    """

    def __init__(self, backend: Any, named: Mapping[str, str]) -> None:
        backend.no_truncation()
        backend.no_padding()
        self._framed: list[int] = backend.encode("a", add_special_tokens=True).ids
        # A text that happens to contain "[MASK]" is text: only the template makes special tokens.
        backend.encode_special_tokens = True
        self._backend = backend
        self._instead: dict[int, list[int]] = {}
        self.vocab_size: int = backend.get_vocab_size()
        plain, spaced = self.encode("a"), self.encode(" a")
        # Where a word gets its mark with and without a space ("▁a"), there is nothing to tell apart.
        self.marks_spaces = plain != spaced and len(plain) == len(spaced)
        ids = {role: self._id(role, named) for role in _KEYS}
        self.mask_id, self.unk_id = ids["mask"], ids["unk"]
        self.pad_id = max(ids["pad"], 0)
        # What the tokenizer itself puts around a text counts for more than names do.
        before, behind = _around(self._framed, plain)
        self.cls_id = before if before is not None else (ids["cls"] if self.mask_id >= 0 else -1)
        self.sep_id = behind if behind is not None else ids["sep"]
        # Unigram models have special tokens among their pieces, and would find them in a text all the same.
        unknown = [self.unk_id] if self.unk_id >= 0 else []
        self._instead = {id: unknown for id in (self.cls_id, self.sep_id, ids["pad"], self.mask_id) if id >= 0}

    def _id(self, role: str, named: Mapping[str, str]) -> int:
        for token in (named.get(role), *_USUAL[role]):
            found = None if token is None else self._backend.token_to_id(token)
            if found is not None:
                return int(found)
        return -1

    def encode(self, text: str) -> list[int]:
        """Return the ids of a text, without special tokens."""
        return self._text(self._backend.encode(text, add_special_tokens=False).ids)

    def encode_many(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the ids of several texts, without special tokens."""
        return [self._text(each.ids) for each in self._backend.encode_batch(list(texts), add_special_tokens=False)]

    def _text(self, ids: list[int]) -> list[int]:
        if self._instead.keys().isdisjoint(ids):
            return list(ids)
        return [kept for id in ids for kept in self._instead.get(id, [id])]

    def token(self, id: int) -> str:
        """Return the piece with an id."""
        return str(self._backend.id_to_token(id))


def _around(framed: Sequence[int], plain: Sequence[int]) -> tuple[int | None, int | None]:
    """Return the ids directly in front of a text and behind it, None for none."""
    for start in range(len(framed) - len(plain) + 1):
        if plain and list(framed[start : start + len(plain)]) == list(plain):
            end = start + len(plain)
            return (framed[start - 1] if start else None), (framed[end] if end < len(framed) else None)
    return None, None


def tokenizer_files(directory: Path) -> list[Path]:
    """Return the files that the tokenizer is read from."""
    first = FAST if (directory / FAST).is_file() else VOCABULARY
    return [directory / name for name in (first, *_SETTINGS) if (directory / name).is_file()]


def load_tokenizer(directory: Path, where: str) -> FastTokenizer:
    """Load `tokenizer.json`, or the WordPieces of `vocab.txt`, with the special tokens that files beside it name.

    Args:
        directory: of the checkpoint.
        where: how errors name the model.

    Raises:
        UserError: if there is none, or one cannot be read.
    """
    import tokenizers

    settings: dict[str, Any] = {}
    for name in reversed(_SETTINGS):
        if (directory / name).is_file():
            settings |= _read_object(directory / name, where)
    try:
        if (directory / FAST).is_file():
            backend = tokenizers.Tokenizer.from_str((directory / FAST).read_text(encoding="utf-8"))
        elif (directory / VOCABULARY).is_file():
            backend = _word_pieces(directory / VOCABULARY, settings)
        else:
            raise UserError(
                f"{where}: no {FAST} or {VOCABULARY} there; transformers writes {FAST}: "
                "AutoTokenizer.from_pretrained(model).save_pretrained(folder)."
            )
        named = {role: token for role, keys in _KEYS.items() if (token := _first(settings, keys))}
        tokenizer = FastTokenizer(backend, named)
        tokenizer.encode("\U00012000")  # cuneiform, which no vocabulary has and some have no token for
    except UserError:
        raise
    except Exception as error:  # the library raises bare Exception
        raise UserError(f"{where}: the tokenizer cannot be used ({str(error).splitlines()[0]}).") from None
    if not tokenizer.marks_spaces and tokenizer.encode(" a") != tokenizer.encode("a"):
        raise UserError(
            f"{where}: its tokenizer puts a space in front of every text, as SentencePiece does for Llama 2; the "
            "parts of a template would be torn apart. Such models are not supported."
        )
    return tokenizer


def _word_pieces(path: Path, settings: Mapping[str, Any]) -> Any:
    """Return the backend over a list of WordPieces, with the splitting that `tokenizer_config.json` asks for."""
    from tokenizers import BertWordPieceTokenizer

    odd = {
        "tokenizer_class": settings.get("tokenizer_class") in _OTHERWISE,
        "word_tokenizer_type": settings.get("word_tokenizer_type") not in (None, "basic"),
        "subword_tokenizer_type": settings.get("subword_tokenizer_type") not in (None, "wordpiece"),
        "do_basic_tokenize": settings.get("do_basic_tokenize") is False,
    }
    for name in (name for name, is_so in odd.items() if is_so):
        raise UserError(f"{path}: {name} is {settings[name]}, so texts are split otherwise; save {FAST}.")
    lower = bool(settings.get("do_lower_case", True))
    accents = settings.get("strip_accents")
    lines = path.read_text(encoding="utf-8").rstrip("\n").split("\n")
    vocabulary = {line.rstrip("\r"): number for number, line in enumerate(lines)}
    maker = BertWordPieceTokenizer(
        vocabulary,
        handle_chinese_chars=bool(settings.get("tokenize_chinese_chars", True)),
        strip_accents=accents if isinstance(accents, bool) else None,
        lowercase=lower,
    )
    return maker._tokenizer


def _first(settings: Mapping[str, Any], keys: Sequence[str]) -> str | None:
    for key in keys:
        token = settings.get(key)
        token = token.get("content") if isinstance(token, dict) else token
        if isinstance(token, str) and token:
            return token
    return None


def _read_object(path: Path, where: str) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{where}: {path.name} cannot be read ({str(error).splitlines()[0]}).") from None
    return found if isinstance(found, dict) else {}
