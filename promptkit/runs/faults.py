"""What a disk or SQLite refuses, said in one line with what to do about it."""

from __future__ import annotations

import contextlib
import errno
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from promptkit.errors import UserError
from promptkit.runs.files import final_path, shown

_KEPT = "Finished runs are kept;"
_AGAIN = "and run the same command again."
_FREE = f"{_KEPT} free some space {_AGAIN}"
_DISK = {
    errno.ENOSPC: f"no space is left on the disk. {_FREE}",
    errno.EDQUOT: f"the disk quota is used up. {_FREE}",
    errno.EROFS: f"the file system is read-only. {_KEPT} make it writable or name another folder, {_AGAIN}",
}
_FULL = "disk is full"
# What SQLite's message contains -> what is said. Python 3.10 gives no error codes, only these messages.
_SQLITE = {
    "is locked": "'{path}' is locked by another process. Wait until it has finished, or end it, "
    "and run the same command again.",
    _FULL: "cannot write '{path}': " + _DISK[errno.ENOSPC],
    "disk I/O error": "'{path}': the disk answered with an error; it may be full or broken. "
    f"{_KEPT} see to the disk {_AGAIN}",
    "readonly": "cannot write '{path}': it is read-only. "
    f"{_KEPT} make it writable or name another folder, {_AGAIN}",
    "unable to open": "'{path}' cannot be opened. It has to be a file that may be read, and its folder has to be "
    "writable.",
    "not a database": "'{path}' is not a SQLite file, so it is no store of promptkit. Move it away or name another "
    "folder.",
    "unsupported file format": "'{path}' is of another format of SQLite's than this one reads, or damaged. Move it "
    "away; the run directories beside it stay as they are.",
    "malformed": "'{path}' is damaged. Move it away; the run directories beside it stay as they are.",
    "Could not decode": "'{path}' is damaged: a text in it is none. Move it away; the run directories beside it stay "
    "as they are.",
    "no such": "'{path}' is damaged: something is missing in it. Move it away; the run directories beside it stay "
    "as they are.",
}


class DiskFullError(UserError):
    """There is no space left; apart from other bad input, for removing runs makes space."""


def disk_fault(error: OSError) -> UserError | None:
    """Return the line for a disk that is full or read-only, or None for any other error."""
    said = _DISK.get(error.errno or 0)
    if said is None:
        return None
    name = error.filename2 or error.filename
    place = f" '{shown(final_path(Path(name)))}'" if isinstance(name, str) else ""
    return UserError(f"cannot write{place}: {said}")


@contextlib.contextmanager
def sqlite_faults(path: Path) -> Iterator[None]:
    """Turn what SQLite raises for the state of a file into one line; anything else is a bug and passes.

    Args:
        path: the file, for the message.

    Raises:
        UserError: if it is locked, read-only, damaged or no database, or if the disk is full or broken.
    """
    try:
        yield
    except UnicodeDecodeError as error:
        # SQLite quotes what it cannot make sense of, and Python cannot make a message of that.
        raise UserError(_SQLITE["malformed"].format(path=shown(path))) from error
    except sqlite3.DatabaseError as error:
        for part, said in _SQLITE.items():
            if part in str(error):
                kind = DiskFullError if part == _FULL else UserError
                raise kind(said.format(path=shown(path))) from error
        # A damaged index can break a rule or a statement that is sound in itself.
        if not isinstance(error, sqlite3.ProgrammingError) and _is_damaged(path):
            raise UserError(_SQLITE["malformed"].format(path=shown(path))) from error
        raise


def _is_damaged(path: Path) -> bool:
    """Return whether SQLite finds fault with a file when it looks through all of it."""
    try:
        with contextlib.closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            return [tuple(row) for row in connection.execute("PRAGMA integrity_check(1)")] != [("ok",)]
    except UnicodeDecodeError:
        return True
    except sqlite3.DatabaseError as error:
        return "malformed" in str(error) or "not a database" in str(error)


def make_folder(folder: Path) -> None:
    """Make the folder, and see that it can be written to."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = "it is a file" if os.path.isfile(folder) else error.strerror
        raise disk_fault(error) or UserError(f"cannot make the folder '{shown(folder)}': {reason}.") from None
    check_writable(folder)


def check_makeable(folder: Path) -> None:
    """Refuse a folder that `make_folder` would refuse, as far as that can be known without making it."""
    there = folder.absolute()
    while not os.path.lexists(there) and there != there.parent:
        there = there.parent
    if not os.path.isdir(there):
        raise UserError(f"cannot make the folder '{shown(folder)}': '{shown(there)}' is no folder.")
    check_writable(there)


def check_writable(folder: Path) -> None:
    """Refuse a folder that cannot be written to."""
    if not os.access(folder, os.W_OK | os.X_OK, effective_ids=os.access in os.supports_effective_ids):
        raise UserError(f"cannot write to the folder '{shown(folder)}'. Make it writable or name another one.")
