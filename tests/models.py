"""Golden checkpoints as backbones, for the tests of every room."""

from __future__ import annotations

from pathlib import Path
from typing import Any

GOLDENS = Path(__file__).resolve().parent / "goldens"


def load(directory: Path | str) -> Any:
    """Return the frozen backbone of a checkpoint directory, or of a golden one by its name."""
    from promptkit.backbones.device import set_device
    from promptkit.backbones.native.engine import NativeEngine

    set_device("CPU")
    engine = NativeEngine()
    return engine.load(engine.describe(GOLDENS / directory), str(directory))
