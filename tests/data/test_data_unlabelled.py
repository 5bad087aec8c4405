"""Texts without labels: where they come from, and which never do."""

from __future__ import annotations

from dataclasses import replace

import pytest

from promptkit import UserError
from promptkit.data import Example, Task, draw_shots, load_task, unlabelled_texts

LABELS = ("bad", "good")


def task(**splits):
    """Return a task of 20 training texts, 6 dev texts and 8 test texts, all different."""
    usual = {
        split: tuple(Example(f"{split} text {n}", LABELS[n % 2]) for n in range(count))
        for split, count in (("train", 20), ("dev", 6), ("test", 8))
    }
    return Task("it", LABELS, **(usual | splits))


def test_the_rest_of_train_is_there_with_its_labels_hidden():
    whole = task()
    drawn = draw_shots(whole, 3, 5)
    found = unlabelled_texts(whole, drawn, 100, 5)
    assert {each.text for each in found} == {e.text for e in whole.train} - {e.text for e in drawn.train}
    assert len(found) == 14
    assert {each.label for each in found} == {""}


def test_without_a_draw_only_the_texts_of_the_data_are_there():
    whole = task(unlabelled=(Example("one", ""), Example("two", "good")))
    assert unlabelled_texts(whole, whole, 100, 0) == (Example("one", ""), Example("two", ""))


@pytest.mark.parametrize("split", ["train", "dev", "test"])
def test_a_text_that_has_another_part_is_never_among_them(split):
    """Not one of test, of the whole dev split, or of the draw; letter case and white space apart."""
    whole = task()
    there = whole.split(split)[0]
    again = tuple(Example(f" {each.text.upper()} ", "") for each in whole.split(split))
    whole = replace(whole, unlabelled=(*again, Example("new", "")), train=(*whole.train, replace(there, text="X")))
    drawn = whole if split == "train" else draw_shots(whole, 2, 0)
    texts = {each.text.strip().lower() for each in unlabelled_texts(whole, drawn, 100, 0)}
    assert "new" in texts
    assert not texts & {each.text for each in whole.split(split)}


def test_a_text_that_is_there_twice_comes_once():
    whole = task(unlabelled=(Example("one", ""), Example("One", ""), Example("one", "", "b")))
    assert [e.text_b for e in unlabelled_texts(whole, whole, 100, 0)] == [None, "b"]


def test_of_more_texts_than_wanted_the_seed_draws_some_in_their_order():
    whole = task(unlabelled=tuple(Example(f"u{n:02}", "") for n in range(50)))
    some, again, other = (unlabelled_texts(whole, whole, 10, seed) for seed in (0, 0, 1))
    assert some == again != other
    assert len(some) == 10
    assert list(some) == sorted(some, key=lambda each: each.text)


@pytest.mark.parametrize("name", ["unlabelled.tsv", "films_unlabeled.csv", "unlabelled.jsonl"])
def test_a_table_without_labels_lies_beside_the_splits(write, name):
    write("set/train.tsv", "label\ttext\n" + "good\ta\nbad\tb\n" * 10)
    for split in ("dev", "test"):
        write(f"set/{split}.tsv", f"label\ttext\ngood\tc {split}\nbad\td {split}\n")
    text = {"tsv": "text\nx\n\ny\n", "csv": 'text,label\n"x",nonsense\ny,\n', "jsonl": '{"text": "x"}\n{"text": "y"}'}
    path = write(f"set/{name}", text[name.rsplit(".")[-1]]).parent
    found = load_task(path)
    assert found.unlabelled == (Example("x", ""), Example("y", ""))
    assert set(found.labels) == set(LABELS)
    assert found.fingerprint == replace(found, unlabelled=()).fingerprint


def test_such_a_table_lies_beside_one_piece_and_polar_files_too_and_is_cleaned(write):
    write("one/films.csv", "text,label\n" + "\n".join(f"text {n},{LABELS[n % 2]}" for n in range(40)))
    path = write("one/unlabelled.txt", "text\nAh, SO!\n...\n").parent
    assert load_task(path, clean=True).unlabelled == (Example("ah so", ""),)
    for end in ("pos", "neg"):
        write(f"polar/rt.{end}", "\n".join(f"{end} {n}" for n in range(20)))
    path = write("polar/unlabelled.txt", "text\nx\n").parent
    assert load_task(path).unlabelled == (Example("x", ""),)


def test_two_such_tables_are_refused_and_so_is_what_is_no_example(write):
    write("set/train.tsv", "label\ttext\n" + "good\ta\nbad\tb\n" * 10)
    write("set/unlabelled.tsv", "text\nx\n")
    path = write("set/unlabeled.csv", "text\nx\n").parent
    with pytest.raises(UserError, match=r"two files for unlabelled: unlabeled\.csv and unlabelled\.tsv"):
        load_task(path)
    with pytest.raises(UserError, match="unlabelled text 1 is a str, not a"):
        task(unlabelled=("a",))
