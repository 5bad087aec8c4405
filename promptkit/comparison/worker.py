"""A cell's process: `python -m promptkit.comparison.worker [--control FD] [--shows] FOLDER WHERE`.

A process for the cells of one kin, so that its peak memory is theirs, MindSpore's memory is given back, and a cell
that is killed takes no other with it, but what was compiled. The folder holds the order (`order.json`), and then
the training state, a log, and either `result/` (a whole run directory) or `failure.txt` (one line); `warnings.txt`
has a line for each plugin that failed when it was told of a run. The process is started in its first folder, and
goes to WHERE only once Python has looked for modules: a file `evaluate.py` beside the user's data must not become a
module. With a control socket it answers there with one byte when a cell is done, and reads the next folder, ended by
a zero byte. After a failure it ends: who knows what it left behind.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import os
import signal
import socket
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from promptkit.comparison.folders import BAD_INPUT, DISK, FAILURE, LOCK, LOG, ORDER, RESULT, STATE, WARNINGS
from promptkit.interrupts import keyboard_interrupts

if TYPE_CHECKING:
    from promptkit.running.session import Session

_POLL_SECONDS = 0.5


def main(folder: Path, where: Path, *, control: int | None = None, shows: bool = False) -> int:
    """Run the order of a folder, and those that come after it.

    Args:
        folder: absolute.
        where: working directory of the runs; relative paths of their data and model start there.
        control: file descriptor of the socket that more folders come from.
        shows: whether standard error is left alone, or goes into each folder's log.

    Returns:
        0 is success, 2 bad input, 3 a full disk; a bug leaves its traceback.
    """
    parent = os.getppid()
    # The comparison interrupts it where a plugin waits to hear of the run's end; MindSpore must not hear that first.
    with keyboard_interrupts():
        threading.Thread(target=_leave_with, args=(parent,), daemon=True).start()
        try:
            return _serve(folder, where, control, shows)
        except KeyboardInterrupt:
            # Without a traceback, and as what it is: a process that was killed is given another try.
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            os.kill(os.getpid(), signal.SIGINT)
            raise


def _serve(folder: Path, where: Path, control: int | None, shows: bool) -> int:
    from promptkit.running.session import Session

    session, line = Session(), None if control is None else socket.socket(fileno=control)
    while True:
        code = _carry_out(folder, where, session, shows)
        if code or line is None:
            return code
        _write_to(Path(os.devnull), shows)
        following = _next(line)
        if following is None:
            return 0
        folder = following
        _write_to(folder / LOG, shows)


def _carry_out(folder: Path, where: Path, session: Session, shows: bool) -> int:
    with (folder / LOCK).open("w") as lock:
        # Another worker may still be about its last breath here; two must not write one state.
        fcntl.flock(lock, fcntl.LOCK_EX)
        if (folder / RESULT).exists():
            return 0
        try:
            os.chdir(where)
        except OSError as error:
            (folder / FAILURE).write_text(f"cannot start in '{where}': {error.strerror}", encoding="utf-8")
            return BAD_INPUT
        try:
            return _run(folder, session)
        finally:
            if session.warned and not shows:
                with contextlib.suppress(OSError):
                    (folder / WARNINGS).write_text("\n".join(session.warned), encoding="utf-8")


def _next(line: socket.socket) -> Path | None:
    """Say that a cell is done and wait for the next one's folder; None if none comes."""
    try:
        line.sendall(b"+")
        said = b""
        while not said.endswith(b"\0"):
            more = line.recv(4096)
            if not more:
                return None
            said += more
    except OSError:
        return None
    return Path(os.fsdecode(said[:-1]))


def _write_to(log: Path, shows: bool) -> None:
    """Have what is printed go into another file."""
    sys.stdout.flush()
    sys.stderr.flush()
    with log.open("ab") as file:
        os.dup2(file.fileno(), 1)
        if not shows:
            os.dup2(file.fileno(), 2)


def _run(folder: Path, session: Session) -> int:
    from promptkit.errors import UserError
    from promptkit.hooks import no_exit
    from promptkit.running.config import RunConfig
    from promptkit.running.memory import forget_peak_memory
    from promptkit.running.runner import execute
    from promptkit.runs.faults import disk_fault

    order = RunConfig.model_validate_json((folder / ORDER).read_text(encoding="utf-8"))
    config = order.model_copy(update={"out": folder / RESULT, "checkpoint": folder / STATE})
    try:
        forget_peak_memory()
        with no_exit():
            # The folder of a cell is called by its key, under which the store will list what comes of it.
            execute(config, session=session, key=folder.name)
    except (UserError, OSError) as error:
        fault = disk_fault(error) if isinstance(error, OSError) else error
        if fault is None:
            raise
        with contextlib.suppress(OSError):
            # On a disk that is full this fails as well; the exit code says enough then.
            (folder / FAILURE).write_text(str(fault), encoding="utf-8")
        return BAD_INPUT if fault is error else DISK
    return 0


def _leave_with(parent: int) -> None:
    """End the process once its parent is gone: nobody would take the result."""
    while os.getppid() == parent:
        time.sleep(_POLL_SECONDS)
    os._exit(1)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--control", type=int)
    parser.add_argument("--shows", action="store_true")
    parser.add_argument("folder", type=Path)
    parser.add_argument("where", type=Path)
    given = parser.parse_args()
    sys.exit(main(given.folder, given.where, control=given.control, shows=given.shows))
