"""Puts the commands together, those of plugins included, and turns every wrong usage into one line."""

from __future__ import annotations

import io
import re
import sys
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from promptkit.cli import new, runs
from promptkit.cli.compare import compare
from promptkit.cli.datasets import datasets
from promptkit.cli.doctor import doctor
from promptkit.cli.generate import generate
from promptkit.cli.inspect import inspect
from promptkit.cli.models import models
from promptkit.cli.predict import predict
from promptkit.cli.preview import preview
from promptkit.cli.report import report
from promptkit.cli.run import run
from promptkit.cli.strategies import strategies
from promptkit.errors import UserError, did_you_mean, unknown
from promptkit.hooks import PluginHost, exit_message, get_host
from promptkit.ranks import launched

_COMMANDS = (run, compare, report, predict, generate, inspect, preview, strategies, models, datasets, doctor)
_GROUPS = {"runs": runs.GROUP, "new": new.GROUP}
_OWN = {*(command.__name__ for command in _COMMANDS), *_GROUPS}
_HELP = {"help_option_names": ["-h", "--help"], "max_content_width": 100}
# typer carries a click of its own in newer versions; its base of all wrong usage is reached the same way.
_UsageFault: Any = next(kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException")


class _PassedError(Exception):
    """Carries what typer would answer in its own way past it."""

    def __init__(self, cause: BaseException) -> None:
        super().__init__()
        self.cause = cause


class _Group(TyperGroup):
    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Refuse a command that does not exist with the nearest one that does."""
        if self.get_command(ctx, args[0]) is None:
            raise unknown("command", args[0], self.commands)
        if launched() and args[0] != "run":
            raise UserError(f"several processes started by msrun can share a 'promptkit run', but no '{args[0]}'.")
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: Any) -> None:
        """Keep interrupts, broken pipes and EOF errors from typer, which swallows them.

        Commands of plugins end as they like. Promptkit's own never call `sys.exit`: there it was a plugin at work.
        """
        try:
            # What a command returns, a plugin's say, is no exit code; that is what `typer.Exit` holds.
            super().invoke(ctx)
        except (KeyboardInterrupt, BrokenPipeError, EOFError) as error:
            raise _PassedError(error) from None
        except SystemExit as error:
            if ctx.invoked_subcommand in _OWN:
                raise UserError(exit_message(error)) from error
            raise


def build_app(host: PluginHost) -> typer.Typer:
    """Return the command line with the commands of promptkit and of the host's plugins."""
    app = typer.Typer(
        name="promptkit",
        cls=_Group,
        help="Compare ways of prompting a language model for text classification, on MindSpore.",
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        invoke_without_command=True,
        context_settings=_HELP,
    )

    @app.callback()
    def promptkit(
        context: typer.Context,
        version: Annotated[bool, typer.Option("--version", help="Show the version and exit.")] = False,
    ) -> None:
        if version:
            from promptkit.version import __version__

            typer.echo(f"promptkit {__version__}")
            raise typer.Exit
        if context.invoked_subcommand is None:
            typer.echo(context.get_help())

    for command in _COMMANDS:
        app.command()(command)
    for name, group in _GROUPS.items():
        app.add_typer(group, name=name)
    host.register_commands(app)
    return app


def execute(arguments: list[str]) -> int:
    """Run one command and return its exit code.

    Raises:
        UserError: for bad input, wrong usage of the command line included.
        KeyboardInterrupt, BrokenPipeError: as they come.
    """
    _check_text(arguments)
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A terminal that cannot show a character must not end a run.
        sys.stdout.reconfigure(errors="backslashreplace")
    host = get_host()
    command = typer.main.get_command(build_app(host))
    host.report_refusals()
    try:
        code = command.main(arguments, prog_name="promptkit", standalone_mode=False, obj=tuple(arguments))
    except _PassedError as passed:
        raise passed.cause from None
    except typer.Abort:
        raise UserError("aborted.") from None
    except _UsageFault as fault:
        raise _usage_error(fault, arguments) from None
    return code if isinstance(code, int) else 0


def _check_text(arguments: list[str]) -> None:
    for number, argument in enumerate(arguments, 1):
        try:
            argument.encode()
        except UnicodeEncodeError:
            raise UserError(f"argument {number} of the command line is not valid UTF-8.") from None


def _given(fault: Any, arguments: list[str]) -> str:
    """Return what was given to the option of which a value is wrong, or nothing."""
    names = getattr(getattr(fault, "param", None), "opts", ())
    for number, argument in enumerate(arguments):
        name, sign, value = argument.partition("=")
        if name in names:
            return value if sign else "".join(arguments[number + 1 : number + 2])
    return ""


def _usage_error(fault: Any, arguments: list[str]) -> UserError:
    """Return typer's complaint as one line, with the nearest option for a misspelt one."""
    context = getattr(fault, "ctx", None)
    hint = f" See '{context.command_path} --help'." if context else ""
    if type(fault).__name__ == "NoSuchOption":
        known = [name for option in context.command.params for name in option.opts] if context else []
        near = did_you_mean(fault.option_name, known)
        return UserError(f"no such option '{fault.option_name}'.{near}{hint}")
    message = fault.format_message().strip().rstrip(".")
    stop = "" if message.endswith("?") else "."
    decimal = re.fullmatch(r"([+-]?\d*),(\d+)", _given(fault, arguments))
    if decimal and "integer" not in message:
        stop += f" Write {decimal[1] or 0}.{decimal[2]}."
    return UserError(f"{message[:1].lower()}{message[1:]}{stop}{hint}")
