"""`promptkit predict`: labels and probabilities for texts, from the prompt of a run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from promptkit.cli.options import (
    LOADING,
    FieldsOption,
    FileEncodingOption,
    OtherModelOption,
    RunArgument,
    SecondTextOption,
    StoreOption,
    TextBColumnOption,
    TextColumnOption,
    with_settings,
)
from promptkit.cli.texts import read_lines, rows_of_table, to_fields
from promptkit.errors import UserError
from promptkit.interrupts import keyboard_interrupts
from promptkit.running.config import DEFAULT_STORE

if TYPE_CHECKING:
    from promptkit.data.tables import Columns
    from promptkit.running.predictor import Prediction

# Files that are tables with a header; a `.txt` is lines, as are standard input and whatever else.
_TABLES = (".csv", ".tsv", ".jsonl")


@with_settings(LOADING)
def predict(
    *,
    run: RunArgument,
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
    encoding: FileEncodingOption = None,
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
        rows = to_fields(lines, text_b, names) if table is None else rows_of_table(table, columns, names)
        predictions = predictor.predict(rows)
    for row, prediction in zip(rows, predictions, strict=True):
        typer.echo(_as_json(row, prediction) if as_json else _as_line(row, prediction))


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


def _as_json(row: Mapping[str, str], prediction: Prediction) -> str:
    from promptkit.runs.predictions import json_line

    return json_line({**row, "label": prediction.label, "probabilities": prediction.probabilities})


def _as_line(row: Mapping[str, str], prediction: Prediction) -> str:
    from promptkit.runs.predictions import escape

    chance = f"{prediction.probabilities[prediction.label]:.4f}"
    return "\t".join([escape(prediction.label), chance, *map(escape, row.values())])
