"""What the coordinator hands to those who carry cells out."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from invented import Pool

from promptkit.comparison import Experiment, compare

Make = Callable[..., Experiment]


def test_as_many_are_carried_out_at_a_time_as_asked(
    tiny: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    def nobody(orders: Any, jobs: int) -> Iterator[Any]:
        asked.append(jobs)
        yield from ()

    monkeypatch.setattr("promptkit.comparison.coordinator.run_here", nobody)
    compare(tiny(strategies=["soft"], seeds=1), store=tmp_path, jobs=3)
    assert asked == [3]


def test_the_seeds_of_a_cell_are_kin_and_others_are_not(
    tiny: Make, tmp_path: Path, pool: Callable[..., Pool]
) -> None:
    made = pool()
    compare(tiny(strategies=["pet", "soft"], shots=[2, 4], seeds=2, baselines=[]), store=tmp_path / "s")
    kins: dict[tuple[str, int], list[str]] = defaultdict(list)
    for order in made.orders:
        config = json.loads(order.config)
        kins[config["strategy"], config["shots"]].append(order.kin)
    assert [len(own) for own in kins.values()] == [2] * 4
    assert [len(set(own)) for own in kins.values()] == [1] * 4
    assert len({kin for own in kins.values() for kin in own}) == 4
