"""Texts that are there more than once are said: in train and test both, or under two labels."""

from __future__ import annotations

from dataclasses import replace

import pytest

from promptkit.data import Example, draw_shots, load_task
from promptkit.data.doubles import note_doubles
from promptkit.running.config import make_config
from promptkit.running.plan import make_plan
from promptkit.running.record import task_info

LONG = "a text that is far too long to be shown as a whole in one line"


def folder(write, train, test):
    for name, rows in (("train", train), ("dev", "pos\tdev one\nneg\tdev two\n"), ("test", test)):
        write(f"set/{name}.tsv", "label\ttext\n" + rows)
    return write("set/dataset.json", "{}").parent


def test_test_texts_in_train_are_counted_whatever_their_case_and_white_space(write):
    path = folder(
        write, f"pos\t{LONG}\nneg\tdull\n", f"pos\t {LONG.upper().replace(' ', '  ')}\nneg\tDULL\nneg\tnew\n"
    )
    assert load_task(path).cautions == (
        "2 of 3 test texts stand in the data's train as well, e.g. 'A TEXT THAT IS FAR TOO LONG TO BE SHO...': "
        "what learns texts by heart looks better than it is",
    )


def test_a_text_under_two_labels_is_said_with_both(write):
    path = folder(write, "pos\tso so\nneg\tdull\n", "neg\tSo  so\npos\tnew\n")
    assert load_task(path).cautions[1] == "1 text stands under two labels, e.g. 'So so' as 'pos' and 'neg'"


def test_a_pair_is_the_same_if_both_its_texts_are(toy):
    task = replace(toy(), train=(Example("x", "a", "y"), Example("q", "b")), test=(Example("x", "a", "z"),))
    assert note_doubles(task).cautions == ()
    assert "1 of 1 test texts stands" in note_doubles(replace(task, test=(Example("X", "a", "Y"),))).cautions[0]


def test_data_without_doubles_has_no_cautions():
    assert load_task("reviews-en").cautions == load_task("reviews-zh").cautions == ()


def test_texts_that_cleaning_makes_equal_are_said(write):
    path = folder(write, "pos\tFine, 10 of 10!\nneg\tdull\n", "pos\tfine of\nneg\tbad\n")
    assert load_task(path).cautions == ()
    assert "1 of 2 test texts stands" in load_task(path, clean=True).cautions[0]


@pytest.mark.parametrize("seed", range(4))
def test_a_draw_says_how_many_test_texts_it_took(toy, seed):
    task = toy(train={"a": 4, "b": 4}, dev={"a": 4, "b": 4})
    task = note_doubles(replace(task, test=task.train[:2]))
    drawn = draw_shots(task, 2, seed)
    count = len(set(drawn.train) & set(task.test))
    assert drawn.cautions[:1] == task.cautions
    assert drawn.cautions[1:] == () if not count else drawn.cautions[1].startswith(f"{count} of 2 test texts")


def test_a_run_warns_of_them_and_its_record_keeps_them(write, capsys):
    path = folder(write, "pos\tfine\nneg\tdull\n", "pos\tfine\nneg\tbad\n")
    plan = make_plan(make_config(strategy="hard", data=str(path)))
    plan.encode()
    assert "warning: 1 of 2 test texts stands in the data's train as well, e.g. 'fine'" in capsys.readouterr().err
    assert plan.warnings == [*plan.task.cautions]
    assert task_info(plan.task).notes[-1] == plan.task.cautions[0]


def test_dev_texts_that_stand_in_test_are_counted(write):
    texts = [f"text {n}" for n in range(4)]
    rows = "".join(f"{'pos' if n % 2 else 'neg'}\t{text}\n" for n, text in enumerate(texts))
    path = folder(write, rows.replace("text", "other"), rows)
    (path / "dev.tsv").write_text("label\ttext\npos\tTEXT  1\nneg\tnew\n", encoding="utf-8")
    (caution,) = load_task(str(path)).cautions
    assert caution.startswith("1 of 2 dev texts stands in test as well, e.g. 'TEXT 1'")
