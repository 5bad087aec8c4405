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
)
from promptkit.errors import UserError
from promptkit.interrupts import keyboard_interrupts
from promptkit.running.config import DEFAULT_STORE

if TYPE_CHECKING:
    from promptkit.running.predictor import Prediction

_STANDARD_INPUT = Path("standard input")


@dataclass(frozen=True)
class Line:
    """A text to classify; `place` names it in errors."""

    text: str
    place: str


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
                help="One text a line; with {text_b} two, separated by a tab. '-' is standard input.",
            ),
        ] = None,
        encoding: Annotated[
            str | None, typer.Option(metavar="NAME", help="Encoding of the lines, if not UTF-8.")
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
        lines = read_lines(text or [], text_b, file, encoding)
        with keyboard_interrupts():
            from promptkit.running.predictor import load
            from promptkit.runs import resolve_run

            predictor = load(resolve_run(run, store), model=model, device=device, download=download, mirror=mirror)
            rows = to_fields(lines, text_b, predictor.card["templates"])
            predictions = predictor.predict(rows)
        for row, prediction in zip(rows, predictions, strict=True):
            typer.echo(_as_json(row, prediction) if as_json else _as_line(row, prediction))


def read_lines(texts: Sequence[str], text_b: str | None, file: str | None, encoding: str | None) -> list[Line]:
    """Return the texts of the command line, of a file or of standard input; blank lines are left out.

    Raises:
        UserError: if there is no text, or more than one source of texts.
    """
    if texts and file:
        raise UserError("give texts or --file, not both.")
    if text_b is not None and len(texts) != 1:
        raise UserError("--text-b goes with exactly one TEXT; in a file the second text stands behind a tab.")
    if texts:
        for number, text in enumerate(texts, 1):
            if not text.strip():
                raise UserError(f"text {number} is empty.")
        return [Line(text, f"text {number}") for number, text in enumerate(texts, 1)]
    return _lines_of(file or "-", encoding, asked=file is not None)


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
