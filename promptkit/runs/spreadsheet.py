"""CSV that a spreadsheet program may open: text stays text there, and a row a row."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Sequence
from typing import Any, TextIO

# What such programs take for the beginning of a formula, after OWASP's page on CSV injection; full-width signs too.
_FORMULA = tuple("=+-@\t\r\n＝＋－＠")
_NUMBER = re.compile(r"[-+]?[0-9]+(\.[0-9]+)?([eE][-+]?[0-9]+)?")


def write_csv(stream: TextIO, rows: Iterable[Sequence[Any]]) -> None:
    """Write rows of text and numbers; None is an empty cell."""
    plain = csv.writer(stream, lineterminator="\n")
    quoted = csv.writer(stream, lineterminator="\n", quoting=csv.QUOTE_ALL)
    for row in rows:
        cells = [as_text(cell) if isinstance(cell, str) else cell for cell in row]
        # The csv module leaves a carriage return without quotes, and then reads it as the end of the row.
        writer = quoted if any(isinstance(cell, str) and "\r" in cell for cell in cells) else plain
        writer.writerow(cells)


def as_text(cell: str) -> str:
    """Return a cell with an apostrophe in front if a spreadsheet program might execute it; a number stays one."""
    return f"'{cell}" if cell.startswith(_FORMULA) and not _NUMBER.fullmatch(cell) else cell
