"""Ctrl-C: exit code 130, one word, and nothing torn."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from promptkit.interrupts import held_interrupts, keyboard_interrupts, was_interrupted


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


@pytest.mark.slow
@pytest.mark.parametrize(
    ("mode", "seconds"), [("pynative", 0.0), ("pynative", 1.0), ("pynative", 6.0), ("graph", 15.0)]
)
def test_ctrl_c_leaves_nothing(place: Path, model: Path, reviews: Path, mode: str, seconds: float):
    """At 0 s MindSpore is being imported; from some seconds on the prompt is trained."""
    process = subprocess.Popen(
        [
            sys.executable, "-m", "promptkit", "run", "--strategy", "soft", "--epochs", "5000",
            "--patience", "0", "--model", str(model), "--data", str(reviews), "--mode", mode, "--out", "out",
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert process.stdout is not None
    # The first line says that the run begins, and the run directory is being filled.
    assert process.stdout.readline().startswith("soft on reviews")
    assert [path.name.startswith(".out.partial") for path in place.iterdir()] == [True]
    time.sleep(seconds)
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=60)
    assert (process.returncode, error) == (130, "interrupted\n")
    assert list(place.iterdir()) == []
