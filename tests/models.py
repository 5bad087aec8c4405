"""Golden checkpoints as backbones, for the tests of every room."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from promptkit.testing import load_model, prompt_task

__all__ = ["GOLDENS", "load", "prompt_task"]

GOLDENS = Path(__file__).resolve().parent / "goldens"


def load(directory: Path | str) -> Any:
    """Return the frozen backbone of a checkpoint directory, or of a golden one by its name."""
    return load_model(GOLDENS / directory, str(directory))
