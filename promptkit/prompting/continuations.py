"""Label words of several pieces behind the prompt of a causal model: its rows, and where they are read.

A word of pieces w_1 ... w_n is scored by teacher forcing: log p(w_1 | prompt) + log p(w_2 | prompt w_1) + ...
(Brown et al. 2020, section 2.4; Holtzman et al. 2021). So the model reads the prompt once for every
word, with all pieces of the word behind it but the last. Words that begin alike share such a row, and one of a
single piece needs none of its own.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate

from promptkit.prompting.pieces import Pieces


@dataclass(frozen=True)
class Continuations:
    """What stands behind the prompt in each of its K rows, and where the M answers are read.

    Attributes:
        rows: K times the pieces behind the prompt; one row, with none, where every word is a single piece.
        beginnings: the M different beginnings of words, each short of at least one piece; the first is empty.
    """

    rows: tuple[Pieces, ...]
    beginnings: tuple[Pieces, ...]

    @classmethod
    def of(cls, words: Iterable[Pieces]) -> Continuations:
        """Return what the words of all classes need, each given by its pieces, at least one."""
        found = {word[:length] for word in words for length in range(len(word))} | {()}
        beginnings = tuple(sorted(found, key=lambda each: (len(each), each)))
        rows = tuple(each for each in beginnings if not any(_goes_on(other, each) for other in beginnings))
        return cls(rows, beginnings)

    @property
    def longest(self) -> int:
        """The most pieces that stand behind the prompt."""
        return max(map(len, self.rows))

    def slot(self, beginning: Pieces) -> int:
        """Return which of the M answers is what comes behind a beginning."""
        return self.beginnings.index(beginning)

    def read(self, length: int) -> tuple[int, ...]:
        """Return where the M answers are read, counted over the rows one after the other.

        Args:
            length: positions of the prompt, at least one.
        """
        return tuple((number + 1) * length + behind for number, behind in self._places)

    @cached_property
    def _places(self) -> tuple[tuple[int, int], ...]:
        """For each answer its row, and where it is read, counted from the end of the row's prompt without prompts."""
        before = [0, *accumulate(map(len, self.rows))]
        row_of: dict[Pieces, int] = {}
        for number, row in enumerate(self.rows):
            for count in range(len(row) + 1):
                row_of.setdefault(row[:count], number)
        numbers = [row_of[beginning] for beginning in self.beginnings]
        return tuple(
            (number, before[number] - 1 + len(beginning))
            for number, beginning in zip(numbers, self.beginnings, strict=True)
        )


def _goes_on(longer: Pieces, shorter: Pieces) -> bool:
    return len(longer) > len(shorter) and longer[: len(shorter)] == shorter
