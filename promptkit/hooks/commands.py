"""Adds a plugin's commands to the command line, all of them or none."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from promptkit.hooks.entries import Fault

if TYPE_CHECKING:
    import typer


def add_commands(app: typer.Typer, call: Callable[..., None], taken: Mapping[str, object]) -> list[str]:
    """Call a `promptkit_register_commands` hook with an empty app and move what it added to `app`.

    Args:
        app: the command line.
        call: calls the hook; takes the keyword `app`.
        taken: the names that there are, and who brings them.

    Returns:
        The names that were added.

    Raises:
        Fault: the plugin sets a callback, adds a nameless group, a name that is taken, or a function that typer
            cannot make a command of.
    """
    import typer
    from typer.main import get_command

    extra = typer.Typer()
    call(app=extra)
    if extra.registered_callback is not None:
        raise Fault("it sets a callback on the command line; add commands only")
    names = command_names(extra)
    for number, name in enumerate(names):
        if not name:
            raise Fault("it adds a group of commands without a name")
        if name in taken:
            raise Fault(f"the command name '{name}' is taken by {taken[name]}")
        if name in names[:number]:
            raise Fault(f"it adds the command name '{name}' twice")
    if extra.registered_commands or extra.registered_groups:
        try:
            # Signatures are read here; in the whole command line one that cannot be read would end all of it.
            get_command(extra)
        except Exception as error:
            raise Fault(f"typer cannot make a command of it ({type(error).__name__}: {error})") from None
    app.registered_commands.extend(extra.registered_commands)
    app.registered_groups.extend(extra.registered_groups)
    return names


def command_names(app: typer.Typer) -> list[str]:
    """Return the names of an app's commands and groups, as typed; empty for a group without one."""
    from typer.main import get_command_name

    commands = [
        command.name or get_command_name(getattr(command.callback, "__name__", ""))
        for command in app.registered_commands
    ]
    groups = [
        group.name or (group.typer_instance and group.typer_instance.info.name) for group in app.registered_groups
    ]
    return [*commands, *(name if isinstance(name, str) else "" for name in groups)]
