"""The command line: one file a command, nothing but parsing and printing."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

INTERRUPTED = 130
BROKEN_PIPE = 141
_BAD_INPUT = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code.

    0 is success, 2 bad input or a disk that is full or read-only (one line on standard error), 130 an interrupt,
    141 a reader that went away. Any other exception is a bug and leaves with its traceback, which makes Python
    exit with 1.

    Args:
        arguments: what stands behind the program's name; by default what the process was called with.
    """
    from promptkit.errors import UserError
    from promptkit.interrupts import was_interrupted

    try:
        # Inside, so that Ctrl-C is answered while modules and plugins are still being imported.
        from promptkit.cli.app import execute

        code = execute(list(sys.argv[1:] if arguments is None else arguments))
        if sys.stdout is not None:
            sys.stdout.flush()
        return code
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return _BAD_INPUT
    except KeyboardInterrupt:
        return _interrupted()
    except BrokenPipeError:
        _drop_output()
        return BROKEN_PIPE
    except Exception as error:
        if was_interrupted():
            return _interrupted()
        if isinstance(error, OSError) and _refused_by_disk(error):
            return _BAD_INPUT
        raise


def _interrupted() -> int:
    from promptkit.interrupts import was_resumable

    print(f"interrupted{'; the same command goes on where it stopped' * was_resumable()}", file=sys.stderr)
    return INTERRUPTED


def _refused_by_disk(error: OSError) -> bool:
    """Say in one line that the disk is full or read-only, if that is what the error says."""
    from promptkit.runs.faults import disk_fault

    fault = disk_fault(error)
    if fault is None:
        return False
    print(f"error: {fault}", file=sys.stderr)
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError:
        # It was standard output itself, redirected to a file.
        _drop_output()
    return True


def _drop_output() -> None:
    """Let what is left of standard output go nowhere: Python flushes once more at exit, and would complain."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
