"""JSON and TOML to plain values that everything behind can take: bounded in depth, finite, whole characters."""

from __future__ import annotations

import json
import math
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from promptkit.checking.fields import cut
from promptkit.checking.files import path_shown, read_text
from promptkit.errors import UserError

# Nobody writes deeper by hand, and what recurses over values later has room enough.
DEEPEST = 64
# Of a file that people write or that describes something: experiment, data card, configuration, record.
LARGEST = 64 * 2**20


class _FaultyError(ValueError):
    """What is wrong with a value that could be parsed."""


def parse_json(text: str, what: str, *, line: int | None = None, nan: bool = False) -> Any:
    """Return the value of a JSON text.

    Args:
        text: the document.
        what: what to call it in an error: a path, mostly.
        line: its number, where the document is a single line of a file.
        nan: let NaN and infinity pass.

    Raises:
        UserError: if it is not JSON, nested deeper than `DEEPEST`, or holds an integer of too many digits, half a
            surrogate pair, a key twice in one object, or (without `nan`) a number that is not finite.
    """
    at = what if line is None else f"{what}, line {line}"
    try:
        value = json.loads(text, object_pairs_hook=_without_doubles)
        _check(value, nan)
    except json.JSONDecodeError as error:
        place = f"{what}, line {line or error.lineno}, column {error.colno}"
        raise UserError(f"{place}: not valid JSON: {error.msg}.") from None
    except RecursionError:
        raise UserError(f"{at}: not valid JSON: nested too deep.") from None
    except _FaultyError as fault:
        raise UserError(f"{at}: {fault}.") from None
    except ValueError:
        # Python's own limit, sys.get_int_max_str_digits.
        raise UserError(f"{at}: an integer of too many digits.") from None
    return value


def parse_json_object(text: str, what: str, *, line: int | None = None, nan: bool = False) -> dict[str, Any]:
    """Return the object of a JSON text; see `parse_json`.

    Raises:
        UserError: as `parse_json`, and for anything that is not an object.
    """
    value = parse_json(text, what, line=line, nan=nan)
    if not isinstance(value, dict):
        at = what if line is None else f"{what}, line {line}"
        raise UserError(f"{at}: a JSON object is expected, not a {type(value).__name__}.")
    return value


def read_json_object(path: Path, what: str | None = None, *, nan: bool = False) -> dict[str, Any]:
    """Return the object that a JSON file holds.

    Args:
        path: the file, UTF-8.
        what: what to call it in an error about its content; by default its path.
        nan: let NaN and infinity pass, for fields that nobody reads.

    Raises:
        UserError: if there is no such file, it is larger than `LARGEST`, or it does not hold one JSON object of plain
            values.
    """
    return parse_json_object(read_text(path, most=LARGEST), what or path_shown(path), nan=nan)


def parse_toml(text: str, what: str) -> dict[str, Any]:
    """Return the tables of a TOML text.

    Raises:
        UserError: if it is not TOML, nested deeper than `DEEPEST`, or holds an integer of too many digits or a
            number that is not finite.
    """
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    try:
        values = dict(tomllib.loads(text))
        _check(values, nan=False)
    except RecursionError:
        raise UserError(f"{what}: not valid TOML: nested too deep.") from None
    except _FaultyError as fault:
        raise UserError(f"{what}: {fault}.") from None
    except ValueError as error:
        # What is not TOML, and Python's own limit, sys.get_int_max_str_digits.
        raise UserError(f"{what}: not valid TOML: {cut(str(error))}.") from None
    return values


def read_toml(path: Path, what: str | None = None) -> dict[str, Any]:
    """Return the tables that a TOML file holds; an empty file holds none.

    Raises:
        UserError: if there is no such file, or `parse_toml` refuses it.
    """
    return parse_toml(read_text(path, most=LARGEST, may_be_empty=True), what or path_shown(path))


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        double = Counter(name for name, _ in pairs).most_common(1)[0][0]
        raise _FaultyError(f"key {double[:60]!r} is there twice")
    return values


def _check(value: Any, nan: bool) -> None:
    """Refuse what is JSON or TOML, but what nothing behind can take. Not recursive, for that is the point."""
    waiting = [(value, 0)]
    while waiting:
        item, depth = waiting.pop()
        if isinstance(item, str):
            # JSON can write half of a character as an escape; no tokenizer and no file takes it.
            try:
                item.encode()
            except UnicodeEncodeError:
                raise _FaultyError("half a surrogate pair, which is no character") from None
        elif isinstance(item, dict | list):
            if depth >= DEEPEST:
                raise _FaultyError("nested too deep")
            inner = [*item.keys(), *item.values()] if isinstance(item, dict) else item
            waiting += [(each, depth + 1) for each in inner]
        elif isinstance(item, float) and not nan and not math.isfinite(item):
            raise _FaultyError(f"{item} is no finite number")
