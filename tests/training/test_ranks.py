"""Two processes that msrun starts learn what one does; one that dies ends both, and they go on where they stood."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from models import GOLDENS

pytest.importorskip("mindspore")

import promptkit
from promptkit import UserError
from promptkit.data import Batch
from promptkit.ranks import Ranks, here
from promptkit.runs import RunRecord
from promptkit.training.gathering import Gathered

BERT = GOLDENS / "bert-onelayer"
SETTINGS: dict[str, Any] = {
    "data": "reviews.tsv", "model": str(BERT), "shots": 4, "mode": "pynative", "max_length": 32, "lr": 0.01,
    "epochs": 4, "patience": 100, "device": "CPU",
}  # fmt: skip
KEPT = ("--checkpoint", "state")
TIMEOUT = 300


class Value:
    """What a gradient is, as far as it is gathered."""

    def __init__(self, numbers: Any) -> None:
        self._numbers = np.array(numbers, np.float32)

    def asnumpy(self) -> Any:
        return self._numbers


class Recorded(Ranks):
    """A rank that keeps what it would send, or gets the sums of all."""

    def __init__(self, rank: int, sums: list[Any] | None = None) -> None:
        super().__init__(rank, 2)
        self.sent: list[Any] = []
        self._sums = sums

    def sum(self, arrays: Any) -> list[Any]:
        self.sent = list(arrays)
        return self.sent if self._sums is None else self._sums


def batch(examples: int) -> Batch:
    index = np.array([*range(examples), -1])
    return Batch({}, index, (index >= 0).astype(np.float32), index)


def test_gradients_of_two_processes_come_to_those_of_one() -> None:
    batches = [(batch(4), 1.0, (2.0, 3.0)), (batch(2), 4.0, (5.0, 9.0)), (batch(1), 2.0, (1.0, 0.0))]

    def gathered(ranks: Ranks) -> Any:
        found = Gathered(ranks, ((2,),))
        for number, (step, loss, gradient) in enumerate(batches):
            if ranks.takes(number):
                found.add(Value(loss), (Value(gradient),), step, 4)
            else:
                found.count(step)
        assert found.batches == 3
        loss, (gradient,), examples = found.take()
        return loss, gradient.asnumpy(), examples

    sent = []
    for rank in range(2):
        ranks = Recorded(rank)
        gathered(ranks)
        sent.append(ranks.sent)
    sums = [a + b for a, b in zip(*sent, strict=True)]
    whole, shared = gathered(Ranks()), gathered(Recorded(1, sums))
    assert whole[2] == shared[2] == 7
    assert shared[0] == pytest.approx(whole[0]) == pytest.approx(2.0)
    assert np.allclose(whole[1], shared[1])


def test_a_process_without_a_batch_of_a_step_adds_nothing() -> None:
    ranks = Recorded(1)
    found = Gathered(ranks, ((2,), (3, 1)))
    found.count(batch(4))
    found.take()
    assert [np.shape(each) for each in ranks.sent] == [(), (2,), (3, 1)]
    assert not any(np.any(each) for each in ranks.sent)


def test_a_parameter_without_dimensions_is_gathered_as_what_it_is() -> None:
    """NumPy makes scalars of such arrays, and MindSpore's optimisers take no gradient of another type."""
    found = Gathered(Ranks(), ((), (2,)))
    for number in (1.0, 4.0):
        found.add(Value(number), (Value(number), Value([number, 0.0])), batch(2), 2)
    _, gradients, _ = found.take()
    assert [str(each.dtype) for each in gradients] == ["Float32", "Float32"]
    assert [each.shape for each in gradients] == [(), (2,)]
    assert float(gradients[0].asnumpy()) == 2.5


