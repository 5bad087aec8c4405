"""The tokenizers of GGUF files: the ids of the same model's `tokenizer.json`. Needs no MindSpore."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import tokenizers
from gguf_files import END, TEXTS, H, llama_values, normal, tokenizer_values, vocabulary, write, write_llama
from tokenizers import models, normalizers, pre_tokenizers, processors

from promptkit.backbones.native import gguf
from promptkit.backbones.native.gguf import GgufTokenizer
from promptkit.errors import UserError

WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|NUMBER| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def read_tokenizer(path: Path) -> GgufTokenizer:
    return gguf.read_tokenizer(gguf.read_header(path))


def tokenizer_json(pre: str) -> tokenizers.Tokenizer:
    """Return the tokenizer as the `tokenizer.json` of models with this splitting describes it."""
    tokens, merges = vocabulary()
    vocab = {token: number for number, token in enumerate(tokens)}
    model = models.BPE(vocab, [tuple(pair) for pair in merges], ignore_merges=pre == "llama-bpe")
    made = tokenizers.Tokenizer(model)
    whole = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    steps: list[Any] = [pre_tokenizers.Digits(individual_digits=True), whole] if pre == "smollm" else [whole]
    if pre in ("qwen2", "llama-bpe"):
        words = WORDS.replace("NUMBER", r"\p{N}" if pre == "qwen2" else r"\p{N}{1,3}")
        bytes_only = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
        steps = [pre_tokenizers.Split(tokenizers.Regex(words), "isolated"), bytes_only]
    made.pre_tokenizer = pre_tokenizers.Sequence(steps)
    if pre == "qwen2":
        made.normalizer = normalizers.NFC()
    made.add_special_tokens([END])
    if pre == "llama-bpe":
        made.post_processor = processors.TemplateProcessing(single=f"{END} $A", special_tokens=[(END, vocab[END])])
    return tokenizers.Tokenizer.from_str(made.to_str())


@pytest.mark.parametrize("pre", ["gpt-2", "smollm", "qwen2", "llama-bpe"])
def test_ids_are_those_of_the_same_vocabularys_tokenizer_json(pre: str, tmp_path: Path) -> None:
    found, wanted = read_tokenizer(write_llama(tmp_path / "m.gguf", pre=pre)), tokenizer_json(pre)
    for text in (*TEXTS, f"x{END}y"):
        assert found.backend.encode(text).ids == wanted.encode(text).ids
    assert found.special == {"bos_token": END, "eos_token": END}
    assert found.chat_template is None


PIECES = {
    "gpt-2": ["It", "'s", " ", " 12345", " x", "\n\n", " y"],
    "smollm": ["It", "'s", "  ", "1", "2", "3", "4", "5", " x", "\n\n", " y"],
    "qwen2": ["It", "'s", " ", " ", "1", "2", "3", "4", "5", " x", "\n\n", " y"],
    "llama-bpe": ["It", "'s", " ", " ", "123", "45", " x", "\n\n", " y"],
    "bloom": ["It's", " ", " 12345", " x", "\n\n", " y"],
    "default": ["It", "'", "s", " ", " ", "123", "45", " x", "\n\n", " y"],
}


@pytest.mark.parametrize("pre", PIECES)
def test_texts_are_split_where_the_name_says(pre: str, tmp_path: Path) -> None:
    backend = read_tokenizer(write_llama(tmp_path / "m.gguf", pre=pre)).backend
    found = [piece for piece, _ in backend.pre_tokenizer.pre_tokenize_str("It's  12345 x\n\n y")]
    assert [piece.replace("Ġ", " ").replace("Ċ", "\n") for piece in found] == PIECES[pre]


@pytest.mark.parametrize("kind", ["qwen2", "qwen3"])
def test_a_file_from_before_names_splits_as_its_architecture_does(kind: str, tmp_path: Path) -> None:
    values = llama_values(kind) | tokenizer_values(None)
    path = write(tmp_path / "m.gguf", kind, values, {"token_embd.weight": normal(360, H)})
    assert read_tokenizer(path).backend.normalizer is not None
    assert len(read_tokenizer(path).backend.encode("12345").ids) == 5


@pytest.mark.parametrize(
    ("pre", "said", "opens"),
    [("smollm", None, False), ("smollm", True, True), ("llama-bpe", None, True), ("llama-bpe", False, False)],
)
def test_a_text_is_opened_if_the_file_or_else_the_splitting_says_so(
    pre: str, said: bool | None, opens: bool, tmp_path: Path
) -> None:
    path = write_llama(tmp_path / "m.gguf", pre=pre, tokenizer__ggml__add_bos_token=said)
    backend = read_tokenizer(path).backend
    plain = backend.encode("film", add_special_tokens=False).ids
    assert backend.encode("film").ids == ([backend.token_to_id(END)] if opens else []) + plain


@pytest.mark.parametrize(("pre", "whole"), [("llama-bpe", True), ("smollm", False)])
def test_a_whole_word_of_the_vocabulary_goes_before_merges_in_llama_3(pre: str, whole: bool, tmp_path: Path) -> None:
    values = tokenizer_values(pre)
    tokens = [*values["tokenizer.ggml.tokens"], "Ġunmergeable"]
    kinds = [*values["tokenizer.ggml.token_type"], 1]
    path = write_llama(
        tmp_path / "m.gguf", pre=pre, tokenizer__ggml__tokens=tokens, tokenizer__ggml__token_type=kinds
    )
    found = read_tokenizer(path).backend.encode(" unmergeable", add_special_tokens=False).ids
    assert (found == [len(tokens) - 1]) is whole


def test_types_of_tokens_and_the_template_are_kept(tmp_path: Path) -> None:
    tokens, _ = vocabulary()
    tokens += ["<tool>", "<|user|>", "[PAD]"]
    kinds = [*(3 if token == END else 1 for token in tokens[:-3]), 4, 3, 5]
    path = write_llama(
        tmp_path / "m.gguf",
        rows=len(tokens),
        tokenizer__ggml__tokens=tokens,
        tokenizer__ggml__token_type=kinds,
        tokenizer__ggml__padding_token_id=len(tokens) - 1,
        tokenizer__chat_template="{{ messages }}",
    )
    found = read_tokenizer(path)
    added = {token.content: token.special for token in found.backend.get_added_tokens_decoder().values()}
    assert added == {END: True, "<tool>": False, "<|user|>": True}
    assert [found.backend.token_to_id(token) for token in tokens] == list(range(len(tokens)))
    assert found.special["pad_token"] == "[PAD]"
    assert found.chat_template == "{{ messages }}"


def test_what_ends_a_turn_ends_what_is_written_too(tmp_path: Path) -> None:
    path = write_llama(tmp_path / "m.gguf", tokenizer__ggml__eot_token_id=5, tokenizer__ggml__eom_token_id=7)
    tokens, _ = vocabulary()
    # By its name as well, as llama.cpp knows it.
    assert END == "<|endoftext|>"
    assert read_tokenizer(path).ends == (tokens[5], tokens[7], END)
    with pytest.raises(UserError, match=r"eot_token_id is 100000; there are"):
        read_tokenizer(write_llama(tmp_path / "m.gguf", tokenizer__ggml__eot_token_id=100_000))
