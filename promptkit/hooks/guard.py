"""What a plugin's `sys.exit()` becomes: an error that names the plugin, where it would have looked like success."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from promptkit.errors import UserError
from promptkit.hooks.manager import get_host
from promptkit.hooks.validation import describe_exception


@contextlib.contextmanager
def no_exit() -> Iterator[None]:
    """Let nothing in the body end the process; for whatever calls strategies, data loaders or model locators.

    Works as a decorator, too. It is an error of the user's kind, one line and exit code 2, although it is a bug of
    the plugin: the line holds the file and the line of the call, and a traceback would say no more.

    Raises:
        UserError: in place of `SystemExit`.
    """
    try:
        yield
    except SystemExit as error:
        raise UserError(exit_message(error)) from error


def exit_message(error: SystemExit) -> str:
    """Return the line that says which plugin tried to end the process, and where."""
    origin = get_host().origin_of(error)
    return f"{origin or 'something'} tried to end promptkit: {describe_exception(error)}."
