"""Ctrl-C: exit code 130, one word, and nothing torn."""

from __future__ import annotations

import _thread
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from promptkit.errors import UserError
from promptkit.interrupts import held_interrupts, keyboard_interrupts, was_interrupted, was_resumable


def press() -> None:
    os.kill(os.getpid(), signal.SIGINT)


def busy(seconds: float) -> None:
    """Let the main thread run Python code, as `time.sleep` would not."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        time.sleep(0.01)


def test_sigint_raises_although_the_signal_is_blocked():
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt), keyboard_interrupts():  # noqa: PT012
        assert signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, ())
        press()
        busy(5)
    assert was_interrupted()
    assert signal.getsignal(signal.SIGINT) is before
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, ())


def test_threads_of_the_body_do_not_get_the_signal():
    masks: list[set[signal.Signals]] = []
    with keyboard_interrupts():
        thread = threading.Thread(target=lambda: masks.append(signal.pthread_sigmask(signal.SIG_BLOCK, ())))
        thread.start()
        thread.join()
    assert signal.SIGINT in masks[0]


def test_a_held_interrupt_comes_when_the_hold_ends():
    reached = False
    with pytest.raises(KeyboardInterrupt), keyboard_interrupts():  # noqa: PT012
        with held_interrupts():
            press()
            busy(0.4)
            reached = True
        busy(5)
    assert reached


def test_two_presses_in_one_hold_are_one_interrupt():
    with keyboard_interrupts():
        with pytest.raises(KeyboardInterrupt):  # noqa: PT012
            with held_interrupts():
                press()
                busy(0.2)
                press()
                busy(0.2)
            busy(5)
        busy(0.4)


def test_nothing_changes_without_an_interrupt_or_outside_the_main_thread():
    with keyboard_interrupts():
        pass
    assert not was_interrupted()
    faults: list[BaseException] = []

    def elsewhere() -> None:
        try:
            with keyboard_interrupts():
                pass
        except BaseException as error:
            faults.append(error)

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert faults == []


LISTENER = """
import time
from promptkit.interrupts import keyboard_interrupts
{before}
with keyboard_interrupts():
    print("ready", flush=True)
    until = time.monotonic() + {seconds}
    while time.monotonic() < until:
        time.sleep(0.01)
