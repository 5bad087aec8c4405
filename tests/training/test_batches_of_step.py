"""A step of a large model takes its examples in several batches, where nothing else was asked for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from models import GOLDENS

from promptkit import RunConfig
from promptkit.backbones.native.engine import NativeEngine
from promptkit.running import settling
from promptkit.running.plan import Plan, make_plan
from promptkit.running.settling import HELD, batches_of_step
from promptkit.testing import write_tiny_model

INFO = replace(
    NativeEngine().describe(GOLDENS / "bert-odd").info, hidden_size=1000, flops_per_token=4_000_000_000
)  # 12 MB a token by the estimate


def plan(strategy: str = "soft", processes: int = 1, **given: Any) -> Plan:
    asked = {"data": "reviews-en", "model": str(GOLDENS / "bert-odd"), "max_length": 40, "shots": 16}
    asked["verbalizer"] = "positive=great; negative=terrible"
    return make_plan(RunConfig(strategy=strategy, **(asked | given)), processes=processes)


def per_token(plan: Plan) -> float:
    """Bytes that a token holds, by the estimate."""
    info = plan.model.info
    return 4 * 1.5 * info.flops_per_token / (2 * info.hidden_size)


@pytest.mark.parametrize(
    ("examples", "length", "batches"),
    [(32, 13, 1), (32, 14, 2), (32, 27, 4), (32, 10_000, 32), (33, 14, 3), (1, 9, 1)],
)
def test_the_batches_are_the_fewest_equal_ones_that_memory_holds(examples: int, length: int, batches: int) -> None:
    assert batches_of_step(INFO, examples, length) == batches
    if batches < examples:
        assert examples // batches * length * 12e6 <= HELD


def test_the_default_model_takes_its_steps_whole() -> None:
    settings = make_plan(RunConfig(strategy="soft", data="reviews-en")).settings
    assert (settings.batch_size, settings.accumulate) == (32, 1)


def test_only_what_nobody_asked_for_is_split(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = plan()
    monkeypatch.setattr(settling, "HELD", 10 * 40 * per_token(whole))  # ten of the 32 examples
    split = plan()
    assert (split.settings.batch_size, split.settings.accumulate) == (8, 4)
    assert split.settings.epochs == whole.settings.epochs, "a step is as many examples as before"
    assert split.key != whole.key
    assert split.key == plan(batch_size=8, accumulate=4).key
    for given in ({"batch_size": 32}, {"accumulate": 1}):
        assert plan(**given).key == whole.key
    for strategy in ("hard", "icl"):
        assert plan(strategy).settings.batch_size == 32, "nothing is held where nothing is trained"


def test_several_processes_share_a_step_as_it_is_given() -> None:
    assert plan(processes=2).settings.accumulate == 2
    assert plan(processes=2, accumulate=3).settings.accumulate == 6
    assert plan(processes=2).key == plan(accumulate=2, batch_size=32).key


def test_each_of_several_processes_holds_what_one_alone_would(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settling, "HELD", 10 * 40 * per_token(plan()))
    alone, two = plan().settings, plan(processes=2).settings
    assert (alone.batch_size, two.batch_size) == (8, 8)
    assert (alone.accumulate, two.accumulate) == (4, 8)


def test_rows_of_label_words_count_as_what_an_example_takes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The prompt is read once for every word of several pieces, so a step holds as many times more."""
    words = {"one": "positive=great; negative=bad", "more": "positive=great film; negative=bad plot"}
    asked = {"model": str(write_tiny_model(tmp_path / "causal", "causal")), "templates": "the {text} it was {mask}"}
    found = {name: plan("prefix", verbalizer=each, **asked) for name, each in words.items()}
    longest = {name: each.prompts[0].encoder.longest for name, each in found.items()}
    assert longest["more"] > longest["one"] == 40
    monkeypatch.setattr(settling, "HELD", 32 * longest["one"] * per_token(found["one"]))
    split = {name: plan("prefix", verbalizer=each, **asked).settings.accumulate for name, each in words.items()}
    assert split == {"one": 1, "more": 2}
