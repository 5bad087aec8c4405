"""A cell's process as its starter sees it: it is started, given one folder after the other, and ended."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from promptkit.comparison import folders

Started = Callable[["subprocess.Popen[bytes]"], bool]
"""Is handed a process that was started; answers whether one that is killed is to be started again."""


class CellProcess:
    """A process that carries out the orders of folders, and what it has read and compiled for them.

    Args:
        folder: the first order's.
        where: working directory of the runs.
        threads: of the process; 0 leaves it to MindSpore.
        shows: whether its warnings and progress go to standard error, or into the folders' logs.
    """

    def __init__(self, folder: Path, where: str, *, threads: int, shows: bool) -> None:
        environment = dict(os.environ)
        if threads:
            environment["OMP_NUM_THREADS"] = str(threads)
        place = str(folder.resolve())
        ours, theirs = socket.socketpair()
        with theirs, (folder / folders.LOG).open("ab") as log:
            self.process = subprocess.Popen(
                [
                    sys.executable, "-m", "promptkit.comparison.worker",
                    "--control", str(theirs.fileno()), *(["--shows"] if shows else []), place, where,
                ],
                stdin=subprocess.DEVNULL, stdout=log, stderr=None if shows else log,
                cwd=place, env=environment, pass_fds=[theirs.fileno()],
            )  # fmt: skip
        self._control, self._given = ours, True

    def carry_out(self, folder: Path) -> int:
        """Wait until the order of a folder is carried out.

        Returns:
            0, and the process waits for more; or the exit code of the process.
        """
        try:
            if not self._given:
                self._control.sendall(os.fsencode(folder.resolve()) + b"\0")
            self._given = False
            done = self._control.recv(1)
        except OSError:
            done = b""
        if done:
            return 0
        self._control.close()
        return self.process.wait()

    @property
    def ended(self) -> bool:
        """Whether it can take no more orders."""
        return self._control.fileno() < 0

    def end(self) -> None:
        """Let it go: it ends when it finds nobody at the other side."""
        if not self.ended:
            self._control.close()
            self.process.wait()


class Keeper:
    """Keeps one process for the next order of the same kin, for what it has compiled serves that one as well.

    Args:
        started: see `Started`.
    """

    def __init__(self, started: Started | None = None) -> None:
        self._started = started or (lambda _: True)
        self._process: CellProcess | None = None
        self.kin = ""

    def carry_out(self, folder: Path, kin: str, where: str, *, threads: int, shows: bool) -> tuple[int, bool]:
        """Have an order carried out.

        Returns:
            The process's code, and whether one that was killed is to be started again.
        """
        again = True
        if self._process is None or kin != self.kin:
            self.end()
            self._process, self.kin = CellProcess(folder, where, threads=threads, shows=shows), kin
            again = self._started(self._process.process)
        code = self._process.carry_out(folder)
        if self._process.ended:
            self._process = None
        return code, again

    def end(self) -> None:
        """End the process that is kept."""
        if self._process is not None:
            self._process.end()
        self._process, self.kin = None, ""
