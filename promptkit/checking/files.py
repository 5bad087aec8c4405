"""Regular files to bytes to text, with errors that say where."""

from __future__ import annotations

import codecs
import os
import stat
from pathlib import Path

from promptkit.errors import UserError, did_you_mean

_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}
_LONGEST_NAME = 255
_ARCHIVES = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")  # what .xlsx and .xls begin with, whatever they are called
_WIDE = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_ALWAYS_UTF8 = (".json", ".toml")  # which no option names another encoding for
_LOOKED_AT = 65_536  # bytes, for which encoding they may be
_COMMON = ("utf-8", "utf-16", "cp1252", "latin-1", "gb18030", "big5", "shift_jis", "euc-kr")


def user_path(text: str | Path) -> Path:
    """Return a path as the user wrote it, `~` and `~name` replaced by the home directory.

    Raises:
        UserError: if there is no such user, or it holds a NUL, which no path can.
    """
    if "\0" in str(text):
        raise UserError(f"{path_shown(text)!r} is no path: it holds a NUL.")
    try:
        return Path(text).expanduser()
    except RuntimeError:
        raise UserError(f"'{path_shown(text)}': there is no such home directory.") from None


def path_shown(path: str | Path) -> str:
    """Return a path to read, cut in the middle where it is too long for a line."""
    text, half = str(path), 120
    return text if len(text) <= 2 * half else f"{text[:half]}...{text[-half:]}"


def missing(path: Path) -> UserError:
    """Return the error for a path that does not exist, with the nearest name beside it."""
    if os.path.islink(path):
        return UserError(f"'{path_shown(path)}' is a symbolic link that leads nowhere.")
    if len(path.name) > _LONGEST_NAME:
        return UserError(f"no file or folder '{path_shown(path)}': the name is too long for one.")
    try:
        names = [entry.name for entry in path.parent.iterdir()]
    except (OSError, ValueError):
        names = []
    return UserError(f"no file or folder '{path_shown(path)}'.{did_you_mean(path.name, names)}")


def read_bytes(
    path: Path, *, most: int | None = None, may_be_empty: bool = False, may_be_pipe: bool = False
) -> bytes:
    """Return the bytes of a regular file. Anything else is refused before it is opened, for it may never end.

    Args:
        path: the file.
        most: bytes; a larger file is refused.
        may_be_empty: take a file without content too.
        may_be_pipe: take a pipe too, and wait for its end.

    Raises:
        UserError: when it is missing, no regular file, too large, empty, or cannot be read.
    """
    shown = path_shown(path)
    try:
        found = os.stat(path)
        if not stat.S_ISREG(found.st_mode) and not (may_be_pipe and stat.S_ISFIFO(found.st_mode)):
            raise UserError(f"'{shown}' is {_KINDS.get(stat.S_IFMT(found.st_mode), 'something else')}, not a file.")
        if most is not None and found.st_size > most:
            raise UserError(f"'{shown}' is too large: {found.st_size:,} bytes; at most {most:,} are read.")
        content = path.read_bytes()
    except FileNotFoundError:
        raise missing(path) from None
    except ValueError:
        raise UserError(f"{shown!r} is no path: it holds a NUL or half a character.") from None
    except OSError as error:
        raise UserError(f"cannot read '{shown}': {error.strerror}.") from None
    if not may_be_empty and not content.strip():
        raise UserError(f"'{shown}' is empty.")
    return content


def read_text(path: Path, encoding: str | None = None, *, most: int | None = None, may_be_empty: bool = False) -> str:
    """Return the text of a regular file; see `read_bytes` and `decode`.

    Raises:
        UserError: in one line, when there is no such file or its bytes are no text.
    """
    return decode(read_bytes(path, most=most, may_be_empty=may_be_empty), path, encoding)


def decode(content: bytes, path: Path, encoding: str | None) -> str:
    """Return the text of a file in UTF-8, with or without byte-order mark, or in the encoding that is named.

    Raises:
        UserError: for an archive, bytes the encoding does not allow (with line and byte), an encoding nobody knows,
            or one that gives half characters (`unicode_escape` can).
    """
    name = check_encoding(encoding) if encoding else "utf-8-sig"
    shown = path_shown(path)
    if content.startswith(_ARCHIVES):
        raise UserError(f"'{shown}' is an Excel file or another archive: save it as CSV UTF-8.")
    try:
        text = content.decode(name)
        if encoding:
            text.encode("utf-8")
            text = text.removeprefix("\ufeff")  # which only some names of an encoding take off
    except UnicodeEncodeError:
        raise UserError(
            f"{shown}: read as {encoding} it holds half a surrogate pair, which is no character."
        ) from None
    except UnicodeDecodeError as error:
        # Of the file itself: utf-8-sig counts from behind the mark.
        start = error.start + (3 if name == "utf-8-sig" and content.startswith(codecs.BOM_UTF8) else 0)
        line = content.count(b"\n", 0, start) + 1
        byte = start - content.rfind(b"\n", 0, start)
        raise UserError(
            f"{shown}, line {line}, byte {byte}: not {encoding or 'UTF-8'} (0x{content[start : start + 1].hex()}). "
            f"{_advice(content, path, encoding, start - byte + 1)}"
        ) from None
    except (UnicodeError, ValueError) as error:
        raise UserError(f"{shown}: not {encoding}: {error}.") from None
    return text


def _advice(content: bytes, path: Path, encoding: str | None, line: int) -> str:
    """Return what to do about bytes that do not fit; `line` is where the line with the first of them begins."""
    if path.suffix.lower() in _ALWAYS_UTF8:
        return "Save it as UTF-8."
    if content.startswith(_WIDE) and encoding is None:
        return "It looks like UTF-16: --encoding utf-16."
    likely = "gb18030" if _looks_chinese(content[line : line + _LOOKED_AT]) else "cp1252"
    return f"Save it as UTF-8 or name its encoding, e.g. --encoding {likely}."


def _looks_chinese(sample: bytes) -> bool:
    """Return whether bytes are GB18030 in which most characters beyond ASCII are common Chinese ones.

    Bytes of other encodings may be GB18030 by chance, but hardly those of the 3,755 common characters, which begin
    with 0xb0 to 0xd7 (level 1 of GB 2312). An accented letter in UTF-8 is one too; there most bytes are UTF-8.
    """
    try:
        text = codecs.getincrementaldecoder("gb18030")().decode(sample, final=len(sample) < _LOOKED_AT)
    except UnicodeDecodeError:
        return False
    foreign = _beyond_ascii(text)
    common = sum(0xB0 <= first <= 0xD7 for first in foreign.encode("gb2312", "ignore")[::2])
    utf8 = _beyond_ascii(sample.decode("utf-8", "ignore")).encode()
    return 2 * common > len(foreign) > len(utf8)


def _beyond_ascii(text: str) -> str:
    return "".join(sign for sign in text if not sign.isascii())


def check_encoding(encoding: str) -> str:
    """Return the name of a text encoding.

    Raises:
        UserError: when Python knows none of that name, or it is not one for text (`base64`, `undefined`).
    """
    try:
        "".encode(encoding)
    except (LookupError, ValueError):
        raise UserError(f"unknown encoding {encoding!r}.{did_you_mean(encoding, _COMMON)}") from None
    return encoding
