"""What a template's slots may be called, and so the fields of examples."""

from __future__ import annotations

import re
from collections.abc import Sequence

FIELD_NAME = re.compile(r"[^\W\d]\w*")
OWN_SLOTS = ("mask", "soft", "chat")
"""Slots that are no fields."""


def parse_fields(value: str | Sequence[str]) -> tuple[str, ...]:
    """Return fields, each `NAME` or `NAME=COLUMN`, of a list or of a text in which commas separate them.

    Raises:
        ValueError: for what is no name of a field, or is there twice.
    """
    entries = [part.strip() for part in (value.split(",") if isinstance(value, str) else value)]
    names = [entry.partition("=")[0].strip() for entry in entries]
    for name in names:
        if not FIELD_NAME.fullmatch(name) or name in OWN_SLOTS:
            raise ValueError(f"'{name}' is no name of a field; write NAME or NAME=COLUMN, separated by commas")
        if names.count(name) > 1:
            raise ValueError(f"the field '{name}' is there twice")
    return tuple(entries)
