"""The hooks a plugin can implement: what promptkit asks of it, and what it is handed to answer.

The hooks that begin with `promptkit_register_` hand the plugin one thing to register with. Each is called once, when
the plugin is loaded; `promptkit_register_commands` is called when the command line starts. The others tell it what
becomes of a run. docs/hooks.md explains each of them.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    import typer

    from promptkit.backbones.face import Engine
    from promptkit.data import Task
    from promptkit.hooks.events import EpochInfo, RunInfo, RunOutcome
    from promptkit.strategies.contract import Strategy

PROJECT = "promptkit"
HOOK_PREFIX = "promptkit_"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def promptkit_register_strategies(register: Callable[[type[Strategy]], None]) -> None:
    """Add prompt strategies.

    Args:
        register: takes a concrete subclass of `promptkit.Strategy`; its `name` is what `--strategy` takes.
    """


@hookspec
def promptkit_register_datasets(register: Callable[[str, Callable[[], Task]], None]) -> None:
    """Add data sets.

    Args:
        register: takes the name that `--data` takes and a function that reads the data. The function is
            called only when the data set is used.
    """


@hookspec
def promptkit_register_models(register: Callable[[str, Callable[[], Path]], None]) -> None:
    """Add language models.

    Args:
        register: takes the name that `--model` takes and a function that returns a checkpoint directory
            (`config.json`, `model.safetensors`, `tokenizer.json` or `vocab.txt`). The function is called
            only when the model is used, so it may unpack or download.
    """


@hookspec
def promptkit_register_engines(register: Callable[[Engine], None]) -> None:
    """Add engines, which load language models.

    Args:
        register: takes an object with `name`, `summary`, `claims`, `describe` and `load`; see
            `promptkit.backbones.face.Engine`. Without `--engine` the first engine that claims a checkpoint loads it,
            promptkit's own before others.
    """


@hookspec
def promptkit_register_metrics(register: Callable[[str, Path | str], None]) -> None:
    """Add metrics.

    Args:
        register: takes the metric's name and the path of an `evaluate` metric module: a Python file, or a
            folder that holds one of its own name.
    """


@hookspec
def promptkit_register_commands(app: typer.Typer) -> None:
    """Add commands to the command line.

    Args:
        app: an empty `typer.Typer`. What is added to it becomes part of `promptkit`; it cannot replace a
            command that exists and takes no callback of its own.
    """


@hookspec
def promptkit_run_started(run: RunInfo) -> None:
    """Hear of a run that begins: its settings are checked and its data is read, nothing is trained yet.

    Args:
        run: what is run; see `promptkit.RunInfo`.
    """


@hookspec
def promptkit_epoch_ended(run: RunInfo, epoch: EpochInfo) -> None:
    """Hear of a pass over the training set that is done. A strategy that takes no passes has none.

    Args:
        run: the same object as at the start.
        epoch: its number, losses and scores; see `promptkit.EpochInfo`.
    """


@hookspec
def promptkit_run_ended(run: RunInfo, outcome: RunOutcome) -> None:
    """Hear of a run that has ended, once its directory is in place and its row is in the store.

    Args:
        run: the same object as at the start.
        outcome: whether it finished, failed or was interrupted, and its record; see `promptkit.RunOutcome`.
    """


def hook_specifications() -> dict[str, Callable[..., Any]]:
    """Return every hook specification by name, in the order they are declared."""
    return {name: value for name, value in globals().items() if name.startswith(HOOK_PREFIX)}
