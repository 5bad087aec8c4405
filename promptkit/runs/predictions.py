"""`predictions.tsv`: one example a line, whatever its text holds."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

# Everything `str.splitlines` breaks at, so that a line stays a line for every reader.
_BREAKS = "\v\f\x1c\x1d\x1e\x85\u2028\u2029"
_ESCAPES = {"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r", **{c: f"\\u{ord(c):04x}" for c in _BREAKS}}
_TABLE = str.maketrans(_ESCAPES)
_UNESCAPES = {escaped: plain for plain, escaped in _ESCAPES.items()}


class TextExample(Protocol):
    """What is written of an example."""

    @property
    def text(self) -> str:
        """The text."""

    @property
    def text_b(self) -> str | None:
        """The second text, if there is one."""


def write_predictions(
    path: Path,
    labels: Sequence[str],
    references: Sequence[int],
    predictions: Sequence[int],
    probabilities: np.ndarray[Any, Any],
    examples: Sequence[TextExample],
) -> None:
    r"""Write `index label predicted p_LABEL ... text [text_b]`, with a header, UTF-8, separated by tabs.

    Backslash, tab and line ends in labels and texts are written `\\`, `\t`, `\n`, `\r`, other line breaks as
    `\uXXXX`; `unescape` undoes it.

    Args:
        path: the file.
        labels: class names, (C,).
        references: true class indices, (N,); -1 where unknown, written as an empty field.
        predictions: predicted class indices, (N,).
        probabilities: of each class, (N, C).
        examples: the texts, (N,).

    Raises:
        ValueError: if the lengths differ.
    """
    size = len(examples)
    if not len(references) == len(predictions) == size or probabilities.shape != (size, len(labels)):
        raise ValueError("references, predictions, probabilities and examples do not match")
    pairs = any(example.text_b is not None for example in examples)
    header = ["index", "label", "predicted", *(f"p_{label}" for label in labels), "text"]
    # A lone surrogate (JSON can bring one) must not lose the whole file.
    with path.open("w", encoding="utf-8", newline="", errors="backslashreplace") as stream:
        stream.write(_line([*header, "text_b"] if pairs else header))
        for index, example in enumerate(examples):
            true = labels[references[index]] if references[index] >= 0 else ""
            chances = [f"{chance:.6f}" for chance in probabilities[index].tolist()]
            row = [str(index), true, labels[predictions[index]], *chances, example.text]
            stream.write(_line([*row, example.text_b or ""] if pairs else row))


def escape(text: str) -> str:
    """Return the text without tabs and line breaks."""
    return text.translate(_TABLE)


def unescape(text: str) -> str:
    """Undo `escape`."""
    return re.sub(r"\\(?:u[0-9a-f]{4}|.)", lambda match: _UNESCAPES.get(match[0], match[0]), text)


def _line(cells: Sequence[str]) -> str:
    return "\t".join(escape(cell) for cell in cells) + "\n"
