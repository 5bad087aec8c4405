"""Carrying out a cell: give it to a process, to another if that was killed, say where its result lies."""

from __future__ import annotations

import contextlib
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

from promptkit.comparison import folders
from promptkit.comparison.keeping import Keeper

_TRIES = 3
_LOG_LINES = 15


@dataclass(frozen=True)
class Order:
    """A cell to be carried out; plain values, so that it can travel to another machine.

    Attributes:
        key: of the run.
        config: its `RunConfig` as JSON.
        folder: where its state and result lie until the store has taken them.
        where: working directory, which relative paths of data and model start from.
        kin: the same for orders that differ in nothing a compiled graph could tell, such as the seed.
        threads: of the process; 0 leaves it to MindSpore.
        shows: whether warnings and progress go to standard error, or into the folder's log.
    """

    key: str
    config: str
    folder: str
    where: str
    kin: str = ""
    threads: int = 0
    shows: bool = False


@dataclass(frozen=True)
class Outcome:
    """What became of an order: where its run directory lies, or why there is none.

    Attributes:
        key: of the order.
        result: the whole run directory, on a disk that this machine sees; empty if there is none.
        failure: one line for bad input; a log with its traceback for a bug.
        bad_input: whether it is the user's to mend.
        warnings: what was said of plugins that failed when they were told of the run, a line each; none where it was
            shown at once.
    """

    key: str
    result: str
    failure: str = ""
    bad_input: bool = False
    warnings: tuple[str, ...] = ()


def carry_out(order: Order, keeper: Keeper | None = None) -> Outcome:
    """Run a cell in a process of its own, or in one that its kin has left, and return where its result lies.

    A cell whose process was killed goes on from its last state in another, in up to three in all.

    Args:
        order: what to run.
        keeper: of the process that is left; by default none is, before or after.
    """
    folder = Path(order.folder)
    try:
        _prepare(folder, order)
    except OSError as error:
        return Outcome(order.key, "", f"cannot write to '{folder}': {error.strerror}", bad_input=True)
    with contextlib.ExitStack() as stack:
        if keeper is None:
            keeper = Keeper()
            stack.callback(keeper.end)
        code = 0
        for _ in range(_TRIES):
            if (folder / folders.RESULT).is_dir():
                break
            code, again = keeper.carry_out(
                folder, order.kin, order.where, threads=order.threads, shows=order.shows
            )  # fmt: skip
            if code >= 0 or not again:
                break
    warnings = tuple(_text(folder / folders.WARNINGS).splitlines())
    if (folder / folders.RESULT).is_dir():
        return Outcome(order.key, str(folder / folders.RESULT), warnings=warnings)
    return replace(_failed(folder, order, code), warnings=warnings)


def clear(folder: Path) -> None:
    """Remove a cell's folder, once the store has its run."""
    shutil.rmtree(folder, ignore_errors=True)


def _prepare(folder: Path, order: Order) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in (folders.FAILURE, folders.WARNINGS):
        (folder / name).unlink(missing_ok=True)
    (folder / folders.ORDER).write_text(order.config, encoding="utf-8")


def _failed(folder: Path, order: Order, code: int) -> Outcome:
    said = _text(folder / folders.FAILURE)
    if code == folders.DISK:
        return Outcome(order.key, "", said or "no space is left on the disk.", bad_input=True)
    if code == folders.BAD_INPUT and said:
        return Outcome(order.key, "", said, bad_input=True)
    if code < 0:
        reason = f"its process was killed {_TRIES} times (signal {-code}; is there enough memory?)"
        return Outcome(order.key, "", reason, bad_input=True)
    tail = "\n".join(_text(folder / folders.LOG).splitlines()[-_LOG_LINES:])
    return Outcome(order.key, "", f"its process ended with code {code}; see '{folder / folders.LOG}'\n{tail}")


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
