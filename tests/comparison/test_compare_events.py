"""What plugins hear of the runs of a comparison: each in the process that makes it, and only what really happens."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from invented import Pool
from models import GOLDENS
from processes import start, wait_for, workers

from promptkit import UserError
from promptkit.comparison import Experiment, compare, folders, worker
from promptkit.comparison.keeping import Keeper
from promptkit.comparison.orders import Order, Outcome, carry_out
from promptkit.comparison.pools import _Running
from promptkit.running.config import make_config
from promptkit.running.session import Session

WARNING = "plugin 'deaf' of deaf-dist 1: promptkit_run_started failed: ValueError: no"


def test_a_warning_of_many_cells_is_said_once(
    tiny: Callable[..., Experiment],
    tmp_path: Path,
    pool: Callable[..., Pool],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    inner = pool(fail="pet")

    def warning(orders: list[Order], jobs: int) -> Iterator[Outcome]:
        for outcome in inner(orders, jobs):
            yield replace(outcome, warnings=(WARNING,))

    monkeypatch.setattr("promptkit.comparison.coordinator.run_here", warning)
    result = compare(tiny(strategies=["pet", "soft"]), store=tmp_path / "s")
    assert result.ran == 3
    assert capsys.readouterr().err == f"warning: {WARNING}\n"


@pytest.mark.parametrize("fails", [False, True])
def test_a_process_hands_its_warnings_on_whatever_becomes_of_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: bool
) -> None:
    def execute(config: Any, *, session: Session, key: str) -> None:
        session.warned.append(WARNING)
        if fails:
            raise UserError("no such thing.")
        config.out.mkdir()

    class Here(Keeper):
        def carry_out(self, folder: Path, kin: str, where: str, *, threads: int, shows: bool) -> tuple[int, bool]:
            return worker._carry_out(folder, Path(where), Session(), shows), True

    monkeypatch.setattr("promptkit.running.runner.execute", execute)
    monkeypatch.chdir(tmp_path)
    config = make_config(strategy="soft").model_dump_json()
    for shows, expected in ((False, (WARNING,)), (True, ())):
        folder = tmp_path / str(shows)
        outcome = carry_out(Order("k", config, str(folder), str(tmp_path), shows=shows), Here())
        assert outcome.warnings == expected
        assert bool(outcome.failure) == fails
        assert (folder / folders.WARNINGS).exists() == bool(expected)


def listening(code: str) -> subprocess.Popen[bytes]:
    """Start a process that says when it is ready."""
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    return process


WITH_LAST_WORDS = """
import sys, time
try:
    print("ready", flush=True)
    time.sleep(60)
except KeyboardInterrupt:
    time.sleep(0.2)
    sys.exit(7)
"""
DEAF = "import signal, time; signal.signal(signal.SIGINT, signal.SIG_IGN); print('ready', flush=True); time.sleep(60)"


def test_where_a_plugin_listens_processes_are_interrupted_before_they_are_killed() -> None:
    running, polite, deaf = _Running(1.5), listening(WITH_LAST_WORDS), listening(DEAF)
    assert running.add(polite)
    assert running.add(deaf)
    running.end()
    assert (polite.wait(), deaf.wait()) == (7, -9)
    late = listening(WITH_LAST_WORDS)
    assert not running.add(late)
    assert late.wait() == -9


def test_where_none_listens_they_are_killed_at_once() -> None:
    running, process = _Running(0.0), listening(WITH_LAST_WORDS)
    running.add(process)
    started = time.monotonic()
    running.end()
    assert process.wait() == -9
    assert time.monotonic() - started < 5


LISTENER = """
    import json, os
    from promptkit import hookimpl

    def say(*what):
        with open(os.environ["EVENTS"], "a") as log:
            log.write(json.dumps(what) + "\\n")

    @hookimpl
    def promptkit_run_started(run):
        say("started", run.seed, run.resumed)

    @hookimpl
    def promptkit_epoch_ended(run, epoch):
        say("epoch", run.seed, epoch.epoch)

    @hookimpl
    def promptkit_run_ended(run, outcome):
        there = outcome.directory is not None and (outcome.directory / "run.json").is_file()
        say("ended", run.seed, outcome.status, there)
        raise ValueError("no more")
