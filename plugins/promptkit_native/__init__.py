"""`native`: the engine that promptkit brings itself, and models for it that other packages hold."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path

from promptkit import hookimpl
from promptkit.backbones.catalog import PACKAGES
from promptkit.backbones.face import Engine


def _folder(module: str) -> Path | None:
    """Return the folder of an installed module without importing it, or None."""
    spec = importlib.util.find_spec(module)
    places = list(spec.submodule_search_locations or ()) if spec else []
    return Path(places[0]) if places else None


@hookimpl
def promptkit_register_engines(register: Callable[[Engine], None]) -> None:
    """Register the native engine; MindSpore is imported when it loads a model."""
    from promptkit.backbones.native.engine import NativeEngine

    register(NativeEngine())


@hookimpl
def promptkit_register_models(register: Callable[[str, Callable[[], Path]], None]) -> None:
    """Register the models of `PACKAGES` that are installed; each lies in its module's folder, as one GGUF file."""
    for name, package in PACKAGES.items():
        folder = _folder(package.replace("-", "_"))
        if folder is not None:
            register(name, lambda folder=folder: folder)  # type: ignore[misc]
