"""What to do about a table in which a column was not found."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

SHOWN = 30  # characters of a column's name in an error: a file without header has whole texts there
_LONGEST_NAME = 40  # characters of what may well be a column's name, and its words below
_MOST_WORDS = 4
SIGNS = {",": "a comma", ";": "a semicolon", "\t": "a tab"}
_FLAGS = {"text": "--text-column", "second text": "--text-b-column"}


def name_one(kind: str, header: Sequence[str], others: Sequence[str]) -> str:
    """Return which option names a column, with an example where there is a likely one.

    Args:
        kind: of the column: `text`, `second text`, `label` or `answer`.
        header: the columns there are.
        others: usual names of other kinds, in lower case, which are none to take for an example.
    """
    flag = _FLAGS.get(kind, "--label-column")
    likely = [name for name in header if 0 < len(name) <= SHOWN and name.lower() not in ("id", "index", *others)]
    if not likely:
        return f"Name the one to use with {flag}."
    # Texts stand in front of their labels, mostly.
    return f"Name the one to use, e.g. {flag} {shlex.quote(likely[0 if kind == 'text' else -1])}."


def other_separator(path: Path, header: Sequence[str]) -> str:
    """Return a hint for a table whose only column is a whole header, written with another sign; or nothing."""
    own = {".csv": ",", ".tsv": "\t", ".txt": "\t"}.get(path.suffix.lower())
    for sign, called in SIGNS.items():
        if own and len(header) == 1 and sign in header[0]:
            return f"They look separated by {called}; '{path.suffix}' takes {SIGNS[own]}: save the table that way."
    return ""


def missing_header(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a hint for a table whose first line is a row: a cell is a text, or stands below in its column too."""
    texts = any(len(name) > _LONGEST_NAME or len(name.split()) > _MOST_WORDS for name in header)
    again = any(name and any(row[place].strip() == name for row in rows) for place, name in enumerate(header))
    return " The first line looks like data: is the header missing?" if texts or again else ""
