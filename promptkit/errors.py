"""What the user did wrong, said in one line.

`UserError` is the only error the command line turns into one line and exit code 2. Anything else is a bug
and keeps its traceback.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

_LONGEST = 2_000


class UserError(Exception):
    """Bad input. The message is one line, says what is wrong and, where it can, what would be right.

    A label or a name in it may be of any length, so a message too long to read is cut in the middle: it begins with
    the place and ends with the advice.
    """

    def __init__(self, message: str) -> None:
        line = " ".join(message.split())
        half = _LONGEST // 2
        super().__init__(line if len(line) <= _LONGEST else f"{line[:half]} ... {line[-half:]}")


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return ` Did you mean 'x'?` for the nearest of `known`, or an empty string."""
    names = list(known)
    alike = [each for each in names if each.casefold() == name.casefold()]
    near = alike or difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    return f" Did you mean '{near[0]}'?" if near else ""


def unknown(kind: str, name: str, known: Iterable[str]) -> UserError:
    """Return the error for a `name` that is none of the `known` ones of its `kind`."""
    names = sorted(known)
    listing = ", ".join(names) if names else "none"
    return UserError(f"unknown {kind} '{name}'.{did_you_mean(name, names)} Known: {listing}.")


def kind_of(value: object) -> str:
    """Return what a value is in place of what was expected, for an error: `nothing`, `a list`, `an int`."""
    if value is None:
        return "nothing"
    return with_article(type(value).__name__)


def with_article(noun: str) -> str:
    """Return `an engine`, `a model`."""
    return f"{'an' if noun[0].lower() in 'aeiou' else 'a'} {noun}"


def listed(names: Sequence[str]) -> str:
    """Return names as a sentence lists them: `a`, `a and b`, `a, b and c`."""
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
