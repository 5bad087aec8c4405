"""Files that are either whole or not there."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from promptkit.errors import UserError

_LONGEST_NAME = 180
_PARTIAL = re.compile(r"^\.(.+)\.partial-([0-9]+)-[0-9a-f]{8}$", re.DOTALL)


def partial_name(name: str) -> str:
    """Return a hidden name, not used before, for what is to become `name`."""
    return f".{name}.partial-{os.getpid()}-{secrets.token_hex(4)}"


def final_path(path: Path) -> Path:
    """Return what a path is to become, with every `partial_name` in it undone."""
    return Path(*(_PARTIAL.sub(r"\1", part) for part in path.parts))


def remove_left_behind(folder: Path, pattern: str) -> None:
    """Remove what killed processes of this machine were writing, of files whose names fit a pattern."""
    for path in folder.glob(f".{pattern}.partial-*"):
        found = _PARTIAL.match(path.name)
        if found and not _lives(int(found[2])):
            with contextlib.suppress(OSError):
                path.unlink()


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):  # another user's, or no number of a process
        pass
    return True


def folder_name(stem: str) -> str:
    """Return a name for a folder, whatever data or a plugin is called: no separators, no blanks, not too long."""
    name = re.sub(r"[^\w.+-]+", "-", stem).strip("-.")
    # A file system takes 255 bytes; the rest is for numbers, keys and hidden names.
    return name.encode()[:_LONGEST_NAME].decode(errors="ignore") or "run"


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file so that at any moment either the old content or all of the new is there.

    Raises:
        OSError: if it cannot be written; the old content stays.
    """
    with open_atomically(path) as stream:
        stream.write(data)


def write_where_asked(path: Path, content: str | bytes) -> None:
    """Write a file that the user has named, whole or not at all, with the folders it is in; `~` is the home folder.

    Text is written as UTF-8, half a character in it as an escape: a label with one must not lose the rest.

    Raises:
        UserError: if it cannot be written, or the name is that of something else.
    """
    data = content.encode("utf-8", errors="backslashreplace") if isinstance(content, str) else content
    try:
        # A link is followed, or the file it leads to would be left as it was.
        target = path.expanduser().resolve()
        if target.exists() and not target.is_file():
            raise UserError(f"'{path}' exists and is not a file.")
        target.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(target, data)
    except (OSError, RuntimeError) as error:
        raise UserError(f"'{path}' cannot be written: {getattr(error, 'strerror', None) or error}") from None


@contextlib.contextmanager
def open_atomically(path: Path) -> Iterator[BinaryIO]:
    """Give a stream whose content takes the place of the file once the body has ended without an exception.

    Raises:
        OSError: if it cannot be written; the old content stays.
    """
    partial = path.with_name(partial_name(path.name))
    try:
        with partial.open("xb") as stream:
            yield stream
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


def shown(path: Path) -> str:
    """Return a path to read: relative if it lies in the working directory."""
    with contextlib.suppress(ValueError, OSError):
        return str(path.relative_to(Path.cwd()))
    return str(path)
