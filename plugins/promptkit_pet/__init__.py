"""`pet`: pattern-verbalizer pairs, tuned (Schick & Schütze 2021)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from promptkit import Defaults, Strategy, StrategyOptions, Template, hookimpl

if TYPE_CHECKING:
    from promptkit import PromptTask
    from promptkit.nn import Backbone, PromptedModel


class Options(StrategyOptions):
    """Options of `pet`."""

    tune: Literal["head", "all", "none"] = Field(
        default="head",
        description="what learns: the masked-LM head, the whole model, or nothing (zero-shot)",
    )


class Pet(Strategy):
    """Cloze questions with label words; each template is one pattern, trained alone, and scores are averaged."""

    name = "pet"
    summary = "cloze patterns with label words (PET); the masked-LM head or the whole model learns"
    Options = Options

    @property
    def defaults(self) -> Defaults:  # type: ignore[override]
        """A whole model wants small steps, a head on fixed features large ones; nothing learns by `tune=none`."""
        if self.options.tune == "none":
            return Defaults()
        if self.options.tune == "all":
            return Defaults(epochs=3, min_steps=60, lr=5e-5, batch_size=32, weight_decay=0.01, patience=3)
        return Defaults(epochs=5, min_steps=60, lr=1e-3, batch_size=32, weight_decay=0.01, patience=3)

    @property
    def depends_on(self) -> frozenset[str]:  # type: ignore[override]
        """Nothing, if nothing learns."""
        return frozenset() if self.options.tune == "none" else frozenset({"training", "examples", "seed"})

    def check(self, readout: str, templates: Sequence[Template]) -> None:
        """Refuse virtual tokens, which nothing here would train."""
        self.refuse_virtual_tokens(templates)

    def build(self, backbone: Backbone, task: PromptTask) -> PromptedModel:
        """Return one pattern's model."""
        from promptkit.nn import ClozePrompt

        if self.options.tune == "all":
            model = ClozePrompt(backbone.trainable("all"), task, head_learns=task.readout == "head")
            model.fixed_features = False
            return model
        return ClozePrompt(backbone, task, head_learns=self.options.tune == "head")


@hookimpl
def promptkit_register_strategies(register: Callable[[type[Strategy]], None]) -> None:
    """Register `pet`."""
    register(Pet)
