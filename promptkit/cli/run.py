"""`promptkit run`: train and judge one prompt."""

from __future__ import annotations

import os
import shlex
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import typer

from promptkit.cli.options import command_line, with_settings
from promptkit.interrupts import keyboard_interrupts, resumable
from promptkit.ranks import here
from promptkit.running.config import RunConfig, make_config, setting_of

if TYPE_CHECKING:
    from promptkit.running.runner import RunResult

SETTINGS = tuple(name for name in RunConfig.model_fields if not setting_of(name).hidden)


@with_settings(SETTINGS)
def run(context: typer.Context, given: dict[str, Any]) -> None:
    """Train and judge one prompt, and write a run directory."""
    config = make_config(**given, command=command_line(context))
    with keyboard_interrupts(), nullcontext() if config.checkpoint is None else resumable():
        from promptkit.reports import result_table
        from promptkit.running.runner import execute

        result = execute(config, announce=None if config.quiet else typer.echo)
    if not here().leads:
        return
    typer.echo(f"\n{result_table([result.record])}\n")
    typer.echo(_what_next(result))


def _what_next(result: RunResult) -> str:
    assert result.directory is not None
    place = os.path.relpath(result.directory)
    # A path full of `..` is harder to read than the whole one.
    place = str(result.directory) if place.startswith("..") else place
    found = "".join(f"found:   {each}\n" for each in result.record.found)
    texts = _texts(result.record.options.templates)
    if result.record.options.objective == "text":
        return f"{found}run:      {place}\ngenerate: promptkit generate {shlex.quote(place)} {texts}"
    return f"{found}run:     {place}\npredict: promptkit predict {shlex.quote(place)} {texts}"


def _texts(templates: tuple[str, ...]) -> str:
    """Return how a prompt is given its texts."""
    from promptkit.prompting.template import fields_of

    fields = fields_of(templates)
    if len(fields) == 1:
        return "'TEXT'"
    return "'TEXT' --text-b 'SECOND TEXT'" if fields == ("text", "text_b") else "--file TABLE.csv"
