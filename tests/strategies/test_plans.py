"""What a plan makes of the settings for the data, and what it warns of; nothing is run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from models import GOLDENS

from promptkit.running.config import make_config
from promptkit.running.plan import Plan, make_plan


def plan_of(data: Path, **settings: Any) -> Plan:
    usual = {"strategy": "hard", "data": str(data), "model": str(GOLDENS / "bert-short"), "quiet": True}
    return make_plan(make_config(**usual, verbalizer="positive=great; negative=terrible", **settings))


def test_the_data_is_cleaned_if_that_is_asked(tiny_data: Path) -> None:
    notes = {
        clean: [each for each in plan_of(tiny_data, clean=clean).task.notes if "cleaned" in each]
        for clean in (True, False)
    }
    assert notes == {True: ["texts cleaned: lower case, letters only, at most 51 tokens"], False: []}


def test_the_columns_are_those_that_are_named(tmp_path: Path) -> None:
    rows = "".join(f"{('positive', 'negative')[n % 2]}\tleft {n}\tright {n}\n" for n in range(20))
    (tmp_path / "pairs.tsv").write_text("verdict\tone\tother\n" + rows, encoding="utf-8")
    named = {"label_column": "verdict", "text_column": "other", "text_b_column": "one"}
    task = plan_of(tmp_path / "pairs.tsv", templates=("{text} {mask} {text_b}",), **named).task
    for example in task.train:
        assert example.text.replace("right", "left") == example.text_b


def test_words_of_the_template_that_the_model_does_not_know_are_warned_of(tiny_data: Path) -> None:
    plan = plan_of(tiny_data, templates=("{text} 好 {mask} 坏",))
    plan.encode()
    (said,) = (each for each in plan.warnings if "unknown" in each)
    assert said.startswith("template '{text} 好 {mask} 坏': 2 of its pieces are unknown to model ")


def test_a_length_that_the_model_does_not_reach_is_warned_of(tiny_data: Path) -> None:
    for length, warns in ((128, False), (129, True)):
        plan = plan_of(tiny_data, max_length=length)
        plan.encode()
        said = [each for each in plan.warnings if each.endswith("reads 50 tokens at most: --max-length 50 is used")]
        assert bool(said) == warns
