"""What a cell's process may do to itself, and what is made of it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from promptkit.comparison import folders, orders
from promptkit.comparison.orders import Order, carry_out

START = subprocess.Popen


@pytest.fixture
def order(tmp_path: Path) -> Order:
    return Order("k", "{}", str(tmp_path / "cell"), os.getcwd())


@pytest.fixture
def behave(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str], list[int]]:
    """Put another program in the worker's place; it finds its folder in `folder`. Returns the list of its starts."""
    starts: list[int] = []

    def use(program: str) -> list[int]:
        def start(command: list[str], **options: Any) -> Any:
            code = f"import os, signal, sys; from pathlib import Path; folder = Path(sys.argv[1]); {program}"
            starts.append(1)
            return START([sys.executable, "-c", code, command[-2]], **options)

        monkeypatch.setattr(orders.subprocess, "Popen", start)
        return starts

    return use


FINISH = "(folder / 'result').mkdir(); (folder / 'result' / 'run.json').write_text('done')"


def test_where_a_finished_cell_lies_comes_back(order: Order, behave: Callable[[str], list[int]]) -> None:
    behave(FINISH)
    outcome = carry_out(order)
    assert (Path(outcome.result) / "run.json").read_text() == "done"
    # Asked again, it is not run again.
    starts = behave("raise SystemExit(9)")
    assert carry_out(order) == outcome
    assert len(starts) == 1


def test_a_killed_process_is_started_again(order: Order, behave: Callable[[str], list[int]]) -> None:
    starts = behave(
        "seen = folder / 'seen'; first = not seen.exists(); seen.touch()\n"
        f"if first: os.kill(os.getpid(), 9)\n{FINISH}"
    )
    assert (Path(carry_out(order).result) / "run.json").read_text() == "done"
    assert len(starts) == 2


def test_one_that_is_always_killed_is_given_up(order: Order, behave: Callable[[str], list[int]]) -> None:
    starts = behave("os.kill(os.getpid(), 9)")
    outcome = carry_out(order)
    assert len(starts) == 3
    assert outcome.bad_input
    assert "killed 3 times (signal 9" in outcome.failure


def test_bad_input_is_its_own_line_and_is_not_tried_again(order: Order, behave: Callable[[str], list[int]]) -> None:
    starts = behave("(folder / 'failure.txt').write_text('lower --lr.'); raise SystemExit(2)")
    outcome = carry_out(order)
    assert (outcome.failure, outcome.bad_input, len(starts)) == ("lower --lr.", True, 1)


def test_a_full_disk_is_said_even_where_nothing_can_be_written(
    order: Order, behave: Callable[[str], list[int]]
) -> None:
    behave(f"raise SystemExit({folders.DISK})")
    outcome = carry_out(order)
    assert outcome.bad_input
    assert "no space" in outcome.failure


def test_a_bug_brings_its_traceback(order: Order, behave: Callable[[str], list[int]]) -> None:
    behave("raise KeyError('oops')")
    outcome = carry_out(order)
    assert not outcome.bad_input
    assert "KeyError: 'oops'" in outcome.failure
    assert outcome.failure.startswith("its process ended with code 1; see ")


def test_a_place_that_is_not_there_is_no_crash(order: Order) -> None:
    outcome = carry_out(replace(order, where="/nowhere/at/all"))
    assert outcome.bad_input
    assert "cannot start in '/nowhere/at/all'" in outcome.failure


def test_a_failure_of_yesterday_does_not_count_today(order: Order, behave: Callable[[str], list[int]]) -> None:
    behave("(folder / 'failure.txt').write_text('old'); raise SystemExit(2)")
    carry_out(order)
    behave("raise SystemExit(1)")
    assert "old" not in carry_out(order).failure


def test_the_worker_starts_without_a_warning(order: Order, capfd: pytest.CaptureFixture[str]) -> None:
    """Python warns of a module that its own package has imported before it is run."""
    outcome = carry_out(replace(order, where="/nowhere/at/all", shows=True))
    assert outcome.bad_input
    assert capfd.readouterr().err == ""
