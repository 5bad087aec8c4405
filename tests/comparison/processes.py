"""Finding and killing the processes of a comparison, as an accident would."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

MAIN = "import sys; from promptkit.cli import main; sys.exit(main())"


def start(arguments: list[str], **environment: str) -> subprocess.Popen[str]:
    """Start a command line of promptkit."""
    return subprocess.Popen(
        [sys.executable, "-c", MAIN, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        # The working directory is no place for modules: what is tested is what is installed.
        env={**os.environ, "PYTHONSAFEPATH": "1", **environment},
    )


def workers(store: Path) -> dict[int, int]:
    """Return the processes that carry out cells of a store: pid -> pid of the parent."""
    found = {}
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            command = (folder / "cmdline").read_bytes().decode(errors="replace").split("\0")
            # The name in parentheses may hold spaces; the parent is the second field behind it.
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
        except (OSError, ValueError):
            continue
        if "promptkit.comparison.worker" in command and any(part.startswith(str(store)) for part in command):
            found[int(folder.name)] = parent
    return found


def kill(pid: int) -> None:
    """Kill a process, if it is still there."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def wait_for(condition: Callable[[], bool], seconds: float = 60.0) -> bool:
    """Wait until a condition holds; tell whether it ever did."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.05)
    return False
