"""Classes that train lacks, and labels of one spelling: runs that learn warn of them, and a comparison notes them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from promptkit.comparison import compare, make_experiment
from promptkit.data import Example, load_task
from promptkit.data.classes import note_classes
from promptkit.running.config import make_config
from promptkit.running.plan import make_plan

LACKING = "train has no example of c (1 of 2 test texts): what learns from train cannot learn it"
LACKING_TWO = "train has no example of Neg, Pos (2 of 2 test texts): what learns from train cannot learn them"
ALIKE = (
    "labels that differ only in letter case or white space are classes of their own: 'Neg' and 'neg'; 'Pos' and 'pos'"
)
WORDS = "a=good; b=bad; c=fine"


@pytest.fixture
def folder(write):
    """Return a function that writes a data set with the given labels, two texts of each in train and dev."""

    def build(train, test):
        for split, labels in (("train", train * 2), ("dev", train * 2), ("test", test)):
            rows = "".join(f"{label}\t{split} {number}\n" for number, label in enumerate(labels))
            write(f"set/{split}.tsv", "label\ttext\n" + rows)
        return str(write("set/dataset.json", '{"language": "en"}').parent)

    return build


def test_a_class_that_train_lacks_is_said_with_how_many_test_texts_have_it(folder):
    assert load_task(folder(["a", "b"], ["a", "c"])).cautions == (LACKING,)


def test_labels_that_differ_in_letter_case_or_white_space_are_said(folder, toy):
    assert load_task(folder(["pos", "neg"], ["Pos", "Neg"])).cautions == (LACKING_TWO, ALIKE)
    spaced = replace(toy(), labels=("a", "b", "no way", "no  way"), train=tuple(Example(n, n) for n in "ab"))
    assert note_classes(spaced).cautions[-1].endswith(": 'no way' and 'no  way'")


def test_classes_that_train_has_are_no_matter(toy):
    assert note_classes(toy()).cautions == ()


@pytest.mark.parametrize(("strategy", "warned"), [("probe", True), ("finetune", True), ("hard", False)])
def test_a_run_warns_of_what_train_lacks_if_it_looks_at_train(folder, strategy, warned):
    data = folder(["a", "b"], ["a", "c"])
    plan = make_plan(make_config(strategy=strategy, data=data, quiet=True, verbalizer=WORDS))
    plan.encode()
    assert (LACKING in plan.warnings) == warned


def test_labels_alike_are_warned_of_by_what_learns_nothing_too(folder):
    data = folder(["pos", "neg"], ["Pos", "Neg"])
    words = "pos=good; neg=bad; Pos=fine; Neg=terrible"
    plan = make_plan(make_config(strategy="hard", data=data, quiet=True, verbalizer=words))
    plan.encode()
    assert plan.warnings[:1] == [ALIKE]


def test_a_comparison_notes_them(folder, tmp_path):
    data = folder(["a", "b"], ["a", "c"])
    experiment = make_experiment(
        strategies=("probe",), shots="full", seeds=1, data=data, settings={"verbalizer": WORDS}
    )
    notes = compare(experiment, store=tmp_path / "store", dry=True).notes
    assert LACKING in notes
