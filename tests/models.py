"""Golden checkpoints as backbones, for the tests of every room."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from promptkit.prompting.resolved import PromptTask

GOLDENS = Path(__file__).resolve().parent / "goldens"


def load(directory: Path | str) -> Any:
    """Return the frozen backbone of a checkpoint directory, or of a golden one by its name."""
    from promptkit.backbones.device import set_device
    from promptkit.backbones.native.engine import NativeEngine

    set_device("CPU")
    engine = NativeEngine()
    return engine.load(engine.describe(GOLDENS / directory), str(directory))


def prompt_task(
    tokenizer: Any,
    template: str = "{text} it was {mask} .",
    words: str = "positive=great; negative=bad",
    labels: tuple[str, ...] = ("negative", "positive"),
    *,
    seed: int = 0,
    **settings: Any,
) -> PromptTask:
    """Return a cloze prompt resolved for a tokenizer; `settings` are those of `resolve_prompt`."""
    import numpy as np

    from promptkit.prompting import Template, Verbalizer
    from promptkit.prompting.resolved import resolve_prompt

    usual: dict[str, Any] = {"readout": "cloze", "slots": "same", "max_length": 40}
    return resolve_prompt(
        Template.parse(template), Verbalizer.parse(words), labels=labels, tokenizer=tokenizer,
        rng=np.random.default_rng(seed), **(usual | settings),
    )  # fmt: skip
