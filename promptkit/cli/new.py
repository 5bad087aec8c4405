"""`promptkit new`: a plugin to begin with, as a distribution of its own."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from promptkit.hooks.entries import Entry

_NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="What it is called, e.g. my-own.")]
_FolderOption = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="Folder to write; must not exist. promptkit-NAME here by default."),
]


def register(app: typer.Typer) -> None:
    """Add the group of commands to the command line."""
    new = typer.Typer(invoke_without_command=True, rich_markup_mode=None, add_completion=False)

    @new.callback()
    def group(context: typer.Context) -> None:
        """Write a plugin to begin with: it installs, and its tests pass."""
        if context.invoked_subcommand is None:
            typer.echo(context.get_help())

    new.command("strategy")(strategy)
    new.command("dataset")(dataset)
    new.command("metric")(metric)
    new.command("engine")(engine)
    app.add_typer(new, name="new")


def strategy(name: _NameArgument, folder: _FolderOption = None) -> None:
    """Write a strategy as a distribution of its own, with its tests."""
    from promptkit.hooks import get_host

    _write("strategy", name, folder, get_host().strategies)


def dataset(name: _NameArgument, folder: _FolderOption = None) -> None:
    """Write a data set as a distribution of its own, with its tests."""
    from promptkit.hooks import get_host

    _write("dataset", name, folder, get_host().datasets)


def metric(name: _NameArgument, folder: _FolderOption = None) -> None:
    """Write a metric as a distribution of its own, with its tests."""
    from promptkit.hooks import get_host

    _write("metric", name, folder, get_host().metrics)


def engine(name: _NameArgument, folder: _FolderOption = None) -> None:
    """Write an engine, which loads language models, as a distribution of its own, with its tests."""
    from promptkit.hooks import get_host

    _write("engine", name, folder, get_host().engines)


def _write(kind: str, name: str, folder: Path | None, registered: Mapping[str, Entry]) -> None:
    from promptkit.hooks.entries import RESERVED
    from promptkit.scaffolding import KINDS, NewPlugin, write_plugin

    taken = dict.fromkeys(RESERVED.get(KINDS[kind], ()), "promptkit's own")
    taken |= {entry.name: f"of {entry.origin}" for entry in registered.values()}
    place, files = write_plugin(NewPlugin(kind, name), folder, taken)
    typer.echo(f"wrote {place}: {', '.join(files)}")
    typer.echo(f"next: pip install -e {shlex.quote(f'{place}[test]')} && pytest {shlex.quote(str(place))}")
