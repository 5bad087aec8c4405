"""Vocabularies of the golden checkpoints, for `make_goldens.py` and `decoders.py`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, processors

LETTERS = "abcdefghijklmnopqrstuvwxyz"
WORDS = """
great good bad terrible it was the film . , not very ! movie an boring is and this of to in plot that with but
for actor on as story you so have one all like more no about
""".split()  # noqa: SIM905
BYTE_WORDS = "great good bad terrible it was film the a not very movie an plot".split()  # noqa: SIM905


def wordpiece_vocabulary(size: int, pad: int) -> list[str]:
    """Special tokens, words, letters and letters that continue a word: exactly `size` pieces; `pad` is [PAD]'s id."""
    special = ["[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    special.insert(pad, "[PAD]")
    letters = [*LETTERS, *(f"##{letter}" for letter in LETTERS)]
    words = WORDS[: size - len(special) - len(letters)]
    vocabulary = special + words + letters
    assert len(vocabulary) == len(set(vocabulary)) == size, (len(vocabulary), size)
    return vocabulary


def byte_level_tokenizer(size: int, pad: int) -> Tokenizer:
    """A byte-level BPE tokenizer of exactly `size` tokens, laid out as RoBERTa's: `<mask>` comes last.

    `pad` is the id of `<pad>`, 1 in RoBERTa's own.
    """
    tokens = ["<s>", "</s>", "<unk>", "Ġ", ".", ",", "!", *LETTERS]
    tokens.insert(pad, "<pad>")
    merges: list[tuple[str, str]] = []
    for left, right in word_merges():
        if len(tokens) + 1 < size and left + right not in tokens:
            merges.append((left, right))
            tokens.append(left + right)
    tokens.append("<mask>")
    assert len(tokens) == len(set(tokens)) == size, (len(tokens), size)

    ids = {token: index for index, token in enumerate(tokens)}
    tokenizer = Tokenizer(models.BPE(vocab=ids, merges=merges, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", ids["</s>"]), ("<s>", ids["<s>"]))
    tokenizer.add_special_tokens(["<s>", "<pad>", "</s>", "<unk>", AddedToken("<mask>", lstrip=True)])
    assert tokenizer.get_vocab_size() == size
    for word in ("great", "terrible", "good", "bad"):
        assert tokenizer.encode(f" {word}", add_special_tokens=False).tokens == [f"Ġ{word}"]
    return tokenizer


def word_merges() -> Iterator[tuple[str, str]]:
    """Merges that build each word letter by letter and then join it to the space before it."""
    for word in BYTE_WORDS:
        yield from ((word[:end], word[end]) for end in range(1, len(word)))
        yield "Ġ", word


@dataclass(frozen=True)
class CausalVocabulary:
    """A byte-level BPE tokenizer as causal models have it, of exactly `size` tokens.

    Attributes:
        size: Tokens, special ones included.
        first: Special tokens with the lowest ids: either one that ends a text, or `<unk>`, begin, end and padding.
        last: Special tokens with the highest ids: begin and end first if it `opens` texts, else the end first.
        opens: Whether it puts the first of `last` in front of a text.
        split: What stands before the bytes: nothing but GPT-2's rule, a rule of its own for `words`, or `digits`.
    """

    size: int
    first: tuple[str, ...] = ()
    last: tuple[str, ...] = ()
    opens: bool = False
    split: str = ""

    def special_ids(self) -> tuple[int, int | list[int], int | None]:
        """What `config.json` says of begin, end and padding: several tokens may end a text, padding may lack."""
        if len(self.first) == 4:
            return 1, 2, 3
        if self.first:
            return 0, 0, None
        begin = self.size - len(self.last)
        return (begin, [begin + 1, begin + 2], None) if self.opens else (begin, begin, None)

    def ordinary_ids(self) -> range:
        """The ids between the special ones."""
        return range(len(self.first), self.size - len(self.last))

    def write(self, folder: Path) -> None:
        """Write `tokenizer.json`, and beside one that opens texts `tokenizer_config.json`."""
        tokenizer = self.build()
        tokenizer.save(str(folder / "tokenizer.json"))
        if self.opens:
            kind = "PreTrainedTokenizerFast"
            names = {"bos_token": self.last[0], "eos_token": self.last[1], "tokenizer_class": kind}
            (folder / "tokenizer_config.json").write_text(json.dumps(names, indent=2) + "\n", encoding="utf-8")

    def build(self) -> Tokenizer:
        """The tokenizer."""
        tokens = [*self.first, "Ġ", ".", ",", "!", *LETTERS]
        merges: list[tuple[str, str]] = []
        for left, right in word_merges():
            if len(tokens) + len(self.last) < self.size and left + right not in tokens:
                merges.append((left, right))
                tokens.append(left + right)
        tokens += self.last
        assert len(tokens) == len(set(tokens)) == self.size, (len(tokens), self.size)
        tokenizer = Tokenizer(models.BPE(vocab={token: index for index, token in enumerate(tokens)}, merges=merges))
        in_bytes = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=self.split != "words")
        before = {
            "words": lambda: pre_tokenizers.Split(Regex(r" ?\p{L}+| ?\p{N}| ?[^\s\p{L}\p{N}]+|\s+"), "isolated"),
            "digits": lambda: pre_tokenizers.Digits(individual_digits=True),
        }
        tokenizer.pre_tokenizer = (
            pre_tokenizers.Sequence([before[self.split](), in_bytes]) if self.split else in_bytes
        )
        tokenizer.decoder = decoders.ByteLevel()
        tokenizer.add_special_tokens([*self.first, *self.last])
        if self.opens:
            opening = self.last[0]
            template = processors.TemplateProcessing(
                single=f"{opening} $A",
                pair=f"{opening} $A {opening}:1 $B:1",
                special_tokens=[(opening, tokens.index(opening))],
            )
            tokenizer.post_processor = processors.Sequence([processors.ByteLevel(trim_offsets=False), template])
        else:
            tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
        assert tokenizer.get_vocab_size() == self.size
        for word in ("great", "terrible", "good", "bad"):
            assert tokenizer.encode(f" {word}", add_special_tokens=False).tokens == [f"Ġ{word}"]
        opening = tokenizer.encode("it was great.").tokens[0]
        assert opening == (self.last[0] if self.opens else "it"), opening
        return tokenizer
