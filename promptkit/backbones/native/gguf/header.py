"""The header of a GGUF file: its metadata, and what each tensor is and where it lies.

Read here and not by the `gguf` package: a header is somebody else's, and its counts and lengths are checked against
the size of the file before anything is allocated or looped over.
"""

from __future__ import annotations

import math
import mmap
import os
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from promptkit.checking import cut, missing, path_shown
from promptkit.errors import UserError, kind_of

_T = TypeVar("_T")
SUFFIX = ".gguf"
_MAGIC = b"GGUF"
_VERSIONS = (2, 3)
_ALIGNMENT = 32
_STRING, _ARRAY = 8, 9
# Value types of the metadata -> their `struct` codes.
_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_LARGEST = 2**24
# Tensor types: number -> name, values a block, bytes a block (ggml.h, ggml-common.h).
_TYPES = {
    0: ("F32", 1, 4),
    1: ("F16", 1, 2),
    2: ("Q4_0", 32, 18),
    3: ("Q4_1", 32, 20),
    6: ("Q5_0", 32, 22),
    7: ("Q5_1", 32, 24),
    8: ("Q8_0", 32, 34),
    12: ("Q4_K", 256, 144),
    13: ("Q5_K", 256, 176),
    14: ("Q6_K", 256, 210),
    30: ("BF16", 1, 2),
}


class _BrokenHeaderError(Exception):
    """What is wrong with a header; becomes a `UserError` that names the file."""


@dataclass(frozen=True)
class TensorEntry:
    """Where a tensor lies.

    Attributes:
        type: name of its number format, `F32` or `Q4_K`.
        shape: as NumPy has it; the file has the dimensions the other way round.
        start: of its first byte in the file.
        size: bytes.
    """

    type: str
    shape: tuple[int, ...]
    start: int
    size: int


@dataclass(frozen=True)
class _Array:
    """An array of the metadata that nobody has asked for yet."""

    kind: int
    count: int
    start: int


@dataclass(frozen=True)
class Header:
    """What a GGUF file says before its weights.

    Attributes:
        path: the file.
        values: metadata by key; read with the methods below, which check what they return.
        tensors: by name.
    """

    path: Path
    values: dict[str, Any]
    tensors: dict[str, TensorEntry]

    @property
    def where(self) -> str:
        """How errors name the file."""
        return f"'{path_shown(self.path)}'"

    @property
    def architecture(self) -> str:
        """`general.architecture`; what keys of the model itself begin with."""
        return self.text("general.architecture") or ""

    def size(self, key: str) -> int | None:
        """Return a whole number above 0 that a tensor could have, or None."""
        found: int | None = self._get(
            key, lambda value: type(value) is int and 0 < value <= _LARGEST, "a number above 0"
        )
        return found

    def index(self, key: str) -> int | None:
        """Return a whole number from 0, or None."""
        found: int | None = self._get(
            key, lambda value: type(value) is int and 0 <= value <= _LARGEST, "a number from 0"
        )
        return found

    def number(self, key: str) -> float | None:
        """Return a finite number from 0, or None; of a float32 the shortest decimal that gives it."""
        found = self._get(
            key, lambda value: type(value) in (int, float) and 0 <= value < math.inf, "a finite number from 0"
        )
        return None if found is None else float(found)

    def text(self, key: str) -> str | None:
        """Return a text, or None."""
        found: str | None = self._get(key, lambda value: isinstance(value, str), "a text")
        return found

    def flag(self, key: str) -> bool | None:
        """Return a truth value, or None."""
        found: bool | None = self._get(key, lambda value: isinstance(value, bool), "true or false")
        return found

    def sizes(self, key: str) -> list[int] | None:
        """Return one whole number above 0, or one for each layer, as a list; or None."""
        if isinstance(self.values.get(key), _Array):
            found = self.array(key, int) or []
            if found and all(0 < value <= _LARGEST for value in found):
                return found
            raise UserError(f"{self.where}: {key} holds no numbers above 0.")
        one = self.size(key)
        return None if one is None else [one]

    def array(self, key: str, kind: type) -> list[Any] | None:
        """Return an array of texts (`str`) or whole numbers (`int`), or None."""
        value = self.values.get(key)
        if value is None:
            return None
        if not isinstance(value, _Array):
            raise UserError(f"{self.where}: {key} is {kind_of(value)}, not an array.")
        fits = value.kind == _STRING if kind is str else _SCALARS.get(value.kind, "f") in "BbHhIiQq"
        if not fits:
            raise UserError(f"{self.where}: {key} is an array of other things than {kind.__name__}.")
        return _opened(self.path, lambda data: _Cursor(data, value.start).elements(value.kind, value.count))

    def _get(self, key: str, fits: Callable[[Any], bool], expected: str) -> Any:
        value = self.values.get(key)
        if value is None or fits(value):
            return value
        shown = "an array" if isinstance(value, _Array) else cut(repr(value), 40)
        raise UserError(f"{self.where}: {key} is {shown}, not {expected}.")


