"""The majority class is that of the data, not that of a draw, which has as many examples of each class."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from models import GOLDENS

import promptkit
from promptkit.analysis import summarise
from promptkit.comparison import compare, make_experiment
from promptkit.running.config import make_config
from promptkit.running.plan import make_plan

MODEL = GOLDENS / "bert-short"
VERBALIZER = "negative=terrible; positive=great"


@pytest.fixture
def unbalanced(tmp_path: Path) -> str:
    """Data with nine texts in ten of the second class, in every split."""
    for split in ("train", "dev", "test"):
        labels = ["positive" if number % 10 else "negative" for number in range(60)]
        rows = [f"{label}\t{split} movie {number}" for number, label in enumerate(labels)]
        (tmp_path / f"{split}.tsv").write_text("\n".join(["label\ttext", *rows]) + "\n", encoding="utf-8")
    return str(tmp_path)


@pytest.mark.parametrize("settings", [{}, {"shots": 2}, {"fold": "1/3"}])
def test_a_plan_knows_the_class_most_frequent_before_shots_are_drawn(
    unbalanced: str, settings: dict[str, Any]
) -> None:
    config = make_config(strategy="hard", data=unbalanced, model=str(MODEL), verbalizer=VERBALIZER, **settings)
    assert make_plan(config).majority == "positive"


def test_a_few_shot_run_that_is_worse_is_warned_of_and_recorded(unbalanced: str) -> None:
    pytest.importorskip("mindspore")
    record = promptkit.run(
        "hard", data=unbalanced, model=str(MODEL), verbalizer="negative=great; positive=terrible", shots=2,
        mode="pynative", quiet=True, save=False,
    ).record  # fmt: skip
    assert record.test.majority == 0.9
    assert record.dev.majority == 0.5
    assert any("the majority class (0.900)" in warning for warning in record.warnings)


def test_baselines_of_a_draw_are_held_against_it_and_marked(unbalanced: str, tmp_path: Path) -> None:
    experiment = make_experiment(data=unbalanced, strategies=(), shots=(2, "full"), seeds=2)
    found = compare(experiment, store=tmp_path / "store").comparison
    assert [entry.run.record.test.majority for entry in found.entries if entry.run] == [0.9] * 4
    rows = {(row.strategy, row.shots): row for row in summarise(found).rows}
    assert rows["majority", None].test.mean == 0.9
    assert rows["tfidf", 2].test.mean < 0.9
    assert rows["tfidf", 2].no_better_than_majority
