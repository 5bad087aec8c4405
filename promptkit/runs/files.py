"""Files that are either whole or not there."""

from __future__ import annotations

import os
import secrets
from pathlib import Path


def partial_name(name: str) -> str:
    """Return a hidden name, not used before, for what is to become `name`."""
    return f".{name}.partial-{os.getpid()}-{secrets.token_hex(4)}"


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file so that at any moment either the old content or all of the new is there.

    Raises:
        OSError: if it cannot be written; the old content stays.
    """
    partial = path.with_name(partial_name(path.name))
    try:
        with partial.open("xb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(partial, path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError:
        # Some network file systems refuse this; the files' contents are safe all the same.
        pass
    finally:
        os.close(handle)
