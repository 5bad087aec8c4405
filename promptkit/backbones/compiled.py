"""Functions that are compiled for an object, and let go of with it."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

import mindspore as ms

from promptkit.backbones.device import Mode


class CompiledFunctions:
    """Functions by name, compiled or eager.

    MindSpore keeps every function that it has compiled (2.10: a cache of their parameters), and whatever that refers
    to with it, such as a model. So when these are cleared, or nobody holds them any more, each is made to refer to
    nothing.
    """

    def __init__(self) -> None:
        self._ready: dict[str, Callable[..., Any]] = {}
        self._plain: list[Any] = []
        weakref.finalize(self, _empty, self._plain).atexit = False

    def __contains__(self, name: str) -> bool:
        return name in self._ready

    def __getitem__(self, name: str) -> Callable[..., Any]:
        return self._ready[name]

    def add(self, name: str, function: Callable[..., Any], mode: Mode) -> None:
        """Take a function; it is compiled when it is called, unless the mode is `pynative`."""
        self._plain.append(function)
        self._ready[name] = function if mode == "pynative" else ms.jit(function)

    def clear(self) -> None:
        """Forget all functions."""
        self._ready.clear()
        _empty(self._plain)


def _empty(functions: list[Any]) -> None:
    for function in functions:
        for cell in function.__closure__ or ():
            cell.cell_contents = None
    functions.clear()
