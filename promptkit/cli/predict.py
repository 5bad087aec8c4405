"""`promptkit predict`: labels and probabilities for texts, from the prompt of a run."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from promptkit.cli.options import (
    LOADING,
    FieldsOption,
    OtherModelOption,
    SecondTextOption,
    StoreOption,
    TextBColumnOption,
    TextColumnOption,
    with_settings,
)
from promptkit.errors import UserError, listed
from promptkit.interrupts import keyboard_interrupts
from promptkit.running.config import DEFAULT_STORE

if TYPE_CHECKING:
    from promptkit.data.tables import Columns, Table
    from promptkit.running.predictor import Prediction

_STANDARD_INPUT = Path("standard input")
# Files that are tables with a header; a `.txt` is lines, as are standard input and whatever else.
_TABLES = (".csv", ".tsv", ".jsonl")


@dataclass(frozen=True)
class Line:
    """A text to classify: as it stands, further fields behind tabs, and what errors call it."""

    text: str
    place: str


@with_settings(LOADING)
def predict(
    *,
    run: Annotated[
        str, typer.Argument(metavar="RUN", help="Run directory, a prompt.safetensors, or a run in the store.")
    ],
    text: Annotated[
        list[str] | None,
        typer.Argument(metavar="[TEXT]...", help="Texts; else lines of --file or standard input."),
    ] = None,
    text_b: SecondTextOption = None,
    file: Annotated[
        str | None,
        typer.Option(
            metavar="F",
            help="A table (.csv, .tsv, .jsonl) with a column for each field of the template, or one text a line; "
            "of several fields, separated by tabs. "
            "'-' is standard input.",
        ),
    ] = None,
    text_column: TextColumnOption = None,
    text_b_column: TextBColumnOption = None,
    fields: FieldsOption = None,
    encoding: Annotated[str | None, typer.Option(metavar="NAME", help="Encoding of the file, if not UTF-8.")] = None,
    model: OtherModelOption = None,
    given: dict[str, Any],
    store: StoreOption = Path(DEFAULT_STORE),
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON lines with the probability of every label.")
    ] = False,
) -> None:
    """Print label, probability and text of every text."""
    from promptkit.checking import user_path
    from promptkit.data.tables import open_table

    columns = _columns(text_column, text_b_column, fields, file)
    table = None
    if _is_table(file) and not text and text_b is None:
        table = open_table(user_path(file or ""), encoding)
    lines = read_lines(text or [], text_b, file, encoding) if table is None else []
    with keyboard_interrupts():
        from promptkit.running.predictor import load
        from promptkit.runs import resolve_run

        predictor = load(resolve_run(run, store), model=model, **given)
        names = predictor.field_names
        rows = to_fields(lines, text_b, names) if table is None else rows_of(table, columns, names)
        predictions = predictor.predict(rows)
    for row, prediction in zip(rows, predictions, strict=True):
        typer.echo(_as_json(row, prediction) if as_json else _as_line(row, prediction))


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
    try:
        return (Path(text) / "prompt.safetensors").is_file()
    except (OSError, ValueError):  # too long for a path, or with a zero byte
        return False


def _is_table(file: str | None) -> bool:
    return file is not None and Path(file).suffix.lower() in _TABLES


def _listed() -> str:
    return f"{', '.join(_TABLES[:-1])} or {_TABLES[-1]}"


def _columns(text: str | None, text_b: str | None, fields: str | None, file: str | None) -> Columns:
    """Return the columns that options name, which only a table has."""
    from promptkit.checking import parse_fields
    from promptkit.data.tables import Columns

    try:
        columns = Columns(text=text, text_b=text_b, fields=parse_fields(fields) if fields else ())
    except ValueError as error:
        raise UserError(f"--fields: {error}.") from None
    if columns != Columns() and not _is_table(file):
        raise UserError(
            f"--text-column, --text-b-column and --fields are for tables: a --file that ends in {_listed()}."
        )
    return columns


def rows_of(table: Table, columns: Columns, names: Sequence[str]) -> list[dict[str, str]]:
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
    named = {"--text-column": columns.text and "text", "--text-b-column": columns.text_b and "text_b"}
    for flag, name in (*named.items(), *(("--fields", name) for name in given)):
        if name and name not in names:
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


def _as_json(row: Mapping[str, str], prediction: Prediction) -> str:
    from promptkit.runs.predictions import json_line

    return json_line({**row, "label": prediction.label, "probabilities": prediction.probabilities})


def _as_line(row: Mapping[str, str], prediction: Prediction) -> str:
    from promptkit.runs.predictions import escape

    chance = f"{prediction.probabilities[prediction.label]:.4f}"
    return "\t".join([escape(prediction.label), chance, *map(escape, row.values())])