def find_gguf(path: Path) -> Path | None:
    """Return a GGUF file: the path itself, or the only one in the directory; None where there is none.

    Raises:
        UserError: if the directory holds several.
    """
    if path.suffix.lower() == SUFFIX and not path.is_dir():
        return path
    try:
        names = sorted(each.name for each in path.iterdir() if each.suffix.lower() == SUFFIX and each.is_file())
    except OSError:
        return None
    if len(names) > 1:
        shown = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
        raise UserError(f"model '{path_shown(path)}': several GGUF files ({shown}); name one of them.")
    return path / names[0] if names else None


def read_header(path: Path) -> Header:
    """Read what comes before the weights, and check that the file has all of these.

    Raises:
        UserError: in one line, for a file that is none, is cut, is of a version or byte order that is not read, or
            holds a tensor of a type that is not read.
    """
    values, tensors = _opened(path, lambda data: _parse(_Cursor(data)))
    header = Header(path, values, tensors)
    if (parts := header.index("split.count") or 0) > 1:
        raise UserError(f"{header.where} is one of {parts} parts; join them with `llama-gguf-split --merge`.")
    return header


def _opened(path: Path, read: Callable[[mmap.mmap], _T]) -> _T:
    shown = f"'{path_shown(path)}'"
    try:
        if not path.is_file():
            raise UserError(f"{shown} is no file.") if path.exists() else missing(path)
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_size == 0:
                raise UserError(f"{shown} is empty.")
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                return read(data)
    except _BrokenHeaderError as error:
        raise UserError(f"{shown}: {error}.") from None
    except (OSError, ValueError) as error:
        raise UserError(f"cannot read {shown}: {cut(str(error))}.") from None


class _Cursor:
    """Reads one thing after the other, none of them beyond the end."""

    def __init__(self, data: mmap.mmap, at: int = 0) -> None:
        self.data, self.at, self.end = data, at, len(data)

    def number(self, code: str) -> Any:
        size = struct.calcsize(f"<{code}")
        if self.at + size > self.end:
            raise _BrokenHeaderError("the file ends within its header; it is cut")
        (value,) = struct.unpack_from(f"<{code}", self.data, self.at)
        self.at += size
        # What float32 makes of 1e-5 is 9.99999974e-06; the shortest decimal is what was meant.
        return float(str(np.float32(value))) if code == "f" else value

    def count(self, least: int) -> int:
        """How many things follow, each of so many bytes or more."""
        value = int(self.number("Q"))
        if value * least > self.end - self.at:
            raise _BrokenHeaderError("the header counts more than the file could hold; it is cut or damaged")
        return value

    def text(self) -> str:
        size = self.count(1)
        raw = self.data[self.at : self.at + size]
        self.at += size
        try:
            return raw.decode("utf-8")
        except UnicodeDecodeError:
            raise _BrokenHeaderError(f"the header holds a text that is not UTF-8 ({cut(repr(raw), 60)})") from None

    def value(self, kind: int) -> Any:
        if kind == _STRING:
            return self.text()
        if kind == _ARRAY:
            return self.array()
        return self.number(_code(kind))

    def array(self) -> _Array:
        """Step over an array, which may be a vocabulary; it is read when it is asked for."""
        inner = int(self.number("I"))
        if inner == _ARRAY:
            raise _BrokenHeaderError("the header holds an array of arrays")
        least = 8 if inner == _STRING else struct.calcsize(f"<{_code(inner)}")
        found = _Array(inner, self.count(least), self.at)
        if inner == _STRING:
            for _ in range(found.count):
                size = self.count(1)
                self.at += size
        else:
            self.at += found.count * least
        return found

    def elements(self, kind: int, count: int) -> list[Any]:
        if kind == _STRING:
            return [self.text() for _ in range(count)]
        return list(struct.unpack_from(f"<{count}{_code(kind)}", self.data, self.at))


