"""One cell in a process of its own: `python -m promptkit.comparison.worker FOLDER WHERE`.

A process a cell, so that its peak memory is its own, MindSpore's memory is given back, and a cell that is
killed takes no other with it. The folder holds the order (`order.json`), and then the training state, a log,
and either `result/` (a whole run directory) or `failure.txt` (one line). It is started in its own folder, and goes to
WHERE only once Python has looked for modules: a file `evaluate.py` beside the user's data must not become a module.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import sys
import threading
import time
from pathlib import Path

from promptkit.comparison.folders import BAD_INPUT, DISK, FAILURE, LOCK, ORDER, RESULT, STATE

_POLL_SECONDS = 0.5


def main(folder: Path, where: Path) -> int:
    """Run the order of a folder: 0 is success, 2 bad input, 3 a full disk; a bug leaves its traceback.

    Args:
        folder: absolute.
        where: working directory of the run; relative paths of its data and model start there.
    """
    parent = os.getppid()
    threading.Thread(target=_leave_with, args=(parent,), daemon=True).start()
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
        return _run(folder)


def _run(folder: Path) -> int:
    from promptkit.errors import UserError
    from promptkit.hooks import no_exit
    from promptkit.running.config import RunConfig
    from promptkit.running.runner import execute
    from promptkit.runs.faults import disk_fault

    order = RunConfig.model_validate_json((folder / ORDER).read_text(encoding="utf-8"))
    config = order.model_copy(update={"out": folder / RESULT, "checkpoint": folder / STATE})
    try:
        with no_exit():
            execute(config)
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
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