def test_ranks_are_those_that_msrun_sets(monkeypatch: pytest.MonkeyPatch) -> None:
    assert (here().rank, here().size, here().leads) == (0, 1, True)
    monkeypatch.setenv("MS_ROLE", "MS_WORKER")
    monkeypatch.setenv("MS_WORKER_NUM", "4")
    monkeypatch.delenv("RANK_ID", raising=False)
    with pytest.raises(UserError, match="--node_rank"):
        here()
    monkeypatch.setenv("RANK_ID", "3")
    assert (here().rank, here().size, here().leads) == (3, 4, False)
    assert [n for n in range(9) if here().takes(n)] == [3, 7]
    monkeypatch.setenv("MS_ROLE", "MS_SCHED")
    assert not here().leads


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a small data set of the words that the tiny model knows."""
    monkeypatch.chdir(tmp_path)
    words = {"positive": ("good", "great"), "negative": ("bad", "terrible")}
    rows = [(label, word, "it " * n) for label in words for word in words[label] for n in range(6)]
    lines = [f"the film was {more}{word}\t{label}" for label, word, more in rows]
    Path("reviews.tsv").write_text("\n".join(["text\tlabel", *lines]) + "\n", encoding="utf-8")
    return tmp_path


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def arguments() -> list[str]:
    options = [text for name, value in SETTINGS.items() for text in (f"--{name.replace('_', '-')}", str(value))]
    return ["-m", "promptkit", "run", "--strategy", "soft", *options, "--set", "tokens=4", "--batch-size", "3", *KEPT]


class Processes:
    """The three processes that msrun starts, started as it starts them, so that one can be killed by itself."""

    def __init__(self, folder: Path) -> None:
        shared = {
            "MS_WORKER_NUM": "2", "MS_SCHED_HOST": "127.0.0.1", "MS_SCHED_PORT": str(free_port()),
            "MS_TOPO_TIMEOUT": str(TIMEOUT), "PROMPTKIT_CHECKPOINT_SECONDS": "0",
        }  # fmt: skip
        roles = {"watch": ("MS_SCHED", "0"), "0": ("MS_WORKER", "0"), "1": ("MS_WORKER", "1")}
        self.named: dict[str, subprocess.Popen[str]] = {}
        for name, (role, rank) in roles.items():
            # Killed, it is missed sooner than it would be by default.
            lost = {"MS_NODE_TIMEOUT": "8"} if role == "MS_SCHED" else {}
            own = {**lost, "MS_ROLE": role, "RANK_ID": rank, **({"MS_NODE_ID": rank} if role == "MS_WORKER" else {})}
            self.named[name] = subprocess.Popen(
                [sys.executable, *arguments()], cwd=folder, env={**os.environ, **shared, **own},
                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            )  # fmt: skip

    def end(self, name: str) -> tuple[int, str, str]:
        process = self.named[name]
        out, errors = process.communicate(timeout=TIMEOUT)
        return process.returncode, out, errors

    def stop(self) -> None:
        for process in self.named.values():
            process.kill()
            process.communicate()


@pytest.fixture
def processes(folder: Path) -> Iterator[Processes]:
    started = Processes(folder)
    yield started
    started.stop()


@pytest.mark.slow
def test_one_killed_ends_both_and_msrun_goes_on_to_the_numbers_of_one_process(
    folder: Path, processes: Processes
) -> None:
    state, until = folder / "state" / "member-0.safetensors", time.monotonic() + TIMEOUT
    while not state.exists():
        assert time.monotonic() < until
        assert processes.named["0"].poll() is None, processes.end("0")
        time.sleep(0.05)
    processes.named["1"].send_signal(signal.SIGKILL)
    code, _, errors = processes.end("watch")
    assert code != 0
    assert [line for line in errors.splitlines() if line.startswith(("error: ", "Traceback"))] == [
        "error: a process of this run is gone: rank 1. The same command with --checkpoint goes on where it stopped."
    ]
    code, out, errors = processes.end("0")
    assert code != 0
    assert "run:" not in out
    assert "Traceback" not in errors
    assert not list(folder.glob("runs/soft-*"))

    launcher = shutil.which("msrun", path=str(Path(sys.executable).parent)) or shutil.which("msrun")
    start = [launcher] if launcher else [sys.executable, "-m", "mindspore.parallel.cluster.run"]
    found = subprocess.run(
        [
            *start, "--worker_num=2", "--local_worker_num=2", f"--master_port={free_port()}", "--log_dir=log",
            "--join=True", "python", *arguments(),
        ],
        cwd=folder, capture_output=True, text=True, timeout=TIMEOUT,
        env={**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"},
    )  # fmt: skip
    assert found.returncode == 0, found.stdout + found.stderr
    assert "run:" in (folder / "log" / "worker_0.log").read_text()
    assert "run:" not in (folder / "log" / "worker_1.log").read_text()
    (directory,) = folder.glob("runs/soft-*")
    shared = RunRecord.read(directory)
    whole = promptkit.run(
        "soft", **SETTINGS, options={"tokens": 4}, batch_size=6, quiet=True, out=folder / "whole"
    ).record
    assert shared.options.accumulate == 2
    assert len(shared.history) == len(whole.history)
    for ours, theirs in zip(shared.history, whole.history, strict=True):
        assert ours.loss == pytest.approx(theirs.loss, abs=1e-5)
        assert ours.dev_loss == pytest.approx(theirs.dev_loss, abs=1e-5)
    one, two = (table(each / "predictions.tsv") for each in (folder / "whole", directory))
    assert np.abs(one - two).max() < 1e-5


def table(path: Path) -> Any:
    """Return the probabilities of a table of predictions."""
    rows = [line.split("\t") for line in path.read_text(encoding="utf-8").splitlines()]
    places = [place for place, name in enumerate(rows[0]) if name.startswith("p_")]
    return np.array([[float(row[place]) for place in places] for row in rows[1:]])
