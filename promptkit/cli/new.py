"""`promptkit new`: a plugin to begin with, as a distribution of its own."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from promptkit.cli.options import group

if TYPE_CHECKING:
    from promptkit.hooks.entries import Entry

_NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="What it is called, e.g. my-own.")]
_FolderOption = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="Folder to write; must not exist. promptkit-NAME here by default."),
]


# Kind -> what is written, and what the host calls those that there are.
_KINDS = {
    "strategy": ("a strategy", "strategies"),
    "dataset": ("a data set", "datasets"),
    "metric": ("a metric", "metrics"),
    "engine": ("an engine, which loads language models,", "engines"),
}


def _command(kind: str, what: str, registered: str) -> Callable[..., None]:
    def write(name: _NameArgument, folder: _FolderOption = None) -> None:
        from promptkit.hooks import get_host

        _write(kind, name, folder, getattr(get_host(), registered))

    write.__doc__ = f"Write {what} as a distribution of its own, with its tests."
    return write


def _write(kind: str, name: str, folder: Path | None, registered: Mapping[str, Entry]) -> None:
    from promptkit.hooks.entries import RESERVED
    from promptkit.scaffolding import KINDS, NewPlugin, write_plugin

    taken = dict.fromkeys(RESERVED.get(KINDS[kind], ()), "promptkit's own")
    taken |= {entry.name: f"of {entry.origin}" for entry in registered.values()}
    place, files = write_plugin(NewPlugin(kind, name), folder, taken)
    typer.echo(f"wrote {place}: {', '.join(files)}")
    typer.echo(f"next: pip install -e {shlex.quote(f'{place}[test]')} && pytest {shlex.quote(str(place))}")


GROUP = group(
    "Write a plugin to begin with: it installs, and its tests pass.",
    {kind: _command(kind, *more) for kind, more in _KINDS.items()},
)
