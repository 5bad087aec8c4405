"""ROUGE: what written texts share with those that were expected (Lin 2004), as F1 between 0 and 1.

ROUGE-1 and ROUGE-2 count shared words and pairs of neighbouring words, ROUGE-L the longest common subsequence of
words (Lin 2004, sections 2 and 3.1). Each is the harmonic mean of precision and recall of one text, and then the mean
over all texts. Words are runs of letters, with their signs, and digits in lower case, without stemming; a Chinese
character is a word by itself, as are Japanese kana, for no space parts these.

Args:
    predictions: written texts, (N,).
    references: expected texts, (N,).

Returns:
    rouge1, rouge2, rougeL: floats.

Examples:
    Four of the five words are there, in order; of the pairs of neighbours two of four.

    >>> from promptkit.evaluation import load_metric
    >>> rouge = load_metric("rouge")
    >>> found = rouge.compute(predictions=["the cat sat down here"], references=["the cat lay down here"])
    >>> {name: round(value, 3) for name, value in found.items()}
    {'rouge1': 0.8, 'rouge2': 0.5, 'rougeL': 0.8}

    Characters are the words of Chinese, and the order counts for rougeL alone.

    >>> found = rouge.compute(predictions=["今天很好"], references=["很好今天"])
    >>> {name: round(value, 3) for name, value in found.items()}
    {'rouge1': 1.0, 'rouge2': 0.667, 'rougeL': 0.5}
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from typing import Any

import datasets
import evaluate

# Chinese characters with their extensions and compatibility forms, and kana; else runs of letters and digits.
_BY_ITSELF = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003134f"
# Signs of vowels and accents belong to their letter, and `\w` knows them not: किताब is one word.
_MARKS = "".join(sign for sign in map(chr, range(0x300, 0x1F000)) if unicodedata.category(sign).startswith("M"))
_WORD = re.compile(rf"[{_BY_ITSELF}][{_MARKS}]*|[^\W_{_BY_ITSELF}](?:[^\W_{_BY_ITSELF}]|[{_MARKS}])*")


class Rouge(evaluate.Metric):  # type: ignore[misc]
    """ROUGE as an `evaluate` metric."""

    def _info(self) -> Any:
        text = datasets.Value("string")
        return evaluate.MetricInfo(
            description="What written texts share with expected ones: words, pairs, longest subsequence.",
            citation="",
            inputs_description=__doc__ or "",
            features=datasets.Features({"predictions": text, "references": text}),
        )

    def _compute(self, predictions: list[str], references: list[str]) -> dict[str, float]:
        pairs = [(words(p), words(r)) for p, r in zip(predictions, references, strict=True)]
        count = max(len(pairs), 1)
        return {
            "rouge1": sum(overlap(p, r, 1) for p, r in pairs) / count,
            "rouge2": sum(overlap(p, r, 2) for p, r in pairs) / count,
            "rougeL": sum(subsequence(p, r) for p, r in pairs) / count,
        }


def words(text: str) -> list[str]:
    """Return the words that are compared."""
    return _WORD.findall(text.lower())


def overlap(written: Sequence[str], expected: Sequence[str], size: int) -> float:
    """Return the F1 of runs of `size` neighbouring words."""
    own, other = (Counter(zip(*(each[i:] for i in range(size)))) for each in (written, expected))  # noqa: B905
    return harmonic(sum((own & other).values()), sum(own.values()), sum(other.values()))


def subsequence(written: Sequence[str], expected: Sequence[str]) -> float:
    """Return the F1 of the longest common subsequence."""
    row = [0] * (len(expected) + 1)
    for word in written:
        above = row
        row = [0]
        for place, other in enumerate(expected):
            row.append(above[place] + 1 if word == other else max(above[place + 1], row[place]))
    return harmonic(row[-1], len(written), len(expected))


def harmonic(shared: int, written: int, expected: int) -> float:
    """Return 2 P R / (P + R) of what is shared; 0 where nothing is."""
    return 2.0 * shared / (written + expected) if shared else 0.0
