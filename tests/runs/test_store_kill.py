"""Killed at any moment, the store can be read, its runs are whole, and what was said to be done is done."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from fake_runs import LABELS

from promptkit.runs import STORE_NAME, RunRecord, Store, StoredRun, load_artifact, read_predictions

TESTS = Path(__file__).resolve().parents[1]
# Most kills hit a store that has a past; some hit its making.
_RANDOM = random.Random(1)
DELAYS = [_RANDOM.uniform(0.0, 0.28) for _ in range(36)]
EARLY = [number * 0.003 for number in range(12)]
LATER = [0.1, 0.5, 2.5]  # where a busy machine was too slow for all of those


class Killer:
    """Starts processes that work on a store and kills them."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def kill(self, seed: int, delay: float | str, folder: Path, log: Path) -> None:
        """Let a process work on the store for `delay` seconds, or until it is at that place, then kill it."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{seed} {delay} {folder} {log}\n")
        self._process.stdin.flush()
        assert self._process.stdout.readline() == f"-{signal.SIGKILL.value}\n", "it died before it was killed"


@pytest.fixture(scope="module")
def killer() -> Iterator[Killer]:
    command = [sys.executable, str(TESTS / "runs" / "store_victim.py"), str(TESTS), str(TESTS.parent)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield Killer(process)
        process.kill()


def assert_whole(run: StoredRun) -> None:
    """The directory of a run holds what its row says."""
    assert run.directory is not None
    assert RunRecord.read(run.directory) == run.record
    assert load_artifact(run.directory / "prompt.safetensors")[1] == {"format": 1}
    truth, predicted = read_predictions(run.directory / "predictions.tsv", LABELS)
    np.testing.assert_array_equal(truth, run.truth)
    np.testing.assert_array_equal(predicted, run.predicted)


def check(folder: Path, log: Path) -> tuple[int, int]:
    """Open the store after a kill and check all of it; returns how many runs and orphans there were."""
    with Store.open(folder) as store:
        assert store._database.rows("PRAGMA integrity_check") == [("ok",)]
        assert store._database.rows("PRAGMA foreign_key_check") == []
        runs = store.runs()
        listed = {run.name for run in runs}
        assert len({run.key for run in runs}) == len(listed) == len({run.id for run in runs}) == len(runs)
        for run in runs:
            if not run.is_baseline:
                assert_whole(run)
        for summary in store.comparisons():
            comparison = store.comparison(summary.name)
            assert len(comparison.entries) == int(comparison.spec["notes"][0]) == summary.whole
            assert {entry.cell.key.partition("-")[0] for entry in comparison.entries} == set(comparison.command)
        folders = {path.name for path in folder.iterdir() if path.is_dir()}
        assert not [name for name in folders if ".removed-" in name], "removals are completed or undone"
        orphans = sorted(name for name in folders - listed if not name.startswith("."))
        for name in orphans:
            adopted = store.adopt(name, key=name.removeprefix("soft-"))
            assert adopted is not None
            assert adopted.name == name
            assert_whole(adopted)
        kept = {run.key for run in store.runs()}
        latest = {summary.name: store.comparison(summary.name).command for summary in store.comparisons()}
    check_promises(log, kept, latest, {name.removeprefix("soft-") for name in orphans})
    return len(runs), len(orphans)


def check_promises(log: Path, kept: set[str | None], latest: dict[str, tuple[str, ...]], orphans: set[str]) -> None:
    """What the log says was done, is done."""
    lines = [line.split() for line in log.read_text().splitlines()] if log.exists() else []
    said = {word: {line[1] for line in lines if line[0] == word} for word in ("added", "removing", "removed")}
    assert said["added"] - said["removing"] <= kept
    assert not said["removed"] & kept, "what was removed does not come back"
    assert not orphans & (said["added"] | said["removed"]), "only a run that was not listed yet can be an orphan"
    saved = {line[1]: line[2] for line in lines if line[0] == "saved"}
    seeds = {word for line in lines for word in line}
    for name, (key,) in latest.items():
        # Saved and not said yet, or said last.
        assert key == saved.get(name) or key not in seeds


@pytest.mark.slow
def test_killed_at_any_moment(killer: Killer, tmp_path: Path) -> None:
    log, folder = tmp_path / "log", tmp_path / "runs"
    for seed, delay in enumerate(DELAYS):
        killer.kill(seed, delay, folder, log)
        check(folder, log)
    done = log.read_text()
    counts = {word: done.count(f"{word} ") for word in ("added", "removed", "saved")}
    assert min(counts.values()) >= 3, f"too little was done to prove anything: {counts}"


def test_killed_between_the_directory_and_the_row_the_run_is_adopted(killer: Killer, tmp_path: Path) -> None:
    log, folder = tmp_path / "log", tmp_path / "runs"
    for round_ in range(2):
        killer.kill(round_, "between", folder, log)
        assert check(folder, log) == (2 * round_ + 1, 1)


def test_killed_while_it_is_made(killer: Killer, tmp_path: Path) -> None:
    met = 0
    for number, delay in enumerate((*EARLY, *LATER)):
        if met and delay in LATER:
            break
        folder, log = tmp_path / f"runs-{number}", tmp_path / f"log-{number}"
        killer.kill(number, delay, folder, log)
        if (folder / STORE_NAME).exists():
            met += 1
            check(folder, log)
    assert met, "no store was ever begun"
