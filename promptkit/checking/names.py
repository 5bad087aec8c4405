"""What a template's slots may be called, and so the fields of examples."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence

from promptkit.errors import did_you_mean

OWN_SLOTS = ("mask", "soft", "sep", "chat")
"""Slots that are no fields."""


def is_field_name(name: str) -> bool:
    """Return whether a name is a word: letters of any script with their marks, digits and `_`, no digit first.

    Scripts such as Devanagari and Thai write vowels as marks, category M, which `str.isidentifier` knows of; it is
    not asked, for it takes what is spelt otherwise as well.
    """
    return bool(name) and not name[0].isdigit() and all(_in_word(char) for char in name) and not is_mark(name[0])


def _in_word(char: str) -> bool:
    return char == "_" or char.isalnum() or is_mark(char)


def is_mark(char: str) -> bool:
    """Return whether a character is a mark that belongs to a letter, as Devanagari and Thai write vowels."""
    return unicodedata.category(char)[0] == "M"


def field_name(entry: str) -> str:
    """Return the name of a field that is given as `NAME` or `NAME=COLUMN`."""
    return entry.partition("=")[0].strip()


def parse_fields(value: str | Sequence[str]) -> tuple[str, ...]:
    """Return fields, each `NAME` or `NAME=COLUMN`, of a list or of a text in which commas separate them.

    Raises:
        ValueError: for what is no name of a field, or is there twice.
    """
    entries = [part.strip() for part in (value.split(",") if isinstance(value, str) else value)]
    names = [field_name(entry) for entry in entries]
    for name in names:
        if not is_field_name(name) or name in OWN_SLOTS:
            raise ValueError(f"'{name}' is no name of a field; write NAME or NAME=COLUMN, separated by commas")
        if names.count(name) > 1:
            raise ValueError(f"the field '{name}' is there twice")
    return tuple(entries)


def guess_slot(name: str, known: Iterable[str] = ()) -> str:
    """Return ` Did you mean '{x}'?` for the nearest of the known fields and of the slots, or an empty string."""
    near = did_you_mean(name.casefold(), (*known, *OWN_SLOTS))
    return near.replace("'", "'{", 1).replace("'?", "}'?") if near else ""
