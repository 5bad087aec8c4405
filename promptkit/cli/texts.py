"""The texts of a command: of its line, of a file of lines or of a table, or of standard input."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from promptkit.errors import UserError, listed

if TYPE_CHECKING:
    from promptkit.data.tables import Columns, Table

_STANDARD_INPUT = Path("standard input")


@dataclass(frozen=True)
class Line:
    """A text to classify: as it stands, further fields behind tabs, and what errors call it."""

    text: str
    place: str


def read_lines(texts: Sequence[str], text_b: str | None, file: str | None, encoding: str | None) -> list[Line]:
    """Return the texts of the command line, of a file of lines or of standard input; blank lines are left out.

    Args:
        texts: of the command line.
        text_b: the second text of the only one.
        file: a file of lines; `-` is standard input.
        encoding: of the file.

    Raises:
        UserError: if there is no text, or more than one source of texts.
    """
    if texts and file:
        raise UserError("give texts or --file, not both.")
    if texts and encoding:
        raise UserError("--encoding is for a --file or standard input.")
    if text_b is not None and len(texts) != 1:
        raise UserError("--text-b goes with exactly one TEXT; in a file the second text stands behind a tab.")
    if texts:
        for number, text in enumerate(texts, 1):
            if not text.strip():
                raise UserError(f"text {number} is empty.")
            if _is_run(text):
                raise UserError(f"'{text}' is a run, and one is asked at a time; its texts come behind it.")
        return [Line(text, f"text {number}") for number, text in enumerate(texts, 1)]
    return _lines_of(file or "-", encoding, asked=file is not None)


def _is_run(text: str) -> bool:
    """Return whether a text is the directory of a run, as one is that a shell made of `runs/soft-*`."""
    from promptkit.runs import ARTIFACT_NAME

    try:
        return (Path(text) / ARTIFACT_NAME).is_file()
    except (OSError, ValueError):  # too long for a path, or with a zero byte
        return False


def _lines_of(file: str, encoding: str | None, *, asked: bool) -> list[Line]:
    from promptkit.checking import decode, read_bytes, user_path

    if file == "-":
        path = _STANDARD_INPUT
        if sys.stdin is None or (sys.stdin.isatty() and not asked):
            raise UserError("no text: give TEXT, --file F, or lines on standard input.")
        content = sys.stdin.buffer.read()
        if not content.strip():
            raise UserError("standard input is empty.")
    else:
        path = user_path(file)
        # What another command writes, `--file <(...)`, is a pipe.
        content = read_bytes(path, may_be_pipe=True)
    # Only line feeds end a line: texts may hold the other characters that `splitlines` breaks at.
    numbered = enumerate(decode(content, path, encoding).split("\n"), 1)
    lines = [Line(line.rstrip("\r"), f"{path}, line {number}") for number, line in numbered if line.strip()]
    if not lines:
        raise UserError(f"'{path}' holds no text.")
    return lines


def to_fields(lines: Sequence[Line], text_b: str | None, names: Sequence[str]) -> list[dict[str, str]]:
    """Return the template's fields for each line.

    Args:
        lines: the texts.
        text_b: the second text of the only line.
        names: of the template's fields, in the order in which a line has them.

    Raises:
        UserError: if a line has not one text for each field.
    """
    if text_b is not None:
        if "text_b" not in names:
            raise UserError("--text-b: the run's template has no {text_b}.")
        return [{"text": line.text, "text_b": text_b} for line in lines]
    if len(names) == 1:
        return [{names[0]: line.text.strip()} for line in lines]
    rows = []
    for line in lines:
        texts = line.text.split("\t")
        if len(texts) != len(names):
            pair = " or --text-b," if tuple(names) == ("text", "text_b") else ""
            raise UserError(
                f"{line.place}: the run's template has {_braced(names)}: give {len(names)} texts in this order, "
                f"separated by tabs,{pair} or a table with these columns, not {len(texts)}."
            )
        rows.append(dict(zip(names, (text.strip() for text in texts), strict=True)))
    return _filled(rows, lines[0].place if len(lines) == 1 else "there")


def rows_of_table(table: Table, columns: Columns, names: Sequence[str]) -> list[dict[str, str]]:
    """Return the template's fields for each row of a table; rows in which they are empty are left out.

    Args:
        table: as it was opened.
        columns: that hold the fields; those not given go by the field's name.
        names: of the template's fields.

    Raises:
        UserError: for a field that the table has no column for, or the template no use.
    """
    from promptkit.checking import field_name

    given = {field_name(entry): entry for entry in columns.fields}
    flags = {"--text-column": ("text", columns.text), "--text-b-column": ("text_b", columns.text_b)}
    # A column that is named may be that of a field of its own name.
    named = {flag: name for flag, (name, column) in flags.items() if column and column not in names}
    for flag, name in (*named.items(), *(("--fields", name) for name in given)):
        if name not in names:
            raise UserError(f"{flag}: the run's template has no {{{name}}}, but {_braced(names)}.")
    rows = table.texts(replace(columns, fields=tuple(given.get(name, name) for name in names)))
    return _filled(rows, f"'{table.path}'")


def _filled(rows: Sequence[dict[str, str]], where: str) -> list[dict[str, str]]:
    """Return the rows that hold a text, and warn of others.

    Raises:
        UserError: if there is none.
    """
    from promptkit.data.task import holds_text

    filled = [row for row in rows if holds_text(row)]
    if not filled:
        raise UserError(f"{where} holds no text.")
    if len(filled) < len(rows):
        count = len(rows) - len(filled)
        typer.echo(f"warning: {count} {'row' if count == 1 else 'rows'} left out: the text is empty", err=True)
    return filled


def _braced(names: Sequence[str]) -> str:
    return listed([f"{{{name}}}" for name in names])
