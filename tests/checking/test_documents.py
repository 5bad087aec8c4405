"""JSON and TOML become plain values or one line, whatever the text is."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from promptkit.checking import LARGEST, parse_json, parse_json_object, read_json_object, read_toml
from promptkit.checking.documents import parse_toml
from promptkit.errors import UserError


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "here, line 1, column 2: not valid JSON: "),
        ("[" * 100_000, "nested too deep"),
        ('{"a":' * 500 + "1" + "}" * 500, "nested too deep"),
        ("[" * 65 + "]" * 65, "nested too deep"),
        ("1" * 5_000, "an integer of too many digits"),
        (r'{"a": "\ud800"}', "half a surrogate pair"),
        (r'{"\udfff": 1}', "half a surrogate pair"),
        ('{"a": NaN}', "nan is no finite number"),
        ('{"a": [-1e999]}', "-inf is no finite number"),
        ('{"a": 1, "b": 2, "a": 3}', "key 'a' is there twice"),
        ("", "not valid JSON"),
    ],
)
def test_json_that_is_refused(text: str, said: str) -> None:
    with pytest.raises(UserError) as caught:
        parse_json(text, "here")
    assert said in str(caught.value)
    assert len(str(caught.value)) < 200


def test_a_document_of_one_line_is_placed_in_its_file() -> None:
    with pytest.raises(UserError, match="file, line 7, column 5: not valid JSON"):
        parse_json('{"a"', "file", line=7)
    with pytest.raises(UserError, match="file, line 7: a JSON object is expected, not a list"):
        parse_json_object("[]", "file", line=7)


def test_what_passes() -> None:
    assert parse_json(r'{"a": ["\ud83d\ude00", 1, null]}', "here") == {"a": ["\U0001f600", 1, None]}
    assert parse_json("[" * 64 + "]" * 64, "here")
    assert parse_json("[NaN]", "here", nan=True)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("= 3", "here: not valid TOML: "),
        ("a = " + "[" * 3_000 + "]" * 3_000, "nested too deep"),
        ("a" + ".a" * 300 + " = 1", "nested too deep"),
        ("a = " + "1" * 5_000, "not valid TOML: "),
        ("a = nan", "nan is no finite number"),
        ("a = 1\n" * 2, "not valid TOML: "),
        ('"' + "x" * 9_000 + '" = 1\n"' + "x" * 9_000 + '".b = 1', "not valid TOML: "),
    ],
)
def test_toml_that_is_refused(text: str, said: str) -> None:
    with pytest.raises(UserError) as caught:
        parse_toml(text, "here")
    assert said in str(caught.value)
    assert len(str(caught.value)) < 300


def test_files(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"a": 1}', encoding="utf-8-sig")
    (tmp_path / "b.toml").write_text("")
    assert read_json_object(tmp_path / "a.json") == {"a": 1}
    assert read_toml(tmp_path / "b.toml") == {}
    (tmp_path / "a.json").write_text("[1]")
    with pytest.raises(UserError, match="the model's config: a JSON object is expected"):
        read_json_object(tmp_path / "a.json", "the model's config")
    os.truncate(tmp_path / "a.json", LARGEST + 1)
    with pytest.raises(UserError, match="is too large"):
        read_json_object(tmp_path / "a.json")


SEEDS = {
    parse_json: b'{"name": "caf\xc3\xa9 \\u00e9", "n": [1, -2.5e3, true, null], "deep": {"a": {"b": [[]]}}}',
    parse_toml: b'name = "caf\xc3\xa9"\nn = [1, -2.5e3, true]\n[deep.a]\nb = 1979-05-27\n[[v]]\nx = {y = 0x1f}\n',
}


@pytest.mark.parametrize("parse", SEEDS)
def test_any_damage_gives_values_or_one_line(parse, tmp_path: Path) -> None:
    draw = random.Random(0)
    for _ in range(400):
        spoilt = bytearray(SEEDS[parse])
        for _ in range(draw.randint(1, 6)):
            at = draw.randrange(len(spoilt))
            spoilt[at : at + draw.choice([0, 1, 9])] = draw.choice(
                [b"", b"[" * 3_000, b"\xff", b"9" * 5_000, b'"', b"{", b"NaN"]
            )
            spoilt = spoilt or bytearray(b" ")
        (tmp_path / "file").write_bytes(bytes(spoilt))
        read = read_json_object if parse is parse_json else read_toml
        try:
            read(tmp_path / "file")
        except UserError as error:
            assert len(str(error)) < 600  # noqa: PT017
