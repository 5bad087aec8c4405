"""For tests of plugins, with pytest: the checks that every strategy has to pass, and a tiny model and task."""

from __future__ import annotations

from promptkit.testing.kit import StrategyKit
from promptkit.testing.tiny import load_model, prompt_task, write_tiny_model, write_tiny_pairs, write_tiny_task

__all__ = [
    "StrategyKit", "load_model", "prompt_task", "write_tiny_model", "write_tiny_pairs", "write_tiny_task",
]  # fmt: skip
