"""Pairs of texts and answers: how they are read, split and drawn."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from promptkit.data import PairTask, load_task
from promptkit.data.doubles import text_key
from promptkit.data.splits import draw_shots
from promptkit.errors import UserError
from promptkit.prompting import Template


def write(folder: Path, header: str, *rows: str, name: str = "train.tsv") -> Path:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return folder


@pytest.mark.parametrize(("name", "language"), [("dialogue-en", "en"), ("dialogue-zh", "zh")])
def test_embedded_pairs_have_the_sizes_on_their_cards(name: str, language: str) -> None:
    task = load_task(name, answers=True)
    assert isinstance(task, PairTask)
    assert (task.name, task.language, task.labels, task.fields) == (name, language, (), ("instruction",))
    assert [len(part) for part in (task.train, task.dev, task.test)] == [48, 12, 20]
    assert task.cautions == ()
    examples = [example for part in (task.train, task.dev, task.test) for example in part]
    assert len({text_key(example) for example in examples}) == len({example.label for example in examples}) == 80
    assert not any(sign in example.label + example.joined for example in examples for sign in '"\t')
    lengths = sorted(len(example.label) for example in examples)
    least, middle, most = (18, 28, 34) if language == "zh" else (65, 84, 104)
    assert (lengths[0], lengths[40], lengths[-1]) == (least, middle, most)
    assert Template.parse(task.templates[0]).fields == ("instruction",)


@pytest.mark.parametrize(
    ("header", "row", "fields", "answer"),
    [
        ("instruction\tanswer", "a\tb", {"instruction": "a"}, "b"),
        ("Summary\tDocument", "b\ta", {"document": "a"}, "b"),
        ("text\toutput", "a\tb", {"text": "a"}, "b"),
    ],
)
def test_usual_columns_are_found(tmp_path: Path, header: str, row: str, fields: dict[str, str], answer: str) -> None:
    rows = [row.replace("a", f"a{number}") for number in range(20)]
    task = load_task(write(tmp_path / "x", header, *rows), answers=True)
    assert task.train[0].fields() == dict.fromkeys(fields, "a0")
    assert {example.label for example in task.train} == {answer}


def test_named_columns_and_several_fields_are_read(tmp_path: Path) -> None:
    rows = [f"q{number}\tc{number}\tr{number}" for number in range(20)]
    folder = write(tmp_path / "x", "ask\tabout\tsay", *rows)
    task = load_task(folder, answers=True, fields=("question=ask", "about"), label_column="say")
    assert task.train[0].fields() == {"question": "q0", "about": "c0"}
    assert task.train[0].label == "r0"
    (folder / "dataset.json").write_text(json.dumps({"answer": "say", "fields": ["ask"]}), encoding="utf-8")
    assert load_task(folder, answers=True).fields == ("ask",)


def test_one_table_is_carved_whatever_the_answers(tmp_path: Path) -> None:
    folder = write(tmp_path / "x", "question\tanswer", *(f"q{n}\tr{n}" for n in range(40)))
    task = load_task(folder, answers=True)
    assert [len(part) for part in (task.train, task.dev, task.test)] == [32, 4, 4]
    assert "split 80/10/10 into train, dev and test" in task.notes[0]


def test_shots_are_pairs_in_all_and_repeat() -> None:
    task = load_task("dialogue-en", answers=True)
    drawn = draw_shots(task, 8, 3)
    assert (len(drawn.train), len(drawn.dev), drawn.test) == (8, 8, task.test)
    assert draw_shots(task, 8, 3).train == drawn.train != draw_shots(task, 8, 4).train
    with pytest.raises(UserError, match="49 shots are more than data 'dialogue-en' has: 48 pairs in train"):
        draw_shots(task, 49, 0)


def test_of_a_small_dev_all_pairs_are_used_and_nothing_is_said() -> None:
    task = load_task("dialogue-en", answers=True)
    drawn = draw_shots(task, 13, 0)
    assert (len(drawn.train), drawn.dev, drawn.cautions) == (13, task.dev, ())


def test_too_few_pairs_to_split_are_refused(tmp_path: Path) -> None:
    folder = write(tmp_path / "x", "question\tanswer", "q1\tr", "q2\tr", "Q1\tr")
    with pytest.raises(UserError, match=r"^data 'x': it is too small to split: 2 of at least 3 different texts\.$"):
        load_task(folder, answers=True)


def test_pairs_and_classes_are_not_taken_for_each_other(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="holds pairs with an answer each, not labelled texts; use --objective text"):
        load_task("dialogue-zh")
    with pytest.raises(UserError, match="no answer column"):
        load_task("reviews-en", answers=True)
    with pytest.raises(UserError, match=r"x.train\.tsv, line 3: the answer is empty"):
        load_task(write(tmp_path / "x", "question\tanswer", "a\tb", "a\t "), answers=True)
