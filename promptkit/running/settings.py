"""How a setting of a run is described: once, beside its type, for the command line, the docs and errors alike."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from promptkit.errors import UserError

Scope = Literal["cell", "comparison", "grid", "run"]


@dataclass(frozen=True, kw_only=True, repr=False)
class Setting:
    """What a field of `RunConfig` says of itself, in its annotation.

    Attributes:
        help: what it is, in one sentence; for `--help`, the docs and `help(RunConfig)`.
        metavar: what stands behind the flag; empty for a switch.
        flag: its option on the command line; by default the setting's name with dashes. `promptkit run` has an
            option for every setting but those that are `hidden`.
        repeated: whether the option may be given several times.
        scope: in a comparison, whether it may differ between `cell`s, is the same for the whole `comparison`,
            is decided by the `grid`, or belongs to one `run` only and has no meaning there.
        page: page of the docs that says more.
        word: what stands for None on the command line.
        parse: from what the command line gives to the setting's value; raises `UserError`.
        hidden: not on the command line.
    """

    help: str
    metavar: str = ""
    flag: str = ""
    repeated: bool = False
    scope: Scope = "cell"
    page: str = ""
    word: str = ""
    parse: Callable[[Any], Any] | None = None
    hidden: bool = False

    def __repr__(self) -> str:
        """Be short: it stands in the signature of `RunConfig`."""
        return f"Setting({self.help!r})"


def parse_shots(value: str) -> int | None:
    """Return K, or None for `full`.

    Raises:
        UserError: for anything but a whole number above 0 or `full`.
    """
    if value == "full":
        return None
    if not re.fullmatch(r"[0-9]{1,9}", value) or int(value) == 0:
        raise UserError(f"--shots takes a whole number above 0, or 'full', not '{value}'.")
    return int(value)


def parse_fold(value: Any) -> Any:
    """Return the number of a fold, from 1, and how many there are, of `2/5` or a pair.

    Raises:
        ValueError: for anything else, or a fold that there is not.
    """
    if value is None:
        return None
    parts = re.fullmatch(r"([0-9]{1,4})/([0-9]{1,4})", value.strip()) if isinstance(value, str) else None
    pair = tuple(map(int, parts.groups())) if parts else value
    if not (isinstance(pair, tuple | list) and len(pair) == 2 and all(type(it) is int for it in pair)):
        raise ValueError("write I/K, e.g. 2/5")
    if not 1 <= pair[0] <= pair[1] or pair[1] < 2:
        raise ValueError("K is at least 2, and I from 1 to K")
    return tuple(pair)


def parse_settings(pairs: Sequence[str]) -> dict[str, str]:
    """Turn `key=value` strings into a dictionary.

    Raises:
        UserError: for one without `=`, or a key given twice.
    """
    values: dict[str, str] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        key = key.strip()
        if not equals or not key:
            raise UserError(f"--set takes key=value, not '{pair}'.")
        if key in values:
            raise UserError(f"--set {key} is given twice.")
        values[key] = value.strip()
    return values
