"""The examples shown are those that prompts disagree on most; without any, it is said why."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fake_comparisons import fake_comparison
from page_files import write_texts

from promptkit.analysis import Summary, summarise
from promptkit.analysis.disagreement import disagreement
from promptkit.reports.wording import compared_text, lack_text
from promptkit.runs.stored import StoredComparison

ODD = ("plain", "tab\tand\nline\x85end", "back\\slash \\n", "<script>alert(1)</script>", "中文", "")


def answers(comparison: StoredComparison, given: dict[str, Sequence[Sequence[int]]], truth: Sequence[int]) -> Summary:
    """The comparison with these answers, strategy -> seed -> example, to examples of these true classes."""
    entries = []
    for entry in comparison.entries:
        assert entry.run is not None
        predicted = np.array(given[entry.cell.strategy][entry.cell.seed])
        entries.append(replace(entry, run=replace(entry.run, truth=np.array(truth), predicted=predicted)))
    return summarise(replace(comparison, entries=tuple(entries)))


def test_the_most_disagreement_is_where_each_prompt_is_sure_and_they_differ(tmp_path: Path) -> None:
    comparison = fake_comparison(
        strategies=("soft", "pet"), baselines=(), shots=(16,), seeds=(0, 1, 2), test_examples=5, folder=tmp_path
    )
    truth = [1, 0, 1, 1, 0]
    # Example 1: three seeds against three. 3: three against two of three. 0: two against two. 2, 4: agreed.
    soft = [[1, 1, 1, 1, 0], [1, 1, 1, 1, 0], [0, 1, 1, 1, 0]]
    pet = [[0, 0, 1, 0, 0], [0, 0, 1, 0, 0], [1, 0, 0, 1, 0]]
    summary = answers(comparison, {"soft": soft, "pet": pet}, truth)
    write_texts(summary.comparison, ["a", "b", "c", "d", "e"])
    found = disagreement(summary)
    assert [example.index for example in found.examples] == [1, 3, 0]
    assert (found.total, found.of, found.lack) == (3, 5, None)
    first = found.examples[0]
    assert (first.fields, first.label) == ({"text": "b"}, "negative")
    assert [(a.name, a.predicted, a.seeds, a.of, a.right) for a in first.answers] == [
        ("soft", "positive", 3, 3, False),
        ("pet", "negative", 3, 3, True),
    ]
    assert [answer.seeds for answer in found.examples[1].answers] == [3, 2]
    assert compared_text(found) == "Compared here: soft, pet, with 16 examples a class."


def test_the_list_is_cut_and_equals_keep_their_order(tmp_path: Path) -> None:
    comparison = fake_comparison(
        strategies=("soft", "pet"), baselines=(), shots=(16,), seeds=(0,), test_examples=6, folder=tmp_path
    )
    summary = answers(comparison, {"soft": [[0] * 6], "pet": [[1] * 6]}, [0] * 6)
    write_texts(summary.comparison, ["x"])
    found = disagreement(summary, limit=4)
    assert [example.index for example in found.examples] == [0, 1, 2, 3]
    assert found.total == 6


def test_texts_come_back_as_they_were(tmp_path: Path) -> None:
    comparison = fake_comparison(strategies=("soft", "pet"), shots=(16,), test_examples=60, folder=tmp_path)
    write_texts(comparison, ODD, second=["second\ttext", "zwei"])
    found = disagreement(summarise(comparison), limit=60)
    assert len(found.examples) > 10
    for example in found.examples:
        assert example.fields["text"] == ODD[example.index % len(ODD)]
        assert example.fields["text_b"] == ["second\ttext", "zwei"][example.index % 2]


@pytest.mark.parametrize("shots", [(16,), (16, "full")])
def test_of_every_strategy_one_variant_and_one_k_is_compared(tmp_path: Path, shots: tuple[int | str, ...]) -> None:
    variants = {"soft": ("tokens=1", "tokens=5")}
    comparison = fake_comparison(
        strategies=("soft", "pet"),
        variants=variants,
        shots=shots,
        test_examples=60,
        folder=tmp_path,  # type: ignore[arg-type]
    )
    write_texts(comparison, ["x"])
    summary = summarise(comparison)
    picked = next(pick.variant for pick in summary.picks if pick.shots == shots[-1])
    names = [answer.name for answer in disagreement(summary).examples[0].answers]
    assert names == ["TF-IDF + logistic regression", "hard (zero-shot)", f"soft, {picked}", "pet"]


def test_the_k_that_most_strategies_have_is_taken(tmp_path: Path) -> None:
    missing = [("pet", "", "full", seed) for seed in (0, 1, 2)]
    comparison = fake_comparison(strategies=("soft", "pet"), missing=missing, test_examples=60, folder=tmp_path)  # type: ignore[arg-type]
    write_texts(comparison, ["x"])
    assert compared_text(disagreement(summarise(comparison))).endswith("with 16 examples a class.")


def test_one_directory_that_is_left_is_enough(tmp_path: Path) -> None:
    comparison = fake_comparison(strategies=("soft", "pet"), shots=(16,), test_examples=40, folder=tmp_path)
    write_texts(comparison, ["here"])
    folders = sorted(tmp_path.iterdir())
    for folder in folders[:-1]:
        shutil.rmtree(folder)
    assert disagreement(summarise(comparison)).examples[0].fields["text"] == "here"


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: None,
        lambda text: "",
        lambda text: text[: len(text) // 2],
        lambda text: text.replace("\tnegative\t", "\tpositive\t"),
        lambda text: text.replace("\ttext\n", "\ttext\tmore\tmore\n"),
    ],
    ids=["deleted", "empty", "torn", "of other examples", "of other columns"],
)
def test_without_whole_predictions_it_is_said_why_there_are_no_examples(tmp_path: Path, spoil) -> None:  # type: ignore[no-untyped-def]
    comparison = fake_comparison(strategies=("soft", "pet"), shots=(16,), test_examples=40, folder=tmp_path)
    write_texts(comparison, ["x"])
    for path in tmp_path.rglob("predictions.tsv"):
        text = spoil(path.read_text())
        path.unlink() if text is None else path.write_text(text)
    found = disagreement(summarise(comparison))
    assert found.examples == ()
    assert found.total > 0
    assert f"Prompts disagree on {found.total} of 40 test examples" in lack_text(found)
    assert "no run directory" in lack_text(found)


def test_a_single_prompt_has_nothing_to_disagree_with() -> None:
    found = disagreement(summarise(fake_comparison(strategies=("soft",), baselines=("majority",), shots=(16,))))
    assert found.examples == ()
    assert "not two prompts" in lack_text(found)


def test_prompts_that_agree_are_said_to() -> None:
    comparison = fake_comparison(strategies=("soft", "pet"), baselines=(), shots=(16,), seeds=(0,), test_examples=4)
    same = {"soft": [[0, 1, 0, 1]], "pet": [[0, 1, 0, 1]]}
    assert "the same answer on every test example" in lack_text(disagreement(answers(comparison, same, [0, 1, 1, 1])))


def test_a_prompt_judged_on_other_examples_is_left_out() -> None:
    comparison = fake_comparison(strategies=("soft", "pet"), baselines=(), shots=(16,), seeds=(0,), test_examples=4)
    entries = list(comparison.entries)
    assert entries[1].run is not None
    other = replace(entries[1].run, truth=np.array([0]), predicted=np.array([1]))
    entries[1] = replace(entries[1], run=other)
    found = disagreement(summarise(replace(comparison, entries=tuple(entries))))
    assert "not two prompts, judged on the same test examples" in lack_text(found)
