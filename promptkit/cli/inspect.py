"""`promptkit inspect`: what a run has learnt, or what its prediction for a text hangs on."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from promptkit.checking import path_shown, user_path
from promptkit.cli.options import (
    LOADING,
    JsonOption,
    OtherModelOption,
    RunArgument,
    SecondTextOption,
    StoreOption,
    with_settings,
)
from promptkit.errors import UserError
from promptkit.interrupts import keyboard_interrupts
from promptkit.running.config import DEFAULT_STORE

if TYPE_CHECKING:
    from promptkit.inspection import Attribution, PromptReport

_LONGEST_NAME = 255
_NEAREST = 5


@with_settings(name for name in LOADING if name != "precision")
def inspect(
    *,
    run: RunArgument,
    text: Annotated[
        str | None,
        typer.Argument(metavar="TEXT", help="Show which pieces of it the prediction hangs on."),
    ] = None,
    text_b: SecondTextOption = None,
    nearest: Annotated[
        int | None,
        typer.Option(metavar="K", help=f"Nearest words for each virtual token; {_NEAREST} by default."),
    ] = None,
    plot: Annotated[Path | None, typer.Option(metavar="FILE.svg|.png", help="Draw virtual tokens and words.")] = None,
    html: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the same as an HTML page.")] = None,
    store: StoreOption = Path(DEFAULT_STORE),
    model: OtherModelOption = None,
    given: dict[str, Any],
    as_json: JsonOption = False,
) -> None:
    """Show what a run has learnt, or the pieces of a text that a prediction hangs on."""
    from promptkit.runs import resolve_run

    _check(text, text_b, nearest, plot)
    plot, html = (None if file is None else user_path(file) for file in (plot, html))
    for file in (plot, html):
        if file is not None and (os.path.isdir(file) or len(file.name) > _LONGEST_NAME):
            raise UserError(f"cannot write '{path_shown(file)}': that is no name for a file.")
        if file is not None and not os.path.isdir(file.absolute().parent):
            raise UserError(f"cannot write '{file}': there is no folder '{file.parent}'.")
    path = resolve_run(run, store)
    loading = {"model": model, **given}
    with keyboard_interrupts():
        if text is None:
            from promptkit.inspection import inspect_prompt

            report = inspect_prompt(path, nearest=_NEAREST if nearest is None else nearest, **loading)
            if plot is not None and not report.templates:
                raise UserError("--plot draws virtual tokens among words, and this run has none.")
            _answer(report, as_json)
            _write_report(report, plot, html, as_json)
        else:
            found = _attribute(path, text, text_b, loading)
            _answer(found, as_json)
            _write_attribution(found, run, html, as_json)


def _check(text: str | None, text_b: str | None, nearest: int | None, plot: Path | None) -> None:
    """Refuse what does not go together, before anything is loaded."""
    if text is None:
        if text_b is not None:
            raise UserError("--text-b goes with a TEXT.")
        if plot is not None:
            from promptkit.inspection.picture import check_ending

            check_ending(plot)
        return
    if not text.strip():
        raise UserError("TEXT is empty.")
    for name, value in (("--plot", plot), ("--nearest", nearest)):
        if value is not None:
            raise UserError(f"{name} is about virtual tokens and does not go with a TEXT.")


def _attribute(path: Path, text: str, text_b: str | None, loading: dict[str, Any]) -> Attribution:
    from promptkit.cli.texts import Line, to_fields
    from promptkit.inspection import attribute
    from promptkit.running.predictor import load

    predictor = load(path, **loading)
    (fields,) = to_fields([Line(text, "TEXT")], text_b, predictor.field_names)
    return attribute(predictor, fields)


def _answer(found: PromptReport | Attribution, as_json: bool) -> None:
    from promptkit.inspection import PromptReport
    from promptkit.inspection.text import attribution_text, report_text

    if as_json:
        typer.echo(json.dumps(found.to_dict(), ensure_ascii=False, indent=2))
    else:
        typer.echo(report_text(found) if isinstance(found, PromptReport) else attribution_text(found))


def _write_report(report: PromptReport, plot: Path | None, html: Path | None, as_json: bool) -> None:
    from promptkit.inspection.page import report_page
    from promptkit.inspection.picture import save_picture
    from promptkit.runs.files import write_where_asked

    if plot is not None:
        save_picture(report, plot)
    if html is not None:
        write_where_asked(html, report_page(report))
    _name_files(plot, html, as_json)


def _write_attribution(found: Attribution, run: str, html: Path | None, as_json: bool) -> None:
    from promptkit.inspection.page import attribution_page
    from promptkit.runs.files import write_where_asked

    if html is not None:
        write_where_asked(html, attribution_page(found, run))
    _name_files(None, html, as_json)


def _name_files(plot: Path | None, html: Path | None, as_json: bool) -> None:
    """Say where the files are; not beside JSON, which must stay JSON."""
    lines = [f"{name} {path}" for name, path in (("plot:", plot), ("page:", html)) if path is not None]
    if lines and not as_json:
        typer.echo("\n" + "\n".join(lines))
