"""`predictions.tsv` has one line an example, whatever stands in the texts."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from promptkit.data import Example
from promptkit.errors import UserError
from promptkit.runs import read_predictions, write_predictions
from promptkit.runs.predictions import escape, json_line, read_texts, unescape


def Text(text: str, text_b: str | None = None) -> Example:  # noqa: N802
    return Example(text, "", text_b)


def test_golden_file(tmp_path: Path) -> None:
    path = tmp_path / "predictions.tsv"
    chances = np.array([[0.25, 0.75], [0.5, 0.5]])
    texts = [Text("很好"), Text("one\ttwo\nthree\x85\\")]
    write_predictions(path, ("neg", "pos"), [1, -1], [1, 0], chances, texts)
    assert path.read_bytes().decode() == (
        "index\tlabel\tpredicted\tp_neg\tp_pos\ttext\n"
        "0\tpos\tpos\t0.250000\t0.750000\t很好\n"
        "1\t\tneg\t0.500000\t0.500000\tone\\ttwo\\nthree\\u0085\\\\\n"
    )


def test_a_second_text_gets_its_column(tmp_path: Path) -> None:
    path = tmp_path / "predictions.tsv"
    write_predictions(path, ("no", "yes"), [0], [0], np.array([[1.0, 0.0]]), [Text("a", "b")])
    lines = path.read_text(encoding="utf-8").splitlines()
    assert lines[0].endswith("\ttext\ttext_b")
    assert lines[1].endswith("\ta\tb")


def test_a_lone_surrogate_does_not_lose_the_file(tmp_path: Path) -> None:
    path = tmp_path / "predictions.tsv"
    write_predictions(path, ("no", "yes"), [0], [0], np.array([[1.0, 0.0]]), [Text("a\ud800")])
    assert path.read_text(encoding="utf-8").endswith("a\\ud800\n")


@given(st.text())
@example("\\n")
@example("\\\\u0085\x85\\u0085")
@example("\r\n\v\f\x1c\x1d\x1e\u2028\u2029")
def test_an_escaped_text_is_one_cell_and_comes_back(text: str) -> None:
    escaped = escape(text)
    assert "\t" not in escaped
    assert len(escaped.splitlines()) <= 1
    assert unescape(escaped) == text


def test_unequal_lengths_are_a_programming_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="do not match"):
        write_predictions(tmp_path / "p.tsv", ("no", "yes"), [0], [0], np.zeros((1, 3)), [Text("a")])


def test_texts_are_read_back_of_a_file_that_holds_these_true_classes(tmp_path: Path) -> None:
    path = tmp_path / "predictions.tsv"
    texts = [Text("a\tb\n", "c"), Text("\u2028\\")]
    write_predictions(path, ("no\t", "yes"), [0, 1], [1, 1], np.zeros((2, 2)), texts)
    assert read_texts(path, ("no\t", "yes"), [0, 1]) == [
        {"text": "a\tb\n", "text_b": "c"},
        {"text": "\u2028\\", "text_b": ""},
    ]
    assert read_texts(path, ("no\t", "yes"), [1, 1]) is None
    assert read_texts(path, ("no\t", "yes", "more"), [0, 1]) is None
    assert read_texts(tmp_path / "none.tsv", ("no\t", "yes"), [0, 1]) is None


@given(st.lists(st.tuples(st.integers(-1, 2), st.integers(0, 2), st.text(st.characters(codec="utf-8")))))
def test_classes_are_read_back(tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[int, int, str]]) -> None:
    path = tmp_path_factory.mktemp("read") / "predictions.tsv"
    labels = ("no\t", "yes\\", "\u2028")
    truth, predicted = [row[0] for row in rows], [row[1] for row in rows]
    write_predictions(path, labels, truth, predicted, np.zeros((len(rows), 3)), [Text(row[2]) for row in rows])
    found = read_predictions(path, labels)
    assert [values.tolist() for values in found] == [truth, predicted]
    assert {values.dtype for values in found} == {np.dtype(np.int64)}


@pytest.mark.parametrize(
    "change",
    [
        lambda text: "",
        lambda text: text[:-1],
        lambda text: text[: text.index("\n") - 8],
        lambda text: text.replace("predicted", "guessed"),
        lambda text: text.replace("\n0\t", "\n7\t"),
        lambda text: text.replace("yes", "maybe"),
        lambda text: "".join(text.splitlines(keepends=True)[:1] + text.splitlines(keepends=True)[2:]),
        lambda text: text.replace("1\tyes\tno\t", "1\n"),
    ],
)
def test_what_is_no_whole_file_of_predictions_is_refused(tmp_path: Path, change: Callable[[str], str]) -> None:
    path = tmp_path / "predictions.tsv"
    write_predictions(path, ("no", "yes"), [0, 1], [1, 0], np.zeros((2, 2)), [Text("a"), Text("b")])
    text = path.read_text()
    path.write_text(change(text))
    assert path.read_text() != text
    with pytest.raises(UserError, match="does not hold the predictions of a run with the labels no, yes"):
        read_predictions(path, ("no", "yes"))
    with pytest.raises(UserError, match="no file or folder"):
        read_predictions(tmp_path / "absent", ("no", "yes"))


@given(st.text())
@example("\x85\u2028\u2029\n\r")
def test_a_line_of_json_is_one_line_for_every_reader(text: str) -> None:
    line = json_line({"text": text})
    assert len(line.splitlines()) == 1
    assert json.loads(line) == {"text": text}
