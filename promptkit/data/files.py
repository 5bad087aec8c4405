"""Bytes to text, with errors that say where."""

from __future__ import annotations

import codecs
from pathlib import Path

from promptkit.errors import UserError, did_you_mean


def missing(path: Path) -> UserError:
    """Return the error for a path that does not exist, with the nearest name beside it.

    A symbolic link that leads nowhere, or round in a circle, is there and still names no file.
    """
    if path.is_symlink():
        return UserError(f"'{path}' is a symbolic link that leads to no file or folder.")
    try:
        names = [entry.name for entry in path.parent.iterdir()]
    except OSError:
        names = []
    return UserError(f"no file or folder '{path}'.{did_you_mean(path.name, names)}")


def read_bytes(path: Path) -> bytes:
    """Return a file's bytes.

    Raises:
        UserError: when it is missing, cannot be read, or is empty.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise missing(path) from None
    except OSError as error:
        raise UserError(f"cannot read '{path}': {error.strerror}.") from None
    if not content.strip():
        raise UserError(f"'{path}' is empty.")
    return content


def decode(content: bytes, path: Path, encoding: str | None) -> str:
    """Return the text of a file in UTF-8, with or without byte-order mark, or in the encoding that is named.

    Raises:
        UserError: for bytes the encoding does not allow (with line and byte), or an encoding nobody knows.
    """
    name = check_encoding(encoding) if encoding else "utf-8-sig"
    try:
        return content.decode(name)
    except UnicodeDecodeError as error:
        # Of the file itself: utf-8-sig counts from behind the mark.
        start = error.start + (3 if name == "utf-8-sig" and content.startswith(codecs.BOM_UTF8) else 0)
        line = content.count(b"\n", 0, start) + 1
        byte = start - content.rfind(b"\n", 0, start)
        raise UserError(
            f"{path}, line {line}, byte {byte}: not {encoding or 'UTF-8'} (0x{content[start]:02x}). "
            f"Save it as UTF-8 or name its encoding."
        ) from None
    except UnicodeError as error:
        raise UserError(f"{path}: not {encoding}: {error}.") from None


def check_encoding(encoding: str) -> str:
    """Return the name of a text encoding.

    Raises:
        UserError: when Python knows none of that name.
    """
    try:
        "".encode(encoding)
    except LookupError:
        common = ("utf-8", "utf-16", "cp1252", "latin-1", "gb18030", "big5", "shift_jis", "euc-kr")
        raise UserError(f"unknown encoding '{encoding}'.{did_you_mean(encoding, common)}") from None
    return encoding


def decode_line(line: bytes) -> str:
    """Return a line of unknown encoding: UTF-8, else Windows-1252, else Latin-1, which allows any byte."""
    for encoding in ("utf-8", "cp1252"):
        try:
            return line.decode(encoding)
        except UnicodeDecodeError:
            continue
    return line.decode("latin-1")
