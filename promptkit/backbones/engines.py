"""Which engine takes a checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from promptkit.backbones.face import Backbone, Engine, ModelFiles, Precision
from promptkit.errors import UserError, kind_of, unknown


def choose_engine(directory: Path, engines: Mapping[str, Engine], name: str | None = None) -> Engine:
    """Return the engine that is named, or the first that claims a checkpoint directory.

    Where none claims it, the first is returned: its `describe` says what it does not support.

    Args:
        directory: of the checkpoint.
        engines: by name, promptkit's own first.
        name: forces an engine, whatever it claims.

    Raises:
        UserError: for an unknown name, if there is no engine at all, or one fails when it is asked.
    """
    if name is not None:
        if name not in engines:
            raise unknown("engine", name, engines)
        return engines[name]
    if not engines:
        raise UserError("no engine is installed; a plugin brings one through promptkit_register_engines.")
    return next((engine for engine in engines.values() if _claims(engine, directory)), next(iter(engines.values())))


def _claims(engine: Engine, directory: Path) -> bool:
    try:
        return bool(engine.claims(directory))
    except Exception as error:
        # Taken for a no, it would let another engine load what may be this one's.
        raise UserError(
            f"engine '{engine.name}' cannot tell whether it takes '{directory}' ({type(error).__name__}: {error}); "
            "name an engine with --engine."
        ) from error


def describe_model(
    directory: Path, engines: Mapping[str, Engine], name: str | None = None, precision: str = "fp32"
) -> ModelFiles:
    """Return what is known of a checkpoint before it is loaded; see `choose_engine` for the other arguments.

    Args:
        directory: of the checkpoint.
        engines: by name, promptkit's own first.
        name: forces an engine, whatever it claims.
        precision: of matrix products.

    Raises:
        UserError: as `choose_engine`; for what the engine refuses, or if it breaks its contract.
    """
    engine = choose_engine(directory, engines, name)
    files = engine.describe(directory)
    if not isinstance(files, ModelFiles):
        raise UserError(f"engine '{engine.name}' describes '{directory}' by {kind_of(files)}, not by ModelFiles.")
    if files.engine != engine.name:
        raise UserError(f"engine '{engine.name}' says that engine '{files.engine}' described '{directory}'.")
    known: tuple[Precision, ...] = getattr(engine, "precisions", ("fp32",))
    if precision not in known:
        raise UserError(f"engine '{engine.name}' computes in {' or '.join(known)}, not in {precision}.")
    return replace(files, precision=next(each for each in known if each == precision))


def load_backbone(files: ModelFiles, engines: Mapping[str, Engine], source: str) -> Backbone:
    """Load a described checkpoint with the engine that described it.

    Args:
        files: the checkpoint.
        engines: by name.
        source: what tables and errors call the model.

    Raises:
        UserError: if the engine is not installed any more, the weights cannot be loaded, or the engine breaks its
            contract: what it loads is no backbone, or learns.
    """
    from mindspore import nn

    backbone = choose_engine(files.directory, engines, files.engine).load(files, source)
    if not (isinstance(backbone, nn.Cell) and isinstance(backbone, Backbone)):
        raise UserError(f"engine '{files.engine}' loads '{source}' as {kind_of(backbone)}, not as a Backbone.")
    if backbone.trainable_params():  # type: ignore[attr-defined]  # it is a cell as well
        raise UserError(f"engine '{files.engine}' loads '{source}' with weights that learn; they shall be frozen.")
    return backbone
