"""Vocabularies of the golden checkpoints, for `make_goldens.py`."""

from __future__ import annotations

from collections.abc import Iterator

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors

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
