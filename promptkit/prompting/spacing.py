"""Spaces in front of words, for tokenizers that tell " great" from "great"."""

from __future__ import annotations

import re
from typing import Literal

from promptkit.backbones.face import Tokenizer

Spacing = Literal["", "space", "word"]
"""What is before a part: nothing that ends a word, a space, or a virtual token, which stands for a word."""

EAST_ASIAN = "\u3000-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff00-\uffef\U00020000-\U0003ffff"
"""Chinese characters, kana, and their punctuation and full-width forms, as a regular expression has them in a set."""
# Scripts that write no spaces between words: Thai, Lao, Tibetan, Burmese, Khmer, and these.
_UNSPACED = re.compile(f"[\u0e00-\u0fff\u1000-\u109f\u1780-\u17ff{EAST_ASIAN}]")

_WORD = "A"  # any, to stand behind white space


def pieces_before_word(tokenizer: Tokenizer, text: str) -> tuple[int, ...]:
    """Return the pieces of a text as they are in front of a word.

    White space at a text's end may be cut in another way than before a word: two line ends are one piece in GPT-2 and
    its kin where nothing follows, and two pieces in front of a word.
    """
    alone = tuple(tokenizer.encode(text))
    if not text[-1:].isspace():
        return alone
    word, both = tuple(tokenizer.encode(_WORD)), tuple(tokenizer.encode(text + _WORD))
    return both[: -len(word)] if word and both[-len(word) :] == word else alone


def spaced(tokenizer: Tokenizer, text: str, spacing: Spacing) -> str:
    """Return a text without outer white space, with one space in front where one is due.

    To a tokenizer that marks no spaces it is all the same, and the text stays as it is. Behind a virtual token none
    is due where the script writes none: the first word of a Chinese text would not be the word that the model knows.
    """
    if not tokenizer.marks_spaces:
        return text
    bare = text.strip()
    due = spacing == "space" or (spacing == "word" and not _UNSPACED.match(bare))
    return f" {bare}" if due and bare else bare
