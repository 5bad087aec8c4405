"""`promptkit generate`: answers, written by the prompt of a run or behind a plain template."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from promptkit.cli.options import (
    LOADING,
    FileEncodingOption,
    OtherModelOption,
    SecondTextOption,
    StoreOption,
    with_settings,
)
from promptkit.cli.texts import read_lines, to_fields
from promptkit.errors import UserError
from promptkit.interrupts import keyboard_interrupts
from promptkit.running.config import DEFAULT_STORE

if TYPE_CHECKING:
    from promptkit.running.writer import Writer


@with_settings(LOADING)
def generate(
    *,
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="RUN [TEXT]...",
            help="Run directory, a prompt.safetensors, or a run in the store; then texts, else lines of --file "
            "or standard input. With --template texts alone.",
        ),
    ] = None,
    text_b: SecondTextOption = None,
    file: Annotated[
        str | None,
        typer.Option(
            metavar="F",
            help="One text a line; of several fields, separated by tabs. '-' is standard input.",
        ),
    ] = None,
    encoding: FileEncodingOption = None,
    template: Annotated[
        str | None,
        typer.Option(metavar="T", help="Ask with this template in place of a run's prompt; takes --model."),
    ] = None,
    temperature: Annotated[
        float | None,
        typer.Option(metavar="X", help="Scores are divided by it; 0 takes the most likely token, always. [0]"),
    ] = None,
    top_p: Annotated[
        float | None,
        typer.Option(
            metavar="P", help="Draw from the likeliest tokens that come to this share; at temperature 1. [1]"
        ),
    ] = None,
    max_tokens: Annotated[
        int | None, typer.Option(metavar="N", help="Most tokens of an answer; as the run has it, or 64.")
    ] = None,
    seed: Annotated[int, typer.Option(metavar="N", help="Of the draws.")] = 0,
    model: OtherModelOption = None,
    max_length: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="With --template: most tokens of the prompt; all that the model reads beside the answer.",
        ),
    ] = None,
    given: dict[str, Any],
    store: StoreOption = Path(DEFAULT_STORE),
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON lines of fields and answer.")] = False,
) -> None:
    """Write an answer to every text; to a single one as its tokens come."""
    run, texts = _split(words or [], template, model, max_length)
    lines = read_lines(texts, text_b, file, encoding)
    with keyboard_interrupts():
        from promptkit.running.writer import TOKENS, load_writer, make_sampling, make_writer
        from promptkit.runs import resolve_run

        usual = 0.0 if top_p is None else 1.0
        how = make_sampling(usual if temperature is None else temperature, 1.0 if top_p is None else top_p, seed)
        if run is None:
            tokens = TOKENS if max_tokens is None else max_tokens
            writer = make_writer(model or "", template or "", max_tokens=tokens, max_length=max_length, **given)
        else:
            writer = load_writer(resolve_run(run, store), model=model, **given)
        rows = to_fields(lines, text_b, writer.field_names)
        if cut := writer.cut(rows):
            typer.echo(f"warning: {cut} of {len(rows)} texts are too long and were cut", err=True)
        settings = {"temperature": how.temperature, "top_p": how.top_p, "seed": how.seed}
        if len(rows) == 1 and not as_json:
            for piece in writer.stream(rows[0], max_tokens=max_tokens, **settings):  # type: ignore[arg-type]
                sys.stdout.write(piece)
                sys.stdout.flush()
            typer.echo("")
            return
        _print(writer, rows, writer.write(rows, max_tokens=max_tokens, **settings), as_json)  # type: ignore[arg-type]


def _split(
    words: list[str], template: str | None, model: str | None, max_length: int | None
) -> tuple[str | None, list[str]]:
    """Return the run, None where a template asks, and the texts."""
    if template is not None:
        if model is None:
            raise UserError("--template asks a model by itself: name it with --model.")
        return None, words
    if max_length is not None:
        raise UserError("--max-length goes with --template; a run's prompt has its own.")
    if not words:
        raise UserError("name a RUN, or ask a model by itself with --template and --model.")
    return words[0], words[1:]


def _print(writer: Writer, rows: list[dict[str, str]], answers: list[str], as_json: bool) -> None:
    from promptkit.runs.predictions import escape, json_line

    for row, answer in zip(rows, answers, strict=True):
        if as_json:
            typer.echo(json_line({**row, "answer": answer}))
        else:
            typer.echo("\t".join([escape(answer), *map(escape, row.values())]))
