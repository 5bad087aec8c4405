"""What earlier processes of a run took and held is counted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("mindspore")

from promptkit.runs import load_artifact, save_artifact


def test_a_run_that_goes_on_has_the_costs_of_all_its_processes(tiny_run: Callable[..., Any], tmp_path: Path) -> None:
    settings: dict[str, Any] = {
        "templates": ("{text} it was {mask} .",), "epochs": 1, "mode": "pynative", "shots": 2, "limit": 4,
        "checkpoint": tmp_path,
    }  # fmt: skip
    tiny_run("pet", **settings)
    (state,) = tmp_path.iterdir()
    arrays, card = load_artifact(state)
    card |= {"spent": 5_000.0, "peak_mb": 9e6, "values": card["values"] | {"seconds": 700.0}}
    save_artifact(state, arrays, card)
    cost = tiny_run("pet", **settings).record.cost
    assert cost.seconds.total > 5_000
    assert 700 <= cost.seconds.train < 1_000
    assert cost.peak_memory_mb == 9e6
