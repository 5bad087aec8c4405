"""`config.json` and its like, field by field: what is missing, mistyped or out of bounds is one line."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from promptkit.errors import UserError, did_you_mean

_LARGEST = 1 << 24  # rows, widths and ids; beyond it is a typing error, and memory that no machine has


def read_object(path: Path, where: str, missing: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return the JSON object in a file.

    Args:
        path: the file.
        where: how errors name the model.
        missing: what to return where there is no file; None refuses that.

    Raises:
        UserError: if it is no file, cannot be read, or holds no JSON object.
    """
    if not path.exists() and missing is not None:
        return missing
    if not path.exists():
        raise UserError(f"{where}: no {path.name} there; a Hugging Face checkpoint has one.")
    if not path.is_file():
        raise UserError(f"{where}: {path.name} is no file.")
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(
            f"{where}: {path.name} cannot be read ({type(error).__name__}: {str(error)[:120]})."
        ) from None
    if not isinstance(found, dict):
        raise UserError(f"{where}: {path.name} holds no JSON object.")
    return found


class Fields:
    """Typed access to the fields of a JSON object.

    Args:
        raw: the object.
        where: how errors name the file.
    """

    def __init__(self, raw: Mapping[str, Any], where: str) -> None:
        self._raw, self.where = raw, where

    def count(self, name: str, default: int | None = None, *, least: int = 1, most: int = _LARGEST) -> int:
        """Return a whole number from `least` to `most`."""
        value = self._get(name, default)
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise self._fault(name, value, f"a whole number from {least} to {most}")
        return value

    def number(self, name: str, default: float, *, most: float) -> float:
        """Return a positive number up to `most`."""
        value = self._get(name, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= most:
            raise self._fault(name, value, f"a positive number up to {most:g}")
        return float(value)

    def flag(self, name: str, default: bool) -> bool:
        """Return true or false."""
        value = self._get(name, default)
        if not isinstance(value, bool):
            raise self._fault(name, value, "true or false")
        return value

    def flag_or_none(self, name: str) -> bool | None:
        """Return true, false, or None where it is null or not given."""
        return None if self._raw.get(name) is None else self.flag(name, False)

    def text(self, name: str, default: str) -> str:
        """Return a string; null counts as not given."""
        value = self._raw.get(name)
        value = default if value is None else value
        if not isinstance(value, str):
            raise self._fault(name, value, "a string")
        return value

    def choice(self, name: str, known: Sequence[str], default: str) -> str:
        """Return one of the known strings."""
        value = self.text(name, default)
        if value not in known:
            guess = did_you_mean(value, known)
            raise UserError(
                f"{self.where}: {name} '{value[:40]}' is not supported.{guess} Supported: {', '.join(known)}."
            )
        return value

    def _get(self, name: str, default: Any) -> Any:
        if name not in self._raw and default is None:
            raise UserError(f"{self.where} has no '{name}'.")
        return self._raw.get(name, default)

    def _fault(self, name: str, value: Any, wanted: str) -> UserError:
        shown = "NaN" if isinstance(value, float) and math.isnan(value) else repr(value)[:40]
        return UserError(f"{self.where}: {name} must be {wanted}, not {shown}.")
