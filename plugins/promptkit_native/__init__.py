"""`native`: the engine that promptkit brings itself."""

from __future__ import annotations

from collections.abc import Callable

from promptkit import hookimpl
from promptkit.backbones.face import Engine


@hookimpl
def promptkit_register_engines(register: Callable[[Engine], None]) -> None:
    """Register the native engine; MindSpore is imported when it loads a model."""
    from promptkit.backbones.native.engine import NativeEngine

    register(NativeEngine())
