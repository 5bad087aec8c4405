"""Data sets by name or path."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from dataclasses import replace

import pytest

from promptkit.data import list_datasets, load_task
from promptkit.data.catalog import guess_language
from promptkit.data.doubles import note_doubles, text_key
from promptkit.errors import UserError
from promptkit.evaluation import share_of
from promptkit.prompting import Template, Verbalizer

EMBEDDED = {"dialogue-en", "dialogue-zh", "entailment-en", "news-en", "news-zh", "reviews-en", "reviews-zh"}


@pytest.mark.parametrize(
    ("name", "language", "sizes"),
    [("reviews-en", "en", (422, 104, 320)), ("reviews-zh", "zh", (160, 52, 108))],
)
def test_embedded_sets_have_the_sizes_on_their_cards_half_positive(name, language, sizes):
    task = load_task(name)
    assert (task.name, task.language, task.labels) == (name, language, ("negative", "positive"))
    for split, size in zip((task.train, task.dev, task.test), sizes, strict=True):
        assert Counter(example.label for example in split) == {"negative": size // 2, "positive": size // 2}
    assert share_of("positive", task.test) == 0.5


@pytest.mark.parametrize(
    ("name", "language", "labels", "sizes", "fields"),
    [
        ("news-en", "en", ("business", "culture", "health", "science", "sports"), (80, 40, 80), ("text",)),
        ("news-zh", "zh", ("财经", "健康", "体育", "科技"), (64, 32, 64), ("text",)),
        ("entailment-en", "en", ("entailment", "neutral", "contradiction"), (48, 24, 48), ("text", "text_b")),
    ],
)
def test_embedded_sets_with_prompts_of_their_own_are_balanced_and_without_doubles(
    name, language, labels, sizes, fields
):
    task = load_task(name)
    assert (task.name, task.language, task.labels, task.fields) == (name, language, labels, fields)
    for split, size in zip((task.train, task.dev, task.test), sizes, strict=True):
        assert Counter(example.label for example in split) == dict.fromkeys(labels, size // len(labels))
    assert task.cautions == ()
    texts = [text_key(example) for split in (task.train, task.dev, task.test) for example in split]
    assert len(set(texts)) == len(texts)
    # No premise stands on two sides.
    premises = [{example.text for example in split} for split in (task.train, task.dev, task.test)]
    assert len(set.union(*premises)) == sum(map(len, premises))
    assert Verbalizer.parse(task.verbalizer or "").labels == labels
    assert Template.parse(task.templates[0]).has_mask


def test_the_listing_tells_what_loading_would():
    cards = {card.name: card for card in list_datasets()}
    assert set(cards) == EMBEDDED
    assert dict(cards["reviews-en"].sizes) == {"train": 422, "dev": 104, "test": 320}
    assert cards["reviews-zh"].language == "zh"
    assert all(card.summary and card.licence == "Apache-2.0" for card in cards.values())


def test_registered_sets_are_listed_unloaded_and_loaded_by_name(toy):
    calls = []

    def build():
        calls.append(1)
        return toy()

    assert [card.name for card in list_datasets({"mine": build})] == [*sorted(EMBEDDED), "mine"]
    assert not calls
    assert load_task("mine", registry={"mine": build}) == toy()


def test_rt_polarity_becomes_8530_1066_and_1066_examples(shared):
    task = load_task(shared("rt-polarity"))
    assert [len(split) for split in (task.train, task.dev, task.test)] == [8530, 1066, 1066]
    assert all(
        sum(example.label == "positive" for example in split) * 2 == len(split)
        for split in (task.train, task.dev, task.test)
    )
    assert task.fingerprint == "94075694826aeb48"


def test_sst2_is_judged_by_its_dev_set(shared):
    task = load_task(shared("sst2"))
    assert len(task.test) == 872
    assert len(task.train) + len(task.dev) == 67349
    assert share_of("1", task.test) == pytest.approx(444 / 872)


def test_a_chinese_file_is_known_by_its_letters(shared):
    task = load_task(shared("chnsenticorp-htl"))
    assert task.language == "zh"
    assert task.cautions[0] == "1 example dropped: the text is empty"
    assert share_of("1", task.test) == 0.7


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("一部好电影 OK", "zh"),
        ("a fine film", "en"),
        ("とても良い映画", "en"),
        ("123 !", "en"),
        ("naïve 好", "en"),
    ],
)
def test_language_goes_by_the_letters(text, language):
    assert guess_language([text]) == language


def test_a_kana_here_and_there_does_not_make_chinese_reviews_english():
    texts = [f"房间很干净，早餐第{n}天也不错" for n in range(499)]
    assert guess_language([*texts, "这家奶茶の店味道很好"]) == "zh"
    assert guess_language([text.replace("很", "とても") for text in texts]) == "en"


def test_cautions_of_a_set_that_was_looked_at_before_stand_once(toy):
    task = replace(toy(), train=toy().test)
    once = note_doubles(task)
    assert len(once.cautions) == 1
    assert note_doubles(once) == once


def test_cleaning_keeps_the_split(write):
    rows = "".join(f"{'good' if i % 2 else 'bad'}\tText No. {i}: {'x' * i}\n" for i in range(1, 41))
    path = write("a.tsv", "label\ttext\n" + rows)
    plain, clean = load_task(path), load_task(path, clean=True)
    assert [len(example.text.split()[-1]) for example in plain.test] == [
        len(example.text.split()[-1]) for example in clean.test
    ]
    assert clean.test[0].text.startswith("text no x")
    assert clean.notes[-1] == "texts cleaned: lower case, letters only, at most 51 tokens"


def test_columns_and_encoding_reach_the_reader(write):
    rows = "".join(f"{i % 2};,é{i},é\n" for i in range(8))
    path = write("a.csv", ("K,A,B\n" + rows).encode("cp1252"))
    task = load_task(path, text_column="A", text_b_column="B", label_column="K", encoding="cp1252")
    assert task.test[0].text_b == "é"
    assert task.labels == ("0;", "1;")


@pytest.mark.parametrize("data", ["reviews-em", "mien", ""])
def test_an_unknown_name_is_refused_with_the_names_there_are(toy, data):
    near = {"reviews-em": " Did you mean 'reviews-en'?", "mien": " Did you mean 'mine'?", "": ""}[data]
    with pytest.raises(UserError) as refusal:
        load_task(data, registry={"mine": toy})
    known = ", ".join(sorted({*EMBEDDED, "mine"}))
    assert str(refusal.value) == f"unknown data set '{data}'.{near} Known: {known}."


def test_a_missing_path_is_refused_with_the_near_file(write, tmp_path):
    write("reviews.csv", "x")
    with pytest.raises(UserError) as refusal:
        load_task(tmp_path / "reviewz.csv")
    assert str(refusal.value) == (f"no file or folder '{tmp_path / 'reviewz.csv'}'. Did you mean 'reviews.csv'?")


def test_a_file_of_one_class_is_refused(write, tmp_path):
    path = write("a.csv", "label,text\n1,a\n1,b\n1,c\n")
    with pytest.raises(UserError) as refusal:
        load_task(path)
    assert str(refusal.value) == "data 'a' has only one class to learn ('1'); two are needed."
    path = write("sub/x.pos", "fine\n")
    with pytest.raises(UserError) as refusal:
        load_task(path)
    assert str(refusal.value) == (f"'{path}' holds one class alone: name its folder, which has the other one too.")
    with pytest.raises(UserError, match="only one class to learn"):
        load_task(path.parent)


@pytest.mark.parametrize("given", [{"text_column": "A"}, {"encoding": "utf-8"}])
def test_columns_and_encoding_for_a_registered_set_are_refused(toy, given):
    with pytest.raises(UserError) as refusal:
        load_task("mine", registry={"mine": toy}, **given)
    assert str(refusal.value) == "data set 'mine' comes from a plugin: columns and encoding are for files."


def test_missing_embedded_data_is_said(monkeypatch, tmp_path):
    monkeypatch.setattr("promptkit.data.catalog.__file__", str(tmp_path / "a" / "data" / "catalog.py"))
    with pytest.raises(UserError, match=r"promptkit's embedded data is missing beside .*: install promptkit again"):
        load_task("reviews-en")


def test_the_data_room_imports_neither_mindspore_nor_an_engine():
    code = (
        "import sys, promptkit.data; promptkit.data.load_task('reviews-en'); "
        "print([m for m in sys.modules if m.split('.')[0] in ('mindspore', 'torch', 'pandas') "
        "or m.startswith('promptkit.backbones.native')])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
