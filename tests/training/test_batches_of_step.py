"""A step of a large model takes its examples in several batches, where nothing else was asked for."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from models import GOLDENS

from promptkit import RunConfig
from promptkit.backbones.native.engine import NativeEngine
from promptkit.ranks import Ranks
from promptkit.running import settling
from promptkit.running.plan import Plan, make_plan
from promptkit.running.runner import _shared
from promptkit.running.settling import HELD, batches_of_step

INFO = replace(
    NativeEngine().describe(GOLDENS / "bert-odd").info, hidden_size=1000, flops_per_token=4_000_000_000
)  # 12 MB a token by the estimate


def plan(strategy: str = "soft", **given: Any) -> Plan:
    asked = {"data": "reviews-en", "model": str(GOLDENS / "bert-odd"), "max_length": 40, "shots": 16}
    verbalizer = "positive=great; negative=terrible"
    return make_plan(RunConfig(strategy=strategy, verbalizer=verbalizer, **(asked | given)))


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
    small = whole.model.info
    per_token = 4 * 1.5 * small.flops_per_token / (2 * small.hidden_size)
    monkeypatch.setattr(settling, "HELD", 10 * 40 * per_token)  # ten of the 32 examples
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
    config = RunConfig(strategy="soft", data="reviews-en")
    assert _shared(config, Ranks(size=2)).accumulate == 2
    assert _shared(config.model_copy(update={"accumulate": 3}), Ranks(size=2)).accumulate == 6
