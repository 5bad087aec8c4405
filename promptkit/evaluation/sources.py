"""Which file a metric's name stands for, and what is in it."""

from __future__ import annotations

import ast
import contextlib
import hashlib
import os
import types
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from promptkit.checking import path_shown, user_path

_METRICS = Path(__file__).parent / "metrics"

BUILT_IN_METRICS: Mapping[str, Path] = types.MappingProxyType(
    {
        "accuracy": _METRICS / "accuracy" / "accuracy.py",
        "f1": _METRICS / "f1_macro" / "f1_macro.py",
        "rouge": _METRICS / "rouge" / "rouge.py",
    }
)


class Registered(Protocol):
    """A metric that a plugin registered: its module, and how errors name it."""

    @property
    def path(self) -> Path: ...

    @property
    def title(self) -> str: ...


Registry = Mapping[str, Registered]


def metric_title(name: str, registry: Registry | None = None) -> str:
    """Return how errors name a metric, with its plugin if it is one of the registry's."""
    return registry[name].title if registry and name in registry else f"metric '{path_shown(name)}'"


def metric_file(name: str, registry: Registry) -> Path | None:
    """Return the metric module that a name stands for, or None if it is neither known nor the path of one.

    Args:
        name: of a metric that promptkit brings, or of one in the registry; or a path to an `evaluate` metric module:
            a `.py` file, or a folder that holds one of its own name. Whether there is such a file is not looked at.
        registry: metrics that plugins registered, by name.
    """
    if name in BUILT_IN_METRICS:
        return BUILT_IN_METRICS[name]
    path = registry[name].path if name in registry else user_path(name)
    if os.path.isdir(path):
        return path / f"{path.resolve().name}.py"
    return path if name in registry or path.suffix == ".py" else None


def metric_digest(path: Path) -> str:
    """Return 16 hexadecimal digits of a SHA-256 over a metric module and the files beside it that it imports.

    Raises:
        OSError: if the module cannot be read.
    """
    found: dict[Path, bytes] = {}
    _collect(path.resolve(), found)
    digest = hashlib.sha256()
    for source in found.values():
        digest.update(hashlib.sha256(source).digest())
    return digest.hexdigest()[:16]


def _collect(path: Path, found: dict[Path, bytes]) -> None:
    """Add a module, and what it imports by `from .sibling import x`, as far as that is there."""
    found[path] = path.read_bytes()
    with contextlib.suppress(SyntaxError, ValueError):
        for node in ast.walk(ast.parse(found[path])):
            if isinstance(node, ast.ImportFrom) and node.level == 1:
                for name in [node.module] if node.module else [alias.name for alias in node.names]:
                    beside = path.with_name(f"{name}.py")
                    if beside not in found and beside.is_file():
                        _collect(beside, found)
