"""`finetune`: the whole model learns, under a classification head (Devlin et al. 2019)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from pydantic import Field

from promptkit import Defaults, Strategy, StrategyOptions, Template, hookimpl

if TYPE_CHECKING:
    from promptkit import PromptTask
    from promptkit.nn import Backbone, PromptedModel


class Options(StrategyOptions):
    """Options of `finetune`."""

    dropout: float = Field(
        default=0.1, ge=0.0, le=0.9, description="share of states and attention that each training step leaves out"
    )


class FineTune(Strategy):
    """A linear layer on the first token's state, and every weight of the model, learn."""

    name = "finetune"
    summary = "fine-tuning: a head on the first token and every weight of the model learn"
    Options = Options
    defaults = Defaults(
        epochs=3, min_steps=60, lr=5e-5, batch_size=32, weight_decay=0.01, patience=3,
        templates=(("en", ("{text}",)),), readout="head",
    )  # fmt: skip

    def check(self, readout: str, templates: Sequence[Template]) -> None:
        """Refuse virtual tokens, which nothing here would train."""
        self.refuse_virtual_tokens(templates)

    def build(self, backbone: Backbone, task: PromptTask) -> PromptedModel:
        """Return a copy of the model in which everything learns."""
        from promptkit_finetune.model import FineTuned

        return FineTuned(backbone, task, self.options.dropout)


@hookimpl
def promptkit_register_strategies(register: Callable[[type[Strategy]], None]) -> None:
    """Register `finetune`."""
    register(FineTune)
