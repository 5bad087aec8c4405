"""The classic cleaning of film reviews, for comparison with older work."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from dataclasses import replace

from promptkit.data.splits import lost
from promptkit.data.task import SPLITS, Example, Task, holds_text
from promptkit.errors import UserError

MAX_TOKENS = 51


class _Blanks(dict[int, int]):
    """Table for `str.translate`: punctuation, symbols and digits of any script become blanks."""

    def __missing__(self, code: int) -> int:
        # P punctuation, S symbols, N numbers. Chinese numerals are letters to Unicode, and stay; so does the one that
        # is none, 〇.
        self[code] = 32 if unicodedata.category(chr(code))[0] in "PSN" and chr(code) != "〇" else code
        return self[code]


_BLANKS = _Blanks()


def clean_text(text: str) -> str:
    """Return the text in lower case, without punctuation and digits, cut to its first tokens.

    After the preprocessing of sentence classification by Kim (2014), which kept 51 words at most of a film
    review. Tokens are what white space separates, so Chinese characters are left as they stand.
    """
    return " ".join(text.lower().translate(_BLANKS).split()[:MAX_TOKENS])


def clean_task(task: Task) -> Task:
    """Return the task with every text cleaned; examples of which nothing is left are dropped and counted.

    Cleaning comes after splitting, so that a run with it and a run without it use the same splits.

    Raises:
        UserError: if nothing is left of a split.
    """
    dropped = 0

    def cleaned(examples: Iterable[Example]) -> tuple[Example, ...]:
        nonlocal dropped
        kept = []
        for example in examples:
            fields = {name: clean_text(text) for name, text in example.fields().items()}
            if holds_text(fields):
                kept.append(Example.of(fields, example.label))
            else:
                dropped += 1
        return tuple(kept)

    train, dev, test = (cleaned(task.split(split)) for split in SPLITS)
    for split, kept in zip(SPLITS, (train, dev, test), strict=True):
        if task.split(split) and not kept:
            raise UserError(f"data '{task.name}': cleaning leaves no text in {split}; leave out --clean.")
    unlabelled = cleaned(task.unlabelled)
    notes = (*task.notes, f"texts cleaned: lower case, letters only, at most {MAX_TOKENS} tokens")
    cautions = (*task.cautions, *lost(dropped, "text", "nothing left after cleaning"))
    return replace(task, train=train, dev=dev, test=test, notes=notes, cautions=cautions, unlabelled=unlabelled)
