"""Named fields: from any columns of a table to the examples of a task."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from promptkit.checking import parse_fields
from promptkit.data import Example, Task, load_task
from promptkit.data.cleaning import clean_task
from promptkit.data.doubles import text_key
from promptkit.errors import UserError
from promptkit.prompting import Template

HEADER = "question\tA\tb\tlabel\n"


def table(folder: Path, rows: str = "", header: str = HEADER) -> Path:
    path = folder / "quiz.tsv"
    more = [f"q {n}?\tyes {n}\tno {n}\t{'AB'[n % 2]}\n" for n in range(20)]
    path.write_text(header + rows + "".join(more), encoding="utf-8")
    return path


def test_an_example_of_named_fields() -> None:
    example = Example.of({"question": "Who?", "text": "One.", "a": "I"}, "A")
    assert example == Example("One.", "A", None, (("question", "Who?"), ("a", "I")))
    assert example.fields() == {"text": "One.", "question": "Who?", "a": "I"}
    assert example.joined == "One.\nWho?\nI"
    assert Example.of({"question": "Who?"}, "A").fields() == {"question": "Who?"}
    assert Example.of({"text": "a", "text_b": ""}, "x") == Example("a", "x", "")
    assert hash(example) != hash(replace(example, label="B"))


def test_named_columns_are_read_in_any_case(tmp_path: Path) -> None:
    task = load_task(table(tmp_path), fields=("question", "a", "second=b"))
    assert task.fields == ("question", "a", "second")
    example = task.train[0]
    assert [part.split()[0] for part in example.fields().values()] == ["q", "yes", "no"]
    assert example.text == ""


def test_text_is_one_of_the_fields(tmp_path: Path) -> None:
    task = load_task(table(tmp_path, header="entity\tsentence\tx\tlabel\n"), fields=("text", "entity"))
    assert task.fields == ("text", "entity")
    assert task.train[0].text.startswith("yes")


@pytest.mark.parametrize("name", ["प्रश्न", "ข้อความ", "متن", "问题", "_x1"])
def test_fields_have_names_of_any_script(tmp_path: Path, name: str) -> None:
    task = load_task(table(tmp_path, header=f"{name}\tA\tb\tlabel\n"), fields=(name,))
    assert task.fields == Template.parse(f"{{{name}}} {{mask}}").fields == (name,)


@pytest.mark.parametrize("name", ["1a", "\u093eक", "a b", "", "a.b", "²"])
def test_what_is_no_word_names_no_field(name: str) -> None:
    with pytest.raises(ValueError, match="is no name of a field"):
        parse_fields([name, "A"])


def test_a_row_without_any_text_is_dropped(tmp_path: Path) -> None:
    rows = "\t\t\tA\n\tx\t\tA\n"
    task = load_task(table(tmp_path, rows), fields=("question", "a", "b"))
    assert sum(map(len, (task.train, task.dev, task.test))) == 21
    assert "1 example dropped: the text is empty" in task.cautions


def test_a_column_that_is_not_there(tmp_path: Path) -> None:
    said = r"quiz\.tsv: no \{bb\} column 'bb'\. Did you mean 'b'\? Columns there are: 'question', 'A', 'b', 'label'\."
    with pytest.raises(UserError, match=said):
        load_task(table(tmp_path), fields=("question", "bb"))


def test_a_card_names_fields(tmp_path: Path) -> None:
    table(tmp_path)
    (tmp_path / "dataset.json").write_text('{"fields": ["question", "first=A"]}', encoding="utf-8")
    assert load_task(tmp_path).fields == ("question", "first")
    assert load_task(tmp_path, fields=("b",)).fields == ("b",)
    (tmp_path / "dataset.json").write_text('{"fields": ["a b"]}', encoding="utf-8")
    with pytest.raises(UserError, match=r"'a b' is no name of a field"):
        load_task(tmp_path)


def test_fingerprints_tell_fields_apart_and_leave_plain_data_as_it_was() -> None:
    def task(*examples: Example) -> Task:
        return Task("t", ("A", "B"), examples, examples, examples)

    plain = task(Example("x", "A"), Example("y", "B"))
    named = task(Example.of({"q": "x"}, "A"), Example.of({"q": "y"}, "B"))
    other = task(Example.of({"p": "x"}, "A"), Example.of({"p": "y"}, "B"))
    assert len({plain.fingerprint, named.fingerprint, other.fingerprint}) == 3
    assert plain.fingerprint == "737446e69caa0300"
    assert task(Example("x", "A"), Example("y", "B", "z")).fields == ("text",)


def test_doubles_and_cleaning_see_every_field() -> None:
    one, two = Example.of({"q": "Who?", "a": "I"}, "A"), Example.of({"q": "who?", "a": "You"}, "A")
    assert text_key(one) == text_key(replace(two, others=(("q", "WHO?"), ("a", "i"))))
    assert text_key(one) != text_key(two)
    both = (one, Example.of({"q": "?", "a": "!"}, "B"))
    cleaned = clean_task(Task("t", ("A", "B"), both, both, both))
    assert cleaned.train == (Example.of({"q": "who", "a": "i"}, "A"),)