def _code(kind: int) -> str:
    if kind not in _SCALARS:
        raise _BrokenHeaderError(f"the header holds a value of type {kind}, which there is not")
    return _SCALARS[kind]


def _parse(cursor: _Cursor) -> tuple[dict[str, Any], dict[str, TensorEntry]]:
    if cursor.data[:4] != _MAGIC:
        raise _BrokenHeaderError("no GGUF file: it does not begin with the letters GGUF")
    cursor.at = 4
    version = int(cursor.number("I"))
    if version not in _VERSIONS:
        turned = int.from_bytes(version.to_bytes(4, "little"), "big") in _VERSIONS
        raise _BrokenHeaderError(
            "the numbers are big-endian, which is not read" if turned else f"GGUF version {version} is not read"
        )
    # A tensor takes a name, a number of dimensions, one at least, a type and an offset; a value a key and a type.
    tensor_count = cursor.count(32)
    values: dict[str, Any] = {}
    for _ in range(cursor.count(13)):
        key = cursor.text()
        if key in values:
            raise _BrokenHeaderError(f"the header has {cut(key, 60)} twice")
        values[key] = cursor.value(int(cursor.number("I")))
    entries = [_entry(cursor) for _ in range(tensor_count)]
    step = values.get("general.alignment", _ALIGNMENT)
    if type(step) is not int or step < 1 or step > _LARGEST or step & (step - 1):
        raise _BrokenHeaderError("general.alignment is no power of two")
    return values, _placed(entries, -(-cursor.at // step) * step, cursor.end)


def _entry(cursor: _Cursor) -> tuple[str, int, tuple[int, ...], int]:
    """Return a tensor's name, type, shape and offset behind the header."""
    name = cursor.text()
    dimensions = int(cursor.number("I"))
    if not 1 <= dimensions <= 4:
        raise _BrokenHeaderError(f"tensor {cut(name, 60)} has {dimensions} dimensions")
    shape = tuple(int(cursor.number("Q")) for _ in range(dimensions))[::-1]
    kind = int(cursor.number("I"))
    return name, kind, shape, int(cursor.number("Q"))


def _placed(entries: list[tuple[str, int, tuple[int, ...], int]], start: int, end: int) -> dict[str, TensorEntry]:
    tensors: dict[str, TensorEntry] = {}
    for name, kind, shape, offset in entries:
        shown = cut(name, 60)
        if name in tensors:
            raise _BrokenHeaderError(f"the header has tensor {shown} twice")
        if kind not in _TYPES:
            known = ", ".join(each for each, _, _ in _TYPES.values())
            raise _BrokenHeaderError(
                f"tensor {shown} is of type {_type_name(kind)}, which is not read; known: {known}"
            )
        type_name, block, width = _TYPES[kind]
        if min(shape) < 1 or max(shape) > _LARGEST or shape[-1] % block:
            raise _BrokenHeaderError(f"tensor {shown} has shape {shape}, which {type_name} cannot have")
        size = math.prod(shape) // block * width
        if start + offset + size > end:
            last = start + offset + size
            raise _BrokenHeaderError(
                f"tensor {shown} would end at byte {last:,}, the file has {end:,}; it is cut or damaged"
            )
        tensors[name] = TensorEntry(type_name, shape, start + offset, size)
    return tensors


def _type_name(number: int) -> str:
    import gguf

    try:
        return str(gguf.GGMLQuantizationType(number).name)
    except ValueError:
        return str(number)
