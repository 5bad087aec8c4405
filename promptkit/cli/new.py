"""`promptkit new`: a plugin to begin with, as a distribution of its own."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

_NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="What it is called, e.g. null-prompt.")]
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
    app.add_typer(new, name="new")


def strategy(name: _NameArgument, folder: _FolderOption = None) -> None:
    """Write a strategy as a distribution of its own, with its tests."""
    from promptkit.hooks import get_host

    _write("strategy", name, folder, {it.name: f"of {it.origin}" for it in get_host().strategies.values()})


def _write(kind: str, name: str, folder: Path | None, taken: dict[str, str]) -> None:
    from promptkit.scaffolding import NewPlugin, write_plugin

    place, files = write_plugin(NewPlugin(kind, name), folder, taken)
    typer.echo(f"wrote {place}: {', '.join(files)}")
    typer.echo(f"next: pip install -e {shlex.quote(f'{place}[test]')} && pytest {shlex.quote(str(place))}")