"""


def listener(folder: Path) -> dict[str, str]:
    """Install the listener and return the environment in which it is found and writes to `folder / "events"`."""
    information = folder / "plugins" / "log-1.dist-info"
    information.mkdir(parents=True)
    (information.parent / "log_events.py").write_text(textwrap.dedent(LISTENER))
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: log\nVersion: 1\n")
    (information / "entry_points.txt").write_text("[promptkit]\nlog = log_events\n")
    return {"EVENTS": str(folder / "events"), "PYTHONPATH": str(information.parent)}


def heard(folder: Path) -> list[list[Any]]:
    """What the listener wrote."""
    log = folder / "events"
    return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []


def arguments_for(data: Path, store: Path, epochs: int) -> list[str]:
    """A comparison of two seeds of a tiny model."""
    return [
        "compare", "--strategies", "soft", "--baselines", "none", "--shots", "4", "--seeds", "2",
        "--data", str(data), "--model", str(GOLDENS / "bert-onelayer"), "--max-length", "40", "--quiet",
        "--verbalizer", "positive=great; negative=terrible", "--set", f"epochs={epochs}", "--set", "patience=0",
        "--set", "soft.tokens=3", "--store", str(store),
    ]  # fmt: skip


FAILED = "warning: plugin 'log' of log 1: promptkit_run_ended failed: ValueError: no more (log_events.py, line 21)"


@pytest.mark.slow
def test_on_a_dask_cluster_the_worker_tells_its_plugins(
    tiny_reviews: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("mindspore")
    distributed = pytest.importorskip("distributed")
    # The workers have the plugin, and the command that hands the cells out has not.
    with monkeypatch.context() as workers_have:
        for name, value in listener(tmp_path).items():
            workers_have.setenv(name, value)
        cluster = distributed.LocalCluster(n_workers=1, threads_per_worker=1, processes=True, dashboard_address=None)
    with cluster:
        process = start([*arguments_for(tiny_reviews, tmp_path / "s", 2), "--dask", cluster.scheduler_address])
        out, _ = process.communicate(timeout=300)
    assert process.returncode == 0, out
    told = heard(tmp_path)
    assert Counter((what[0], what[1]) for what in told) == {
        (event, seed): 2 if event == "epoch" else 1 for event in ("started", "epoch", "ended") for seed in (0, 1)
    }
    assert all(what[2:] == ["finished", True] for what in told if what[0] == "ended")
    assert out.count(FAILED) == 1


@pytest.mark.slow
def test_of_an_interrupted_comparison_every_run_says_how_it_ended(tiny_reviews: Path, tmp_path: Path) -> None:
    pytest.importorskip("mindspore")
    store = tmp_path / "s"
    environment = {**listener(tmp_path), "PROMPTKIT_CHECKPOINT_SECONDS": "0.1"}
    arguments = [*arguments_for(tiny_reviews, store, 300), "--jobs", "2"]

    process = start(arguments, **environment)
    # Late enough for a state of either to be kept.
    assert wait_for(lambda: {it[1] for it in heard(tmp_path) if it[0] == "epoch" and it[2] >= 40} == {0, 1}, 300)
    os.kill(process.pid, 2)
    out, _ = process.communicate(timeout=120)
    assert process.returncode == 130, out
    assert not workers(store)
    first = heard(tmp_path)
    begun = {seed: resumed for event, seed, resumed in (it[:3] for it in first) if event == "started"}
    assert begun == {0: False, 1: False}
    ended = {it[1]: it[2:] for it in first if it[0] == "ended"}
    assert "interrupted" in {status for status, _ in ended.values()}
    assert set(ended) == {0, 1}

    process = start(arguments, **environment)
    out, _ = process.communicate(timeout=400)
    assert process.returncode == 0, out
    assert out.count(FAILED) == 1
    second = heard(tmp_path)[len(first) :]
    left = {seed for seed, (status, _) in ended.items() if status == "interrupted"}
    assert {it[1]: it[2] for it in second if it[0] == "started"} == dict.fromkeys(left, True)
    assert {it[1]: it[2:] for it in second if it[0] == "ended"} == {seed: ["finished", True] for seed in left}
    # What was told of once and is done again was lost with the last seconds before the interrupt.
    for seed in left:
        passes = [it[2] for it in second if it[:2] == ["epoch", seed]]
        assert passes == list(range(passes[0], 301))
        assert passes[0] <= max(it[2] for it in first if it[:2] == ["epoch", seed]) + 1
        assert passes[0] > 1

    process = start(arguments, **environment)
    process.communicate(timeout=120)
    assert len(heard(tmp_path)) == len(first) + len(second)
    assert Counter(it[0] for it in second)["ended"] == len(left)
