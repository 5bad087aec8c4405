"""promptkit: compare ways of prompting a language model for text classification, on MindSpore.

Everything a user or a plugin needs is here, or in `promptkit.nn` for the MindSpore building blocks. Names are
loaded when they are first used, so that importing promptkit costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from promptkit.version import __version__

if TYPE_CHECKING:
    from promptkit.data import Batch, Example, Task, load_task
    from promptkit.errors import UserError
    from promptkit.hooks import EpochInfo, RunInfo, RunOutcome, hookimpl
    from promptkit.prompting import (
        Query,
        Showing,
        Template,
        Verbalizer,
        in_turn,
        readable_piece,
        spaced,
        whole_word,
    )
    from promptkit.prompting.resolved import PromptTask
    from promptkit.running.runner import Prediction, Predictor, RunConfig, RunResult, load, run
    from promptkit.running.writer import Writer, load_writer
    from promptkit.strategies.contract import Defaults, Strategy, StrategyOptions
    from promptkit.strategies.proposing import Draft, Proposal
    from promptkit.strategies.rounds import Lesson, Round, Student

_HOMES = {
    "Batch": "promptkit.data",
    "Defaults": "promptkit.strategies.contract",
    "Draft": "promptkit.strategies.proposing",
    "EpochInfo": "promptkit.hooks",
    "Example": "promptkit.data",
    "Lesson": "promptkit.strategies.rounds",
    "Prediction": "promptkit.running.runner",
    "Predictor": "promptkit.running.runner",
    "PromptTask": "promptkit.prompting.resolved",
    "Proposal": "promptkit.strategies.proposing",
    "Query": "promptkit.prompting",
    "RunConfig": "promptkit.running.runner",
    "RunInfo": "promptkit.hooks",
    "RunOutcome": "promptkit.hooks",
    "RunResult": "promptkit.running.runner",
    "Round": "promptkit.strategies.rounds",
    "Showing": "promptkit.prompting",
    "Strategy": "promptkit.strategies.contract",
    "StrategyOptions": "promptkit.strategies.contract",
    "Student": "promptkit.strategies.rounds",
    "Task": "promptkit.data",
    "Template": "promptkit.prompting",
    "UserError": "promptkit.errors",
    "Verbalizer": "promptkit.prompting",
    "Writer": "promptkit.running.writer",
    "hookimpl": "promptkit.hooks",
    "in_turn": "promptkit.prompting",
    "load": "promptkit.running.runner",
    "load_task": "promptkit.data",
    "load_writer": "promptkit.running.writer",
    "readable_piece": "promptkit.prompting",
    "run": "promptkit.running.runner",
    "spaced": "promptkit.prompting",
    "whole_word": "promptkit.prompting",
}

__all__ = [
    "Batch", "Defaults", "Draft", "EpochInfo", "Example", "Lesson", "Prediction", "Predictor", "PromptTask",
    "Proposal", "Query", "Round", "RunConfig", "RunInfo", "RunOutcome", "RunResult", "Showing", "Strategy",
    "StrategyOptions", "Student", "Task", "Template", "UserError", "Verbalizer", "Writer", "__version__", "hookimpl",
    "in_turn", "load", "load_task", "load_writer", "readable_piece", "run", "spaced", "whole_word",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    """Import a public name from its home."""
    if name not in _HOMES:
        raise AttributeError(f"module 'promptkit' has no attribute '{name}'")
    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
