"""The tokenizer of a GGUF file: byte-level BPE (Sennrich et al. 2016, Radford et al. 2019) from tokens and merges."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from promptkit.backbones.native.gguf.header import Header
from promptkit.backbones.native.tokenizer import opened_by
from promptkit.checking import cut
from promptkit.errors import UserError

_KEYS = "tokenizer.ggml."
# Token types of the format.
_NORMAL, _CONTROL, _ADDED = 1, 3, 4
# Where a text is split before BPE, by the name that the file gives. Names of one line mean the same.
_SAME = {"llama3": "llama-bpe", "llama-v3": "llama-bpe", "gpt2": "gpt-2"}
# A file without a name, or with `default`, is from before names: most architectures have had one splitting only.
_OF_ARCHITECTURE = {"gpt2": "gpt-2", "qwen2": "qwen2", "qwen3": "qwen2", "bloom": "bloom"}
_WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|%s| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
# Each expression splits what those before it have left together.
SPLITS: dict[str, tuple[str, ...]] = {
    "gpt-2": (_GPT2,),
    "smollm": (r"\p{N}", _GPT2),
    "qwen2": (_WORDS % r"\p{N}",),
    "llama-bpe": (_WORDS % r"\p{N}{1,3}",),
    "bloom": (r" ?[^(\s|[.,!?…。，、।۔،])]+",),
    # What llama.cpp does with a Llama file that names nothing.
    "default": (r"[\p{P}\$\+<=>\^~\|]+", _GPT2.removesuffix(r"|\s+"), r"\p{N}+", r"[0-9][0-9][0-9]"),
}
# What the file does not say, llama.cpp knows by the splitting.
_OPENS_BY_DEFAULT = _IGNORES_MERGES = ("llama-bpe",)
_NFC = ("qwen2",)
# Most files name one token that ends texts. By these names llama.cpp knows others of the model families read here.
_ENDINGS = ("<|endoftext|>", "<|im_end|>", "<|end_of_text|>", "<|eot_id|>", "<|eom_id|>")


@dataclass(frozen=True)
class GgufTokenizer:
    """What a GGUF file says of its tokenizer.

    Attributes:
        backend: a `tokenizers.Tokenizer`; asked for special tokens it puts the one that opens a text in front, if the
            model wants one there.
        special: `bos_token`, `eos_token`, `unk_token`, `pad_token`, as `tokenizer_config.json` names them: those that
            there are.
        chat_template: the Jinja template of a conversation, or None.
        ends: the tokens that end a text, a turn or a message, besides `eos_token`.
    """

    backend: Any
    special: dict[str, str]
    chat_template: str | None
    ends: tuple[str, ...] = ()


def read_tokenizer(header: Header) -> GgufTokenizer:
    """Return the tokenizer of a file.

    Raises:
        UserError: in one line, for another kind of tokenizer or of splitting, or tokens and merges that do not go
            together.
    """
    model = header.text(f"{_KEYS}model")
    if model != "gpt2":
        named = "no tokenizer" if model is None else f"a tokenizer of the kind '{cut(model, 40)}'"
        raise UserError(f"{header.where} has {named}; only byte-level BPE ('gpt2') is read.")
    split = _splitting(header)
    tokens = _array(header, "tokens", str)
    if len(set(tokens)) != len(tokens):
        raise UserError(f"{header.where}: {_KEYS}tokens has a token twice.")
    special = _special(header, tokens)
    backend = _backend(header, split, tokens)
    try:
        _add_tokens(backend, header, tokens, special)
        opens = header.flag(f"{_KEYS}add_bos_token")
        if (split in _OPENS_BY_DEFAULT if opens is None else opens) and "bos_token" in special:
            opened_by(backend, [special["bos_token"]])
    except UserError:
        raise
    except Exception as error:  # the library raises bare Exception
        raise UserError(f"{header.where}: the special tokens cannot be used ({cut(str(error))}).") from None
    told = [token for name in ("eot", "eom") if (token := _token(header, name, tokens)) is not None]
    marks = {token.content for token in backend.get_added_tokens_decoder().values() if token.special}
    ends = (*told, *(token for token in _ENDINGS if token in marks))
    return GgufTokenizer(backend, special, header.text("tokenizer.chat_template"), ends)


def _splitting(header: Header) -> str:
    named = header.text(f"{_KEYS}pre") or "default"
    named = _SAME.get(named, named)
    if named == "default":
        return _OF_ARCHITECTURE.get(header.architecture, named)
    if named not in SPLITS:
        known = ", ".join(SPLITS)
        raise UserError(f"{header.where}: pre-tokenizer '{cut(named, 40)}' is not known. Known: {known}.")
    return named


def _backend(header: Header, split: str, tokens: list[str]) -> Any:
    import tokenizers
    from tokenizers import models, normalizers, pre_tokenizers

    # A space within a token is written otherwise, so the first one behind a character parts the two.
    merges = [(pair[:at], pair[at + 1 :]) for pair in _array(header, "merges", str) if (at := pair.find(" ", 1)) > 0]
    try:
        model = models.BPE(
            {token: number for number, token in enumerate(tokens)}, merges, ignore_merges=split in _IGNORES_MERGES
        )
    except Exception as error:  # the library raises bare Exception for merges of unknown tokens
        raise UserError(f"{header.where}: tokens and merges do not go together ({cut(str(error))}).") from None
    backend = tokenizers.Tokenizer(model)
    if split in _NFC:
        backend.normalizer = normalizers.NFC()
    steps = [pre_tokenizers.Split(tokenizers.Regex(each), "isolated") for each in SPLITS[split]]
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [*steps, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    backend.decoder = tokenizers.decoders.ByteLevel()
    return backend


def _special(header: Header, tokens: list[str]) -> dict[str, str]:
    special: dict[str, str] = {}
    for role, name in (("bos", "bos"), ("eos", "eos"), ("unk", "unknown"), ("pad", "padding")):
        if (token := _token(header, name, tokens)) is not None:
            special[f"{role}_token"] = token
    return special


def _token(header: Header, name: str, tokens: list[str]) -> str | None:
    key = f"{_KEYS}{name}_token_id"
    number = header.index(key)
    if number is not None and number >= len(tokens):
        raise UserError(f"{header.where}: {key} is {number}; there are {len(tokens)} tokens.")
    return None if number is None else tokens[number]


def _add_tokens(backend: Any, header: Header, tokens: list[str], special: dict[str, str]) -> None:
    """Mark the tokens that no text is split into: found whole in a text, or put there by a template only."""
    from tokenizers import AddedToken

    kinds = header.array(f"{_KEYS}token_type", int)
    if kinds is None:
        kinds = [_CONTROL if token in special.values() else _NORMAL for token in tokens]
    if len(kinds) != len(tokens):
        raise UserError(f"{header.where}: {len(kinds)} types of tokens for {len(tokens)} tokens.")
    for kind, add in ((_CONTROL, backend.add_special_tokens), (_ADDED, backend.add_tokens)):
        add(
            [
                AddedToken(token, normalized=False, special=kind == _CONTROL)
                for token, each in zip(tokens, kinds, strict=True)
                if each == kind and token
            ]
        )


def _array(header: Header, name: str, kind: type) -> list[Any]:
    found = header.array(f"{_KEYS}{name}", kind)
    if found is None:
        raise UserError(f"{header.where}: no {_KEYS}{name} there.")
    return found
