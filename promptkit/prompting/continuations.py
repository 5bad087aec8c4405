"""Label words of several pieces behind the prompt of a causal model: its rows, and where they are read.

A word of pieces w_1 ... w_n is scored by teacher forcing: log p(w_1 | prompt) + log p(w_2 | prompt w_1) + ...
(Brown et al. 2020, section 2.4; Holtzman et al. 2021). So the model reads the prompt once for every
word, with all pieces of the word behind it but the last. Words that begin alike share such a row, and one of a
single piece needs none of its own.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

Pieces = tuple[int, ...]


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
        starts = [number * length + sum(map(len, self.rows[:number])) for number in range(len(self.rows))]
        return tuple(
            next(
                start + length - 1 + len(beginning)
                for start, row in zip(starts, self.rows, strict=True)
                if row[: len(beginning)] == beginning
            )
            for beginning in self.beginnings
        )


def _goes_on(longer: Pieces, shorter: Pieces) -> bool:
    return len(longer) > len(shorter) and longer[: len(shorter)] == shorter
