"""Options that several commands take; those that are settings of a run come from what `RunConfig` says of them."""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

import typer

from promptkit.checking import user_path
from promptkit.running.config import RunConfig, flag_of, setting_of


def option(name: str, parser: Callable[[str], Any] | None = None) -> Any:
    """Return typer's option for a setting of a run, whose value `parser` makes of what was typed."""
    setting = setting_of(name)
    more = " May be repeated." if setting.repeated else ""
    return typer.Option(flag_of(name), metavar=setting.metavar or None, help=setting.help + more, parser=parser)


# The settings that loading the prompt of a run takes, beside where its model is.
LOADING = ("device", "precision", "download", "mirror", "offline")

TextColumnOption = Annotated[str | None, option("text_column")]
TextBColumnOption = Annotated[str | None, option("text_b_column")]
FieldsOption = Annotated[str | None, option("fields")]
StoreOption = Annotated[Path, option("store", user_path)]
SecondTextOption = Annotated[
    str | None, typer.Option("--text-b", metavar="TEXT", help="Second text, for a template with {text_b}.")
]
OtherModelOption = Annotated[
    str | None,
    typer.Option("--model", metavar="NAME|DIR|ID", help="The model, if it is not where the run found it."),
]
FileEncodingOption = Annotated[
    str | None, typer.Option("--encoding", metavar="NAME", help="Encoding of the file, if not UTF-8.")
]
RunArgument = Annotated[
    str, typer.Argument(metavar="RUN", help="Run directory, a prompt.safetensors, or a run in the store.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]

Command = Callable[..., None]


def with_settings(names: Iterable[str], *, unset: bool = False) -> Callable[[Command], Command]:
    """Give a command an option for each of these settings of a run.

    The command takes them as one dictionary, its argument `given`, in whose place they stand in `--help`: a setting's
    name -> its value as `RunConfig` takes it.

    Args:
        names: of the settings.
        unset: for a command where something else may say what a setting is: what is not on the command line is
            not among `given`, and defaults are shown in brackets, as by the options that are written by hand.
    """

    def decorate(command: Command) -> Command:
        own = inspect.signature(command, eval_str=True)
        made = [_parameter(name, unset) for name in names]

        @functools.wraps(command)
        def typed(**arguments: Any) -> None:
            values = {it.name: arguments.pop(it.name) for it in made}
            given = {name: _read(name, value) for name, value in values.items() if not (unset and _is_absent(value))}
            command(given=given, **arguments)

        parameters = [it for name in own.parameters for it in (made if name == "given" else [own.parameters[name]])]
        parameters = [it.replace(kind=inspect.Parameter.KEYWORD_ONLY) for it in parameters]
        # What typer reads a command's options from.
        typed.__signature__ = own.replace(parameters=parameters)  # type: ignore[attr-defined]
        typed.__annotations__ = {it.name: it.annotation for it in parameters}
        return typed

    return decorate


def _parameter(name: str, unset: bool) -> inspect.Parameter:
    """Return the parameter that typer makes a setting's option from."""
    field, setting, shown = RunConfig.model_fields[name], setting_of(name), option(name)
    kind: Any = field.annotation
    default = field.get_default(call_default_factory=True)
    if setting.repeated:
        kind, default = list[str] | None, None
    elif setting.word:
        kind, default = str, setting.word
    elif setting.parse:
        kind, default = str | None, None
    elif any(get_origin(each) is Literal for each in (kind, *get_args(kind))):
        # The choices are checked by `RunConfig`, which says what is near.
        kind = str if default is not None else str | None
    if unset and kind is not bool:
        shown.help += "" if default is None else f" [{default}]"
        kind, default = kind | None, None
    empty = inspect.Parameter.empty
    return inspect.Parameter(
        name,
        inspect.Parameter.KEYWORD_ONLY,
        default=empty if field.is_required() else default,
        annotation=Annotated[kind, shown],  # type: ignore[valid-type]
    )


def _is_absent(value: Any) -> bool:
    """Return whether an option was not given; 0 is a value."""
    return value is None or value is False or value == []


def _read(name: str, value: Any) -> Any:
    """Return a setting's value from what its option gave."""
    setting = setting_of(name)
    if setting.repeated:
        value = tuple(value or ())
    return setting.parse(value) if setting.parse else value


def command_line(context: typer.Context) -> tuple[str, ...]:
    """Return the command line for the record, without the password a mirror's address may hold."""
    arguments = context.obj if isinstance(context.obj, tuple) else ()
    return ("promptkit", *(re.sub(r"://[^/\s]+@", "://***@", argument) for argument in arguments))


def group(help: str, commands: Mapping[str, Command]) -> typer.Typer:
    """Return a group of commands, by name; it shows its help where none of them is named."""
    made = typer.Typer(help=help, invoke_without_command=True, rich_markup_mode=None, add_completion=False)

    @made.callback()
    def show_help(context: typer.Context) -> None:
        if context.invoked_subcommand is None:
            typer.echo(context.get_help())

    for name, command in commands.items():
        made.command(name)(command)
    return made
