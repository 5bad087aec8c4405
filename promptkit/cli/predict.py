"""`promptkit predict`: labels and probabilities for texts, from the prompt of a run."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from promptkit.cli.options import (
    DeviceOption,
    DownloadOption,
    MirrorOption,
    OtherModelOption,
    SecondTextOption,
    StoreOption,
    TextBColumnOption,
    TextColumnOption,
)
from promptkit.errors import UserError
from promptkit.interrupts import keyboard_interrupts
from promptkit.running.config import DEFAULT_STORE

if TYPE_CHECKING:
    from promptkit.running.predictor import Prediction

_STANDARD_INPUT = Path("standard input")
# Files that are tables with a header; a `.txt` is lines, as are standard input and whatever else.
_TABLES = (".csv", ".tsv", ".jsonl")


@dataclass(frozen=True)
class Line:
    """A text to classify.

    Attributes:
        text: as it stands; in a line, a second text may follow behind a tab.
        place: what errors call it.
        text_b: the second text, from a column of its own.
        is_row: whether it comes from a table, where a tab is part of the text.
    """

    text: str
    place: str
    text_b: str | None = None
    is_row: bool = False


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""

    @app.command()
    def predict(
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
                help="A table (.csv, .tsv, .jsonl), or one text a line; with {text_b} two, separated by a tab. "
                "'-' is standard input.",
            ),
        ] = None,
        text_column: TextColumnOption = None,
        text_b_column: TextBColumnOption = None,
        encoding: Annotated[
            str | None, typer.Option(metavar="NAME", help="Encoding of the file, if not UTF-8.")
        ] = None,
        model: OtherModelOption = None,
        device: DeviceOption = "auto",
        download: DownloadOption = False,
        mirror: MirrorOption = None,
        store: StoreOption = Path(DEFAULT_STORE),
        as_json: Annotated[
            bool, typer.Option("--json", help="Print JSON lines with the probability of every label.")
        ] = False,
    ) -> None:
        """Print label, probability and text of every text."""
        columns = (text_column, text_b_column)
        lines = read_lines(text or [], text_b, file, encoding, columns)
        with keyboard_interrupts():
            from promptkit.running.predictor import load
            from promptkit.runs import resolve_run

            predictor = load(resolve_run(run, store), model=model, device=device, download=download, mirror=mirror)
            rows = to_fields(lines, text_b, predictor.card["templates"])
            predictions = predictor.predict(rows)
        for row, prediction in zip(rows, predictions, strict=True):
            typer.echo(_as_json(row, prediction) if as_json else _as_line(row, prediction))


def read_lines(
    texts: Sequence[str],
    text_b: str | None,
    file: str | None,
    encoding: str | None,
    columns: tuple[str | None, str | None] = (None, None),
) -> list[Line]:
    """Return the texts of the command line, of a file or of standard input; blank ones of files are left out.

    Args:
        texts: of the command line.
        text_b: the second text of the only one.
        file: a table or a file of lines; `-` is standard input.
        encoding: of the file.
        columns: of a table, of the text and of the second one; None looks for a usual name.

    Raises:
        UserError: if there is no text, more than one source of texts, or a column that cannot be told.
    """
    if texts and file:
        raise UserError("give texts or --file, not both.")
    if columns != (None, None) and not _is_table(file):
        raise UserError(f"--text-column and --text-b-column are for tables: a --file that ends in {_listed()}.")
    if text_b is not None and len(texts) != 1:
        raise UserError("--text-b goes with exactly one TEXT; in a file the second text stands behind a tab.")
    if texts:
        for number, text in enumerate(texts, 1):
            if not text.strip():
                raise UserError(f"text {number} is empty.")
        return [Line(text, f"text {number}") for number, text in enumerate(texts, 1)]
    if file is not None and _is_table(file):
        return _rows_of(Path(file).expanduser(), encoding, columns)
    return _lines_of(file or "-", encoding, asked=file is not None)


def _is_table(file: str | None) -> bool:
    return file is not None and Path(file).suffix.lower() in _TABLES


def _listed() -> str:
    return f"{', '.join(_TABLES[:-1])} or {_TABLES[-1]}"


def _rows_of(path: Path, encoding: str | None, columns: tuple[str | None, str | None]) -> list[Line]:
    from promptkit.data.tables import Columns, read_texts

    rows = read_texts(path, Columns(text=columns[0], text_b=columns[1]), encoding)
    filled = [row for row in rows if row.text]
    if not filled:
        raise UserError(f"'{path}' holds no text.")
    if len(filled) < len(rows):
        count = len(rows) - len(filled)
        typer.echo(f"warning: {count} {'row' if count == 1 else 'rows'} left out: the text is empty", err=True)
    return [Line(row.text, f"{path}, line {row.line}", row.text_b, is_row=True) for row in filled]


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


def to_fields(lines: Sequence[Line], text_b: str | None, templates: Sequence[str]) -> list[dict[str, str]]:
    """Return the template's fields for each line.

    Raises:
        UserError: if the templates take a second text and a line has none, or the other way round.
    """
    from promptkit.prompting import Template

    pairs = any("text_b" in Template.parse(source).fields for source in templates)
    if text_b is not None:
        if not pairs:
            raise UserError("--text-b: the run's template has no {text_b}.")
        return [{"text": line.text, "text_b": text_b} for line in lines]
    if not pairs:
        return [{"text": line.text.strip()} for line in lines]
    rows = []
    for line in lines:
        if line.is_row:
            if line.text_b is None:
                raise UserError(
                    f"{line.place}: the run's template has {{text_b}}, and the table no such column; name one with "
                    "--text-b-column."
                )
            rows.append({"text": line.text, "text_b": line.text_b})
            continue
        columns = line.text.split("\t")
        if len(columns) != 2:
            raise UserError(
                f"{line.place}: the run's template has {{text_b}}: give two texts separated by a tab "
                f"(or --text-b), not {len(columns)}."
            )
        rows.append({"text": columns[0].strip(), "text_b": columns[1].strip()})
    return rows


def _as_json(row: dict[str, str], prediction: Prediction) -> str:
    from promptkit.runs.predictions import json_line

    return json_line({**row, "label": prediction.label, "probabilities": prediction.probabilities})


def _as_line(row: dict[str, str], prediction: Prediction) -> str:
    from promptkit.runs.predictions import escape

    chance = f"{prediction.probabilities[prediction.label]:.4f}"
    return "\t".join([escape(prediction.label), chance, *map(escape, row.values())])
