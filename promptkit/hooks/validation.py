"""What a plugin's hooks must look like, and how an exception of a plugin reads in one line."""

from __future__ import annotations

import importlib
import inspect
from pathlib import Path
from traceback import TracebackException, walk_tb
from types import TracebackType

import pluggy

from promptkit.errors import did_you_mean
from promptkit.hooks.entries import Fault
from promptkit.hooks.spec import HOOK_PREFIX, hook_specifications

_OWN_FOLDERS = tuple(str(Path(file).parent) for file in (__file__, importlib.__file__ or __file__))


def check_hooks(manager: pluggy.PluginManager, plugin: object) -> None:
    """Raise `Fault` unless everything in `plugin` that looks like a hook is one.

    pluggy alone would let pass a misspelt hook (it is never called), a hook that is not marked (it is not
    seen) and a hook that leaves its argument out or gives it a default (it is called without it).
    """
    found = 0
    for attribute in dir(plugin):
        options = manager.parse_hookimpl_opts(plugin, attribute)
        if options is not None:
            _check_hook(plugin, attribute, options)
            found += 1
        elif attribute.startswith(HOOK_PREFIX) and callable(getattr(plugin, attribute)):
            _check_known(attribute)
            raise Fault(f"{attribute} is not marked with @promptkit.hookimpl")
    if not found:
        raise Fault(f"it implements no hook. Hooks: {', '.join(hook_specifications())}")


def _check_known(hook: str) -> None:
    known = hook_specifications()
    if hook not in known:
        raise Fault(f"unknown hook '{hook}'.{did_you_mean(hook, known)}")


def _check_hook(plugin: object, attribute: str, options: pluggy.HookimplOpts) -> None:
    hook = options.get("specname") or attribute
    if options.get("optionalhook") and hook not in hook_specifications():
        return
    _check_known(hook)
    function = getattr(plugin, attribute)
    if options.get("wrapper") or options.get("hookwrapper"):
        raise Fault(f"{attribute} is a hook wrapper; promptkit takes plain hooks only")
    if inspect.isgeneratorfunction(function) or inspect.iscoroutinefunction(function):
        raise Fault(f"{attribute} must be a plain function, neither async nor a generator")
    offered = inspect.signature(function).parameters.values()
    expected = inspect.signature(hook_specifications()[hook]).parameters
    if [parameter.name for parameter in offered] != list(expected) or not all(map(_is_plain, offered)):
        listed = ", ".join(str(parameter.replace(annotation=parameter.empty)) for parameter in offered)
        raise Fault(f"wrong signature: {attribute}({listed}) must be {hook}({', '.join(expected)})")


def _is_plain(parameter: inspect.Parameter) -> bool:
    return parameter.kind is parameter.POSITIONAL_OR_KEYWORD and parameter.default is parameter.empty


def describe_exception(error: BaseException) -> str:
    """Return the kind, the message (cut off where it is long) and the place of an exception, in one line."""
    message = " ".join(str(TracebackException.from_exception(error)).split())
    if len(message) > 240:
        message = message[:240] + "..."
    text = f"{type(error).__name__}: {message}" if message else type(error).__name__
    place = None if isinstance(error, SyntaxError) else _place(error.__traceback__)
    return f"{text} ({place})" if place else text


def _place(traceback: TracebackType | None) -> str | None:
    """Return file and line of the innermost frame that is neither ours nor the import machinery's."""
    places = [
        f"{Path(file).name}, line {line}"
        for file, line in ((frame.f_code.co_filename, line) for frame, line in walk_tb(traceback))
        if not file.startswith(("<", *_OWN_FOLDERS))
    ]
    return places[-1] if places else None
