"""A real comparison of real runs, killed at many moments, on processes and on a Dask cluster."""

from __future__ import annotations

import os
import random
import sqlite3
import subprocess
from pathlib import Path
from typing import Any

import pytest
from models import GOLDENS
from processes import kill, start, wait_for, workers

from promptkit.runs import STORE_NAME, Store

pytest.importorskip("mindspore")
pytestmark = pytest.mark.slow

KILLS = 5  # what a kill at each single moment does is in test_compare_resume.py
ENDED = 120  # seconds: a run that compiles hears of nothing, and on a busy core that takes a while


def arguments(data: Path, store: Path) -> list[str]:
    """Four cells, forty steps of training each."""
    return [
        "compare", "--strategies", "pet,soft", "--baselines", "none", "--shots", "4", "--seeds", "2",
        "--data", str(data), "--model", str(GOLDENS / "bert-short"),
        "--verbalizer", "positive=great; negative=terrible",
        "--max-length", "40", "--set", "epochs=40", "--set", "patience=0", "--set", "soft.tokens=3",
        "--name", "tiny", "--no-times", "--quiet", "--store", str(store),
    ]  # fmt: skip


def half_trained(store: Path) -> bool:
    """Tell whether a state of training is kept for any cell."""
    return any((store / "cells").glob("*/state/*.safetensors"))


def measured(store: Path) -> list[Any]:
    """What must not depend on accidents: everything but times and memory."""
    with Store.open(store) as opened:
        comparison = opened.comparison("tiny")
    found = []
    for entry in comparison.entries:
        assert entry.run is not None, entry.cell
        record = entry.run.record
        found.append((
            entry.cell, record.dev, record.test, record.parameters, getattr(record, "history", None),
            entry.run.predicted.tolist(),
        ))  # fmt: skip
    return found


def assert_sound(store: Path) -> None:
    """The database is whole, no run is there twice, every run has its directory.

    Nothing half-written lies among them; in the folder of a cell it may, until the cell is done.
    """
    with sqlite3.connect(store / STORE_NAME) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    with Store.open(store) as opened:
        runs = opened.runs()
    assert len({run.key for run in runs}) == len(runs)
    for run in runs:
        if run.directory is not None:
            assert {p.name for p in run.directory.iterdir()} == {"run.json", "prompt.safetensors", "predictions.tsv"}
    assert [p for p in store.rglob("*.partial*") if store / "cells" not in p.parents] == []


def assert_ended(store: Path) -> None:
    """It is sound, and no cell has left anything behind."""
    assert_sound(store)
    assert list((store / "cells").iterdir()) == []


def listed(store: Path) -> dict[str, tuple[int, Any, int]]:
    """The runs of a store, each with what would be another if it were run again."""
    if not (store / STORE_NAME).exists():
        return {}
    with Store.open(store, create=False) as opened:
        found = [(run, run.directory) for run in opened.runs()]
    return {run.name: (run.id, run.record, folder.stat().st_ino) for run, folder in found if folder is not None}


@pytest.fixture(scope="module")
def unbroken(tiny_reviews: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, list[Any]]:
    """The table, and the numbers behind it, of a comparison that nothing happened to."""
    store = tmp_path_factory.mktemp("unbroken") / "s"
    process = start(arguments(tiny_reviews, store))
    out, _ = process.communicate(timeout=300)
    assert process.returncode == 0, out
    assert_ended(store)
    return out, measured(store)


def test_killed_again_and_again_it_ends_in_the_same_table_two_at_a_time(
    tiny_reviews: Path, tmp_path: Path, unbroken: tuple[str, list[Any]]
) -> None:
    store, moments = tmp_path / "s", random.Random(5)
    resumed = 0
    for number in range(KILLS):
        process = start(arguments(tiny_reviews, store), PROMPTKIT_CHECKPOINT_SECONDS="0.1")
        if number % 2:
            # Where starting takes long, no moment of the clock alone would meet a run in the middle of its training.
            wait_for(lambda: half_trained(store) or process.poll() is not None, 60)  # noqa: B023
        try:
            process.wait(timeout=moments.uniform(0.5, 8.0 if number % 2 == 0 else 2.0))
        except subprocess.TimeoutExpired:
            resumed += half_trained(store)
            running = list(workers(store))
            if number % 3 == 2 and running:
                # The run's process alone: the comparison starts it again, and goes on.
                kill(running[0])
                wait_for(lambda: process.poll() is not None, moments.uniform(0.1, 3.0))  # noqa: B023
            kill(process.pid)
            process.wait()
        assert wait_for(lambda: not workers(store), ENDED), "a run outlived its comparison"
        if (store / STORE_NAME).exists():
            assert_sound(store)
    assert resumed, "no kill met a half-trained run: the test proves too little"
    process = start([*arguments(tiny_reviews, store), "--jobs", "2"])
    out, _ = process.communicate(timeout=300)
    assert process.returncode == 0, out
    assert out == unbroken[0]
    assert measured(store) == unbroken[1]
    assert_ended(store)


def test_ctrl_c_ends_the_runs_and_keeps_what_is_finished(tiny_reviews: Path, tmp_path: Path) -> None:
    store, finished = tmp_path / "s", dict[str, Any]()
    for runs in (1, 2):
        process = start(arguments(tiny_reviews, store))
        assert wait_for(lambda: len(listed(store)) >= runs and bool(workers(store)), ENDED)  # noqa: B023
        os.kill(process.pid, 2)
        out, _ = process.communicate(timeout=60)
        assert process.returncode == 130, out
        assert out.strip().endswith("interrupted; the same command goes on where it stopped")
        assert "Traceback" not in out
        assert wait_for(lambda: not workers(store), ENDED)
        assert_sound(store)
        assert finished.items() <= listed(store).items(), "a finished run is lost, or run again"
        finished = listed(store)
        assert runs <= len(finished) < 4


def test_on_a_dask_cluster_a_killed_worker_loses_and_doubles_nothing(
    tiny_reviews: Path, tmp_path: Path, unbroken: tuple[str, list[Any]]
) -> None:
    distributed = pytest.importorskip("distributed")
    store = tmp_path / "s"
    # No status page: its port may be taken.
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
    ) as cluster:
        process = start(
            [*arguments(tiny_reviews, store), "--dask", cluster.scheduler_address], PROMPTKIT_CHECKPOINT_SECONDS="0.1"
        )
        # The parent of a cell's process is the Dask worker that carries it out.
        met = wait_for(lambda: half_trained(store) and bool(workers(store)), 120)
        assert met, process.stdout and process.stdout.read()
        kill(next(iter(workers(store).values())))
        out, _ = process.communicate(timeout=300)
    assert process.returncode == 0, out
    assert out == unbroken[0]
    assert measured(store) == unbroken[1]
    assert_ended(store)


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:9", "nowhere"])
def test_a_cluster_that_is_not_there_is_said_in_one_line(tiny_reviews: Path, tmp_path: Path, address: str) -> None:
    pytest.importorskip("distributed")
    process = start([*arguments(tiny_reviews, tmp_path / "s"), "--dask", address])
    out, _ = process.communicate(timeout=120)
    assert process.returncode == 2
    assert out.startswith(f"error: no Dask scheduler at '{address}'")
    assert len(out.strip().splitlines()) == 1
