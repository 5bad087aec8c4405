"""`promptkit run`: train and judge one prompt."""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from promptkit.cli.options import (
    CleanOption,
    DeviceOption,
    DownloadOption,
    EncodingOption,
    LabelColumnOption,
    MaxLengthOption,
    MirrorOption,
    ModelOption,
    ReadoutOption,
    SettingsOption,
    SlotsOption,
    StoreOption,
    TextBColumnOption,
    TextColumnOption,
    VerbalizerOption,
    command_line,
)
from promptkit.errors import UserError
from promptkit.interrupts import keyboard_interrupts
from promptkit.running.config import DEFAULT_DATA, DEFAULT_MODEL, DEFAULT_STORE, MAX_LENGTH

if TYPE_CHECKING:
    from promptkit.running.runner import RunResult


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""

    @app.command()
    def run(
        context: typer.Context,
        strategy: Annotated[str, typer.Option(metavar="NAME", help="How to prompt; see 'promptkit strategies'.")],
        data: Annotated[str, typer.Option(metavar="NAME|PATH", help="Data set, or a file or folder.")] = DEFAULT_DATA,
        model: ModelOption = DEFAULT_MODEL,
        template: Annotated[
            list[str] | None,
            typer.Option(metavar="T", help="Template, e.g. '{text} It was {mask}.'; scores of several are averaged."),
        ] = None,
        verbalizer: VerbalizerOption = None,
        readout: ReadoutOption = "cloze",
        slots: SlotsOption = "same",
        shots: Annotated[
            str, typer.Option(metavar="K|full", help="Examples a class to learn from, or all of them.")
        ] = "full",
        seed: Annotated[int, typer.Option(metavar="N", help="Same seed, same machine: same numbers.")] = 0,
        epochs: Annotated[
            int | None,
            typer.Option(metavar="N", help="Passes over the training set; the default is the strategy's."),
        ] = None,
        lr: Annotated[float | None, typer.Option(metavar="X", help="Peak learning rate.")] = None,
        batch_size: Annotated[int | None, typer.Option(metavar="N", help="Examples a step.")] = None,
        weight_decay: Annotated[float | None, typer.Option(metavar="X", help="AdamW's decay.")] = None,
        patience: Annotated[
            int | None,
            typer.Option(metavar="N", help="Stop after N epochs without a better dev score; 0 never stops."),
        ] = None,
        max_length: MaxLengthOption = MAX_LENGTH,
        settings: SettingsOption = None,
        metric: Annotated[
            list[str] | None,
            typer.Option(metavar="M", help="A metric beside accuracy and F1: a name, a path or hub:NAME."),
        ] = None,
        device: DeviceOption = "auto",
        mode: Annotated[
            str, typer.Option(metavar="graph|pynative", help="Compile the model, or run it eagerly.")
        ] = "graph",
        clean: CleanOption = False,
        text_column: TextColumnOption = None,
        text_b_column: TextBColumnOption = None,
        label_column: LabelColumnOption = None,
        encoding: EncodingOption = None,
        download: DownloadOption = False,
        mirror: MirrorOption = None,
        out: Annotated[
            Path | None,
            typer.Option(metavar="DIR", help="Run directory, must not exist; by default one in the store."),
        ] = None,
        store: StoreOption = Path(DEFAULT_STORE),
        checkpoint: Annotated[
            Path | None,
            typer.Option(metavar="DIR", help="Keep the training state there; killed and run again, it goes on."),
        ] = None,
        quiet: Annotated[
            bool, typer.Option("--quiet", help="Nothing but the result: no progress, no warnings.")
        ] = False,
    ) -> None:
        """Train and judge one prompt, and write a run directory."""
        from promptkit.running.config import make_config, parse_settings

        config = make_config(
            strategy=strategy,
            data=data,
            model=model,
            templates=tuple(template or ()),
            verbalizer=verbalizer,
            readout=readout,
            slots=slots,
            shots=parse_shots(shots),
            seed=seed,
            epochs=epochs,
            lr=lr,
            batch_size=batch_size,
            weight_decay=weight_decay,
            patience=patience,
            max_length=max_length,
            options=parse_settings(settings or []),
            metrics=tuple(metric or ()),
            device=device,
            mode=mode,
            clean=clean,
            text_column=text_column,
            text_b_column=text_b_column,
            label_column=label_column,
            encoding=encoding,
            download=download,
            mirror=mirror,
            out=out,
            quiet=quiet,
            store=store,
            checkpoint=checkpoint,
            command=command_line(context),
        )
        with keyboard_interrupts():
            from promptkit.reports import result_table
            from promptkit.running.runner import execute

            result = execute(config, announce=None if quiet else typer.echo)
        typer.echo(f"\n{result_table([result.record])}\n")
        typer.echo(_what_next(result))


def parse_shots(value: str) -> int | None:
    """Return K, or None for `full`.

    Raises:
        UserError: for anything but a whole number above 0 or `full`.
    """
    if value == "full":
        return None
    if not re.fullmatch(r"[0-9]{1,9}", value) or int(value) == 0:
        raise UserError(f"--shots takes a whole number above 0, or 'full', not '{value}'.")
    return int(value)


def _what_next(result: RunResult) -> str:
    assert result.directory is not None
    place = os.path.relpath(result.directory)
    # A path full of `..` is harder to read than the whole one.
    place = str(result.directory) if place.startswith("..") else place
    pair = " --text-b 'SECOND TEXT'" if any("{text_b}" in t for t in result.record.options.templates) else ""
    return f"run:     {place}\npredict: promptkit predict {shlex.quote(place)} 'TEXT'{pair}"
