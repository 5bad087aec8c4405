"""Folders of data files: their splits, their card, and what is refused rather than passed over."""

from __future__ import annotations

import json

import pytest

from promptkit.data.readers import read_folder
from promptkit.data.tables import Columns
from promptkit.errors import UserError

GOOD = "label\ttext\npos\tfine\nneg\tdull\n"


@pytest.mark.parametrize("dev", ["dev.csv", "valid.csv", "validation.csv", "val.csv", "reviews-dev.csv"])
def test_a_folder_gives_the_splits_its_files_are_named_after(write, tmp_path, dev):
    write("my_train.tsv", GOOD)
    write(dev, GOOD.replace("\t", ","))
    write("test.jsonl", '{"text": "fine", "label": "pos"}\n')
    write("notes.tsv", "not\ta\tsplit\n")
    read = read_folder(tmp_path)
    assert {split: len(examples) for split, examples in read.splits.items()} == {
        "train": 2,
        "dev": 2,
        "test": 1,
    }


def test_a_card_names_columns_labels_and_language(write, tmp_path):
    write("all.csv", "A,B,label\nfine,yes,x\n")
    card = {"name": "mine", "language": "zh", "text": "A", "label": "B", "labels": ["yes", "no"]}
    write("dataset.json", json.dumps(card))
    read = read_folder(tmp_path)
    assert [(it.label, it.text) for it in read.splits["all"]] == [("yes", "fine")]
    assert (read.name, read.info.language, read.info.labels) == ("mine", "zh", ("yes", "no"))
    assert [it.label for it in read_folder(tmp_path, Columns(label="label")).splits["all"]] == ["x"]


@pytest.mark.parametrize(
    ("names", "left"),
    [
        ("train.csv, test (1).csv", "test (1).csv"),
        ("my test.csv, latest.csv, my_train.csv", "latest.csv"),
        ("test_reviews.jsonl, train.csv", "test_reviews.jsonl"),
        ("train.csv, a.neg, a.pos", "a.neg, a.pos"),
        ("train.neg, train.pos, unsup.pos, test_a.tsv", "test_a.tsv"),
        ("train.txt, test (1).txt", "test (1).txt"),
    ],
)
def test_a_file_that_may_be_the_missing_split_is_not_passed_over(write, tmp_path, names, left):
    for name in names.split(", "):
        write(name, GOOD)
    with pytest.raises(UserError) as refusal:
        read_folder(tmp_path)
    assert str(refusal.value) == (
        f"folder '{tmp_path}' holds files whose names end in no split: {left}. Rename them, as in "
        "reviews_test.csv, or move them elsewhere, or give one file by its path."
    )


@pytest.mark.parametrize("left", ["test.xlsx", "x_TEST.JSON", "reviews-test.csv.gz", "validation.parquet"])
def test_a_missing_split_in_a_format_that_is_not_read_is_not_passed_over(write, tmp_path, left):
    write("train.csv", GOOD)
    write(left, "anything")
    with pytest.raises(UserError) as refusal:
        read_folder(tmp_path)
    assert str(refusal.value) == (
        f"folder '{tmp_path}' holds {left}, and no such split that can be read: save it as CSV, TSV or JSON Lines in "
        "UTF-8, or move it elsewhere."
    )


@pytest.mark.parametrize(
    "beside",
    [
        "README.txt",
        "msr_paraphrase_data.txt",
        "test_words.txt",
        ".test (1).tsv",
        "test.md",
        "train.tsv.md5",
        "test.json",
    ],
)
def test_a_file_that_is_no_split_may_lie_beside_them(write, tmp_path, beside):
    write("my train.tsv", GOOD)
    write("test.tsv", GOOD)
    write(beside, "no data\n")
    assert set(read_folder(tmp_path).splits) == {"train", "test"}


BAD_FOLDERS = {
    "nothing": (
        {"readme.md": "hello"},
        "folder '{folder}' holds neither train/dev/test tables nor *.pos and *.neg files nor one single "
        "table (.csv, .tsv, .txt, .jsonl), but no table.",
    ),
    "two tables": (
        {"a.csv": GOOD, "b.csv": GOOD},
        "folder '{folder}' holds neither train/dev/test tables nor *.pos and *.neg files nor one single "
        "table (.csv, .tsv, .txt, .jsonl), but a.csv, b.csv.",
    ),
    "a split twice": (
        {"dev.tsv": GOOD, "valid.tsv": GOOD, "train.tsv": GOOD},
        "folder '{folder}' holds two files for dev: dev.tsv and valid.tsv.",
    ),
    "an empty polarity file": ({"a.pos": "fine\n", "a.neg": ""}, "'{folder}/a.neg' is empty."),
    "a broken card": (
        {"a.csv": GOOD, "dataset.json": '{\n"name": }'},
        "{folder}/dataset.json, line 2, column 9: not valid JSON: Expecting value.",
    ),
    "a card that is no object": (
        {"a.csv": GOOD, "dataset.json": "[]"},
        "{folder}/dataset.json: a JSON object is expected, not a list.",
    ),
    "a misspelt key": (
        {"a.csv": GOOD, "dataset.json": '{"lable": "x"}'},
        "{folder}/dataset.json: unknown key 'lable'. Did you mean 'label'? Known: answer, fields, label, labels, "
        "language, licence, name, summary, templates, text, text_b, verbalizer.",
    ),
    "a value of the wrong type": (
        {"a.csv": GOOD, "dataset.json": '{"labels": "pos, neg"}'},
        "{folder}/dataset.json: labels: Input should be a valid tuple (got 'pos, neg').",
    ),
}


@pytest.mark.parametrize("case", BAD_FOLDERS)
def test_a_bad_folder_is_refused_in_one_line(write, tmp_path, case):
    files, message = BAD_FOLDERS[case]
    for name, content in files.items():
        write(name, content)
    with pytest.raises(UserError) as refusal:
        read_folder(tmp_path)
    assert str(refusal.value) == message.format(folder=tmp_path)


@pytest.mark.parametrize("target", ["nowhere", "test.tsv"])
def test_a_split_whose_file_is_not_there_is_not_made_up_from_another(write, tmp_path, target):
    write("train.tsv", GOOD)
    (tmp_path / "test.tsv").symlink_to(target)
    with pytest.raises(UserError, match=r"test\.tsv' is a symbolic link that leads nowhere"):
        read_folder(tmp_path)


def test_a_folder_named_as_a_split_is_not_passed_over(write, tmp_path):
    write("train.tsv", GOOD)
    (tmp_path / "test.tsv").mkdir()
    with pytest.raises(UserError, match=r"test\.tsv' is no file"):
        read_folder(tmp_path)


def test_a_folder_that_cannot_be_listed_is_refused(tmp_path, monkeypatch):
    def refused(self):
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(type(tmp_path), "iterdir", refused)
    with pytest.raises(UserError, match=r"^cannot read '.*': Permission denied"):
        read_folder(tmp_path)
