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
from models import GOLDENS

from promptkit.comparison import folders, keeping, pools
from promptkit.comparison.keeping import Keeper
from promptkit.comparison.orders import Order, carry_out
from promptkit.comparison.pools import run_here
from promptkit.running.config import make_config

START = subprocess.Popen


@pytest.fixture
def order(tmp_path: Path) -> Order:
    return Order("k", "{}", str(tmp_path / "cell"), os.getcwd())


@pytest.fixture
def behave(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str], list[int]]:
    """Put another program in the worker's place; returns the list of its starts.

    It finds its first folder in `folder`; `following()` says that it is done and returns the next.
    """
    starts: list[int] = []

    def use(program: str) -> list[int]:
        def start(command: list[str], **options: Any) -> Any:
            starts.append(1)
            control = command[command.index("--control") + 1]
            return START([sys.executable, "-c", f"{PREAMBLE}\n{program}", command[-2], control], **options)

        monkeypatch.setattr(keeping.subprocess, "Popen", start)
        return starts

    return use


PREAMBLE = """
import os, signal, socket, sys
from pathlib import Path
folder, line = Path(sys.argv[1]), socket.socket(fileno=int(sys.argv[2]))
def following():
    line.sendall(b"+")
    said = line.recv(4096)
    return Path(said[:-1].decode()) if said else sys.exit(0)
"""
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


# Carries out one folder after the other; the number of the process stands in the result.
GOES_ON = """
while True:
    (folder / 'result').mkdir()
    (folder / 'result' / 'run.json').write_text(str(os.getpid()))
    folder = following()
"""


def several(tmp_path: Path, *kins: str) -> list[Order]:
    return [Order(str(n), "{}", str(tmp_path / f"cell-{n}"), os.getcwd(), kin=kin) for n, kin in enumerate(kins)]


def processes(outcomes: list[Any]) -> list[str]:
    """Return the process that carried out each order, in their order."""
    assert all(outcome.result for outcome in outcomes)
    results = sorted(outcomes, key=lambda it: it.key)
    return [(Path(outcome.result) / "run.json").read_text() for outcome in results]


def test_a_process_goes_on_with_its_kin_and_no_other(tmp_path: Path, behave: Callable[[str], list[int]]) -> None:
    starts = behave(GOES_ON)
    a, b, c, d, e = processes(list(run_here(several(tmp_path, "x", "y", "x", "y", "x"), 1)))
    assert a == c == e != b == d
    assert len(starts) == 2


def test_two_at_a_time_take_a_kin_each_and_then_help_each_other(
    tmp_path: Path, behave: Callable[[str], list[int]]
) -> None:
    starts = behave(GOES_ON)
    outcomes = list(run_here(several(tmp_path, "x", "x", "y", "y"), 2))
    assert len(set(processes(outcomes))) == len(starts)
    assert 2 <= len(starts) <= 3
    starts.clear()
    outcomes = list(run_here(several(tmp_path / "more", *"xxxxxxxx"), 2))
    assert len(set(processes(outcomes))) == len(starts) == 2


def test_one_that_is_killed_at_a_later_cell_loses_that_one_only(
    tmp_path: Path, behave: Callable[[str], list[int]]
) -> None:
    starts = behave(
        f"ended = folder.parent / 'ended'\n{GOES_ON}"
        "    if not ended.exists(): ended.touch(); os.kill(os.getpid(), 9)\n"
    )
    a, b, c = processes(list(run_here(several(tmp_path, "x", "x", "x"), 1)))
    assert a != b == c
    assert len(starts) == 2


def test_a_failure_ends_the_process_and_the_next_cell_has_a_new_one(
    tmp_path: Path, behave: Callable[[str], list[int]]
) -> None:
    behave(f"if folder.name == 'cell-0': sys.exit('oops')\n{GOES_ON}")
    first, second = sorted(run_here(several(tmp_path, "x", "x"), 1), key=lambda it: it.key)
    assert "oops" in first.failure
    assert second.result


def test_whoever_stops_early_leaves_no_process(tmp_path: Path, behave: Callable[[str], list[int]]) -> None:
    behave(GOES_ON)
    outcomes = run_here(several(tmp_path, "x", "y"), 1)
    pid = int((Path(next(outcomes).result) / "run.json").read_text())
    outcomes.close()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_process_that_is_kept_ends_with_its_keeper(tmp_path: Path, behave: Callable[[str], list[int]]) -> None:
    behave(GOES_ON)
    keeper = Keeper()
    (order,) = several(tmp_path, "x")
    pid = int((Path(carry_out(order, keeper).result) / "run.json").read_text())
    os.kill(pid, 0)
    keeper.end()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_cell_whose_data_is_not_what_it_was_planned_with_is_not_run(tmp_path: Path, tiny_reviews: Path) -> None:
    """Its run would be listed under the key of the old data."""
    from promptkit.comparison import worker
    from promptkit.running.session import Session

    cell = tmp_path / "0123456789abcdef"
    cell.mkdir()
    config = make_config(strategy="hard", data=str(tiny_reviews), model=str(GOLDENS / "bert-odd"), quiet=True)
    (cell / folders.ORDER).write_text(config.model_dump_json(), encoding="utf-8")
    assert worker._run(cell, Session()) == folders.BAD_INPUT
    said = (cell / folders.FAILURE).read_text(encoding="utf-8")
    assert said.endswith("is not what it was when the comparison was planned; run it again.")
    assert not (cell / folders.RESULT).exists()


def test_cells_beside_each_other_share_the_cores_and_one_alone_has_them_all(
    tmp_path: Path, behave: Callable[[str], list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(pools, "_cores", lambda: 6)
    behave(FINISH.replace("'done'", "os.environ.get('OMP_NUM_THREADS', 'all')"))
    assert processes(list(run_here(several(tmp_path, "x", "y"), 2))) == ["3", "3"]
    assert processes(list(run_here(several(tmp_path / "alone", "x"), 2))) == ["all"]


def test_a_cell_is_locked_and_its_peak_of_memory_begins_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two workers of a cluster must not write one state; and the seed before may have held more."""
    import fcntl

    from promptkit.comparison import worker
    from promptkit.running.session import Session

    (tmp_path / folders.ORDER).write_text(make_config(strategy="hard").model_dump_json(), encoding="utf-8")
    done: list[str] = []

    def execute(*_: Any, **__: Any) -> None:
        with (tmp_path / folders.LOCK).open("w") as other, pytest.raises(BlockingIOError):
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        done.append("run")

    monkeypatch.setattr("promptkit.running.runner.execute", execute)
    monkeypatch.setattr("promptkit.running.memory.forget_peak_memory", lambda: done.append("forgotten"))
    monkeypatch.chdir(tmp_path)
    assert worker._carry_out(tmp_path, tmp_path, Session(), shows=False) == 0
    assert done == ["forgotten", "run"]
