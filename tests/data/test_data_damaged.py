"""Damaged data files: examples or one line, never anything else, and no waiting."""

from __future__ import annotations

import json
import os
import random
from pathlib import Path

import pytest

from promptkit.data import load_task
from promptkit.errors import UserError

ROWS = [(f"text {number}", ("good", "bad")[number % 2]) for number in range(40)]
CARD = {"name": "reviews", "language": "en", "text": "text", "label": "label", "labels": ["good", "bad"]}
TABLES = {
    "data.jsonl": "".join(json.dumps({"text": text, "label": label}) + "\n" for text, label in ROWS),
    "data.tsv": "text\tlabel\n" + "".join(f"{text}\t{label}\n" for text, label in ROWS),
    "data.csv": "text,label\n" + "".join(f'"{text}",{label}\n' for text, label in ROWS),
}


def refusal(path: Path, **options: str) -> str:
    with pytest.raises(UserError) as caught:
        load_task(path, **options)  # type: ignore[arg-type]
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 700
    return message


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        ("9" * 5_000, "line 2: an integer of too many digits"),
        ("[" * 90_000, "line 2: not valid JSON: nested too deep"),
        ("[" * 200 + "]" * 200, "line 2: nested too deep"),
        (r'"\ud800"', "line 2: half a surrogate pair"),
        ('1, "text": "again"', "line 2: key 'text' is there twice"),
    ],
)
def test_values_of_json_lines_that_nothing_can_take(tmp_path: Path, cell: str, said: str) -> None:
    line = '{"text": "x", "label": "good", "more": %s}\n'
    (tmp_path / "data.jsonl").write_text(line % 1 + line % cell)
    assert said in refusal(tmp_path / "data.jsonl")


@pytest.mark.parametrize(
    ("card", "said"),
    [
        ('{"name": ' + "9" * 5_000 + "}", "an integer of too many digits"),
        ('{"labels": ' + "[" * 90_000, "nested too deep"),
        (r'{"name": "\udc00"}', "half a surrogate pair"),
        ('{"labels": ["good", 3]}', "labels.1: Input should be a valid string (got 3)"),
        ('{"labels": "%s"}' % ("x" * 9_999), "labels: Input should be a valid tuple"),
        ("[]", "a JSON object is expected"),
    ],
)
def test_cards_that_are_refused(tmp_path: Path, card: str, said: str) -> None:
    (tmp_path / "data.tsv").write_text(TABLES["data.tsv"])
    (tmp_path / "dataset.json").write_text(card)
    assert said in refusal(tmp_path)


def test_a_card_that_is_a_pipe_or_a_circle(tmp_path: Path) -> None:
    (tmp_path / "data.tsv").write_text(TABLES["data.tsv"])
    os.mkfifo(tmp_path / "dataset.json")
    assert "dataset.json' is a pipe, not a file" in refusal(tmp_path)
    (tmp_path / "dataset.json").unlink()
    (tmp_path / "dataset.json").symlink_to("dataset.json")
    assert "symbolic link" in refusal(tmp_path)


def test_data_that_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jsonl")
    assert "is a pipe, not a file" in refusal(tmp_path / "pipe.jsonl")
    (tmp_path / "circle.tsv").symlink_to("circle.tsv")
    assert "Did you mean" not in refusal(tmp_path / "circle.tsv")
    assert "too long" in refusal(tmp_path / ("x" * 300 + ".tsv"))
    assert "NUL" in refusal(tmp_path / "a\0b.tsv")
    assert "unknown data set 'xxx" in refusal(Path("x" * 9_999))


@pytest.mark.parametrize("encoding", ["undefined", "base64", "a\0b"])
def test_encodings_that_are_none(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "data.tsv").write_text(TABLES["data.tsv"])
    assert "unknown encoding" in refusal(tmp_path / "data.tsv", encoding=encoding)


@pytest.mark.parametrize("name", [*TABLES, "dataset.json"])
def test_any_damage_is_examples_or_one_line(tmp_path: Path, name: str) -> None:
    (tmp_path / "data.jsonl").write_text(TABLES["data.jsonl"])
    whole = TABLES.get(name, json.dumps(CARD)).encode()
    draw = random.Random(0)
    for _ in range(200):
        spoilt = bytearray(whole)
        for _ in range(draw.randint(1, 4)):
            at = draw.randrange(len(spoilt))
            spoilt[at : at + draw.choice([0, 1, 7])] = draw.choice(
                [b"", b'"', b"\xff", b"\0", b"\n", b"\\ud800", b"[" * 2_000, b"{", b"9" * 5_000, b"null", b","]
            )
        (tmp_path / name).write_bytes(bytes(spoilt))
        try:
            load_task(tmp_path if name == "dataset.json" else tmp_path / name)
        except UserError as error:
            assert len(str(error)) < 2_100  # noqa: PT017
