"""Which engine takes a checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from promptkit.backbones.face import Backbone, Engine, ModelFiles
from promptkit.errors import UserError, unknown


def choose_engine(directory: Path, engines: Mapping[str, Engine], name: str | None = None) -> Engine:
    """Return the engine that is named, or the first that claims a checkpoint directory.

    Where none claims it, the first is returned: its `describe` says what it does not support.

    Args:
        directory: of the checkpoint.
        engines: by name, promptkit's own first.
        name: forces an engine, whatever it claims.

    Raises:
        UserError: for an unknown name, or if there is no engine at all.
    """
    if name is not None:
        if name not in engines:
            raise unknown("engine", name, engines)
        return engines[name]
    if not engines:
        raise UserError("no engine is installed; a plugin brings one through promptkit_register_engines.")
    return next((engine for engine in engines.values() if engine.claims(directory)), next(iter(engines.values())))


def load_backbone(files: ModelFiles, engines: Mapping[str, Engine], source: str) -> Backbone:
    """Load a described checkpoint with the engine that described it.

    Args:
        files: the checkpoint.
        engines: by name.
        source: what tables and errors call the model.

    Raises:
        UserError: if the engine is not installed any more, or the weights cannot be loaded.
    """
    return choose_engine(files.directory, engines, files.engine).load(files, source)