print("done")
"""


def listen(seconds: float, before: str = "") -> subprocess.Popen[str]:
    """Start a process that listens to SIGINT for a while, and wait until it does."""
    code = LISTENER.format(seconds=seconds, before=before)
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def test_a_process_stopped_and_continued_is_not_interrupted():
    process = listen(3)
    for _ in range(15):
        # Stopped for longer than the watcher ever waits at a time.
        process.send_signal(signal.SIGSTOP)
        time.sleep(0.12)
        process.send_signal(signal.SIGCONT)
        time.sleep(0.03)
    for _ in range(200):
        process.send_signal(signal.SIGSTOP)
        process.send_signal(signal.SIGCONT)
    assert process.communicate(timeout=30) == ("done\n", "")
    assert process.returncode == 0


def test_it_is_still_interrupted_after_it_was_stopped():
    process = listen(30)
    process.send_signal(signal.SIGSTOP)
    time.sleep(0.12)
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGCONT)
    _, error = process.communicate(timeout=20)
    assert error.endswith("KeyboardInterrupt\n")


def test_where_interrupts_are_ignored_they_stay_so():
    """As in a process that a shell script starts with `&`: Ctrl-C is meant for what stands in front."""
    process = listen(0.6, before="import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)")
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=30) == ("done\n", "")


def test_a_second_press_while_the_first_is_dealt_with_leaves_the_signal_as_it_was(monkeypatch):
    before = signal.getsignal(signal.SIGINT)
    join = threading.Thread.join

    def press_and_join(thread: threading.Thread, timeout: float | None = None) -> None:
        _thread.interrupt_main()
        busy(0.05)
        join(thread, timeout)

    with pytest.raises(KeyboardInterrupt), keyboard_interrupts():  # noqa: PT012
        monkeypatch.setattr(threading.Thread, "join", press_and_join)
        press()
        busy(5)
    assert signal.getsignal(signal.SIGINT) is before
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, ())


@pytest.mark.parametrize(
    ("command", "raised", "goes_on"),
    [
        (["run", "--strategy", "soft", "--checkpoint", "state"], KeyboardInterrupt, True),
        (["run", "--strategy", "soft", "--checkpoint", "state"], RuntimeError, True),
        (["run", "--strategy", "soft"], KeyboardInterrupt, False),
        (["run", "--strategy", "soft"], RuntimeError, False),
        (["compare", "--strategies", "none"], KeyboardInterrupt, True),
    ],
)
def test_it_says_whether_the_same_command_goes_on(call, monkeypatch, command, raised, goes_on):
    def stop(*_: object, **__: object) -> None:
        press()
        try:
            busy(5)
        except KeyboardInterrupt:
            raise raised from None

    monkeypatch.setattr("promptkit.running.runner.execute", stop)
    monkeypatch.setattr("promptkit.comparison.compare", stop)
    answer = call(*command)
    more = "; the same command goes on where it stopped" if goes_on else ""
    assert (answer.code, answer.err) == (130, f"interrupted{more}\n")


@pytest.mark.parametrize("ending", [UserError("no"), SystemExit(0)])
def test_what_is_interrupted_later_does_not_inherit_that_it_goes_on(call, monkeypatch, ending):
    def fail(*_: object, **__: object) -> None:
        raise ending

    monkeypatch.setattr("promptkit.running.runner.execute", fail)
    assert call("run", "--strategy", "soft", "--checkpoint", "state").code == 2
    assert not was_resumable()


@pytest.mark.slow
def test_a_run_stopped_and_continued_is_a_run(place: Path, model: Path, reviews: Path):
    process = subprocess.Popen(
        [
            sys.executable, "-m", "promptkit", "run", "--strategy", "soft", "--epochs", "2", "--patience", "0",
            "--model", str(model), "--data", str(reviews), "--mode", "pynative", "--out", "out", "--quiet",
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    deadline = time.monotonic() + 30
    while not list(place.iterdir()) and time.monotonic() < deadline:
        time.sleep(0.05)
    for _ in range(3):
        process.send_signal(signal.SIGSTOP)
        time.sleep(0.5)
        process.send_signal(signal.SIGCONT)
        time.sleep(0.3)
    _, error = process.communicate(timeout=120)
    assert (process.returncode, error) == (0, "")
    assert (place / "out" / "run.json").is_file()


def trained(state: Path) -> bool:
    """Tell whether the state of a training is kept, as it is after every step."""
    return any(state.glob("member-*.safetensors"))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("mode", "seconds"), [("pynative", 0.0), ("pynative", 1.0), ("pynative", None), ("graph", None)]
)
def test_ctrl_c_leaves_nothing(
    place: Path, model: Path, reviews: Path, tmp_path: Path, mode: str, seconds: float | None
):
    """At 0 s MindSpore is being imported; where no time is given the prompt is trained, and what is kept goes on."""
    state = tmp_path / "state"
    kept = ["--checkpoint", str(state)] if seconds is None else []
    process = subprocess.Popen(
        [
            sys.executable, "-m", "promptkit", "run", "--strategy", "soft", "--epochs", "5000", "--patience", "0",
            "--model", str(model), "--data", str(reviews), "--mode", mode, "--out", "out", *kept,
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PROMPTKIT_CHECKPOINT_SECONDS": "0"},
    )  # fmt: skip
    assert process.stdout is not None
    # The first line says that the run begins, and the run directory is being filled.
    assert process.stdout.readline().startswith("soft on reviews")
    assert [path.name.startswith(".out.partial") for path in place.iterdir()] == [True]
    deadline = time.monotonic() + (120 if seconds is None else seconds)
    while time.monotonic() < deadline and not trained(state):
        time.sleep(0.05)
    assert trained(state) == bool(kept)
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=60)
    more = "; the same command goes on where it stopped" if kept else ""
    assert (process.returncode, error) == (130, f"interrupted{more}\n")
    assert list(place.iterdir()) == []
