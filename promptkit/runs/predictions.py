"""`predictions.tsv`: one example a line, whatever its text holds."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from promptkit.checking import read_text
from promptkit.errors import UserError
from promptkit.runs.files import shown

PREDICTIONS_NAME = "predictions.tsv"

# Everything `str.splitlines` breaks at, so that a line stays a line for every reader.
_BREAKS = "\v\f\x1c\x1d\x1e\x85\u2028\u2029"
_ESCAPES = {"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r", **{c: f"\\u{ord(c):04x}" for c in _BREAKS}}
_TABLE = str.maketrans(_ESCAPES)
_UNESCAPES = {escaped: plain for plain, escaped in _ESCAPES.items()}


class TextExample(Protocol):
    """What is written of an example."""

    def fields(self) -> dict[str, str]:
        """Return its texts by name."""


def write_predictions(
    path: Path,
    labels: Sequence[str],
    references: Sequence[int],
    predictions: Sequence[int],
    probabilities: np.ndarray[Any, Any],
    examples: Sequence[TextExample],
) -> None:
    r"""Write `index label predicted p_LABEL ... text [text_b] ...`, with a header, UTF-8, separated by tabs.

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
    rows = (
        [labels[true] if true >= 0 else "", labels[predicted], *(f"{chance:.6f}" for chance in chances.tolist())]
        for true, predicted, chances in zip(references, predictions, probabilities, strict=True)
    )
    _write(path, _head(labels), rows, examples)


def write_answers(
    path: Path,
    references: Sequence[str],
    written: Sequence[str] | None,
    scores: np.ndarray[Any, Any],
    examples: Sequence[TextExample],
) -> None:
    """Write `index answer written log_likelihood tokens FIELD ...` in the form of `write_predictions`.

    Args:
        path: the file.
        references: true answers, (N,).
        written: what the model wrote, (N,); None where it was not asked to, and the column is empty.
        scores: (N, 2), of each true answer the sum of log p over its tokens, and how many there are.
        examples: the texts, (N,).

    Raises:
        ValueError: if the lengths differ.
    """
    size = len(examples)
    if not len(references) == len(scores) == size or (written is not None and len(written) != size):
        raise ValueError("references, answers, scores and examples do not match")
    rows = (
        [reference, own, f"{score:.6f}", f"{tokens:.0f}"]
        for reference, own, (score, tokens) in zip(references, written or [""] * size, scores, strict=True)
    )
    _write(path, ("answer", "written", "log_likelihood", "tokens"), rows, examples)


def _head(labels: Sequence[str]) -> list[str]:
    return ["label", "predicted", *(f"p_{label}" for label in labels)]


def _write(path: Path, head: Sequence[str], rows: Iterable[Sequence[str]], examples: Sequence[TextExample]) -> None:
    """Write a line for each example: its index, its row under `head`, and its texts."""
    texts = [example.fields() for example in examples]
    # A field that some examples lack is empty there.
    names = list(dict.fromkeys(name for fields in texts for name in fields))
    # A lone surrogate (JSON can bring one) must not lose the whole file.
    with path.open("w", encoding="utf-8", newline="", errors="backslashreplace") as stream:
        stream.write(_line(["index", *head, *names]))
        for index, (row, fields) in enumerate(zip(rows, texts, strict=True)):
            stream.write(_line([str(index), *row, *(fields.get(name, "") for name in names)]))


def read_predictions(path: Path, labels: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Read back what was true and what was predicted.

    Args:
        path: a file that `write_predictions` wrote.
        labels: class names, (C,).

    Returns:
        True class indices, (N,), -1 where unknown, and predicted ones, (N,).

    Raises:
        UserError: if the file cannot be read, or is not what `write_predictions` wrote for these labels.
    """
    text = read_text(path, may_be_empty=True)
    # Only line feeds end a line; the last one stands at the end of the file.
    header, *rows = [line.split("\t")[:3] for line in text.split("\n")]
    numbers = {escape(label): number for number, label in enumerate(labels)}
    try:
        if header != ["index", "label", "predicted"] or rows.pop() != [""]:
            raise ValueError("no header, or no end")
        truth = [numbers[true] if true else -1 for _, true, _ in rows]
        predicted = [numbers[label] for _, _, label in rows]
        if [index for index, _, _ in rows] != [str(index) for index in range(len(rows))]:
            raise ValueError("lines are missing")
    except (IndexError, KeyError, ValueError):
        raise UserError(
            f"'{shown(path)}' does not hold the predictions of a run with the labels {', '.join(labels)}."
        ) from None
    return np.array(truth, np.int64), np.array(predicted, np.int64)


def read_texts(path: Path, labels: Sequence[str], truth: Sequence[int]) -> list[dict[str, str]] | None:
    """Read back the texts of the examples.

    Args:
        path: a file that `write_predictions` wrote.
        labels: class names, (C,).
        truth: true class indices that it has to hold, (N,).

    Returns:
        The fields of each example by name, (N,); None if the file cannot be read, or holds something else.
    """
    try:
        # Only \n ends a line: everything else is escaped, or was never a line end.
        with path.open(encoding="utf-8", newline="\n") as stream:
            head, *lines = [line.rstrip("\n").split("\t") for line in stream]
    except (OSError, ValueError):
        return None
    own = ["index", *_head(labels)]
    place = len(own)
    if list(map(unescape, head[:place])) != own or any(len(line) != len(head) for line in lines):
        return None
    if [unescape(line[1]) for line in lines] != [labels[true] for true in truth]:
        return None
    return [
        {unescape(name): unescape(cell) for name, cell in zip(head[place:], line[place:], strict=True)}
        for line in lines
    ]


def json_line(data: Mapping[str, Any]) -> str:
    """Return an object as JSON in one line, without what readers of lines may break at although JSON allows it."""
    line = json.dumps(data, ensure_ascii=False)
    return re.sub("[\x85\u2028\u2029]", lambda match: f"\\u{ord(match[0]):04x}", line)


def escape(text: str) -> str:
    """Return the text without tabs and line breaks."""
    return text.translate(_TABLE)


def unescape(text: str) -> str:
    """Undo `escape`."""
    return re.sub(r"\\(?:u[0-9a-f]{4}|.)", lambda match: _UNESCAPES.get(match[0], match[0]), text)


def _line(cells: Sequence[str]) -> str:
    return "\t".join(escape(cell) for cell in cells) + "\n"
