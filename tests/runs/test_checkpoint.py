"""When a state is saved, and what it says of the process that saved it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from promptkit.runs import checkpoint
from promptkit.runs.checkpoint import Checkpoints


class Clock:
    """Goes on when it is told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def perf_counter(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    found = Clock()
    monkeypatch.setattr(checkpoint, "time", found)
    return found


def test_a_state_that_takes_long_to_write_is_written_less_often(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slow(*_: Any) -> int:
        clock.now += 3.0
        return 0

    monkeypatch.setattr(checkpoint, "save_artifact", slow)
    state = Checkpoints(tmp_path, "run", every=15.0).member(0)
    clock.now = 14.9
    assert not state.due()
    clock.now = 15.0
    assert state.due()
    state.save({}, {})
    clock.now += 59.9
    assert not state.due(), "a twentieth of the time at most goes into saving"
    clock.now += 0.1
    assert state.due()


def test_every_step_means_every_step(tmp_path: Path, clock: Clock) -> None:
    state = Checkpoints(tmp_path, "run", every=0.0).member(0)
    state._took = 9.0
    assert state.due()


def test_the_peak_of_an_earlier_process_is_remembered(tmp_path: Path) -> None:
    first = Checkpoints(tmp_path, "run", peak_mb=lambda: 800.0)
    assert first.earlier_peak_mb == 0
    first.member(0).save({}, {})
    second = Checkpoints(tmp_path, "run", peak_mb=lambda: 300.0)
    assert second.earlier_peak_mb == 800
    second.member(0).save({}, {})
    assert Checkpoints(tmp_path, "run").earlier_peak_mb == 800
