"""What the tests of the command line share beside fixtures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

# Words that the vocabulary of bert-odd has.
POSITIVE = ("good", "great", "not bad", "very good", "like no more")
NEGATIVE = ("bad", "terrible", "not good", "boring", "very boring")


@dataclass(frozen=True)
class Answer:
    """What a command gave back."""

    code: int
    out: str
    err: str


Call = Callable[..., Answer]


def write_reviews(path: Path, each: int = 30) -> Path:
    """Write a table of tiny reviews, `each` a class."""
    lines = ["text\tlabel"]
    for number in range(each):
        end = f"movie {chr(97 + number % 26)} {number // 26 * 'very '}".strip()
        lines.append(f"the film was {POSITIVE[number % 5]} {end}\tpositive")
        lines.append(f"the film was {NEGATIVE[number % 5]} {end}\tnegative")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path
