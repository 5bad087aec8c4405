"""`ptuning`: virtual tokens reparametrised by an LSTM and an MLP (Liu et al. 2021)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from promptkit import Defaults, Strategy, StrategyOptions, Template, hookimpl

if TYPE_CHECKING:
    from promptkit import PromptTask
    from promptkit.nn import Backbone, PromptedModel


class Options(StrategyOptions):
    """Options of `ptuning`."""

    tokens: int = Field(
        default=20,
        ge=1,
        le=200,
        description="virtual tokens put in front when the template names none with {soft:N}",
    )
    lstm_layers: int = Field(default=2, ge=1, le=4, description="layers of the bidirectional LSTM")
    lstm_hidden: int = Field(
        default=0, ge=0, le=4096, description="LSTM width in each direction; 0 takes half the model's width"
    )
    init: Literal["random", "vocab", "text"] = Field(
        default="random",
        description="where the encoder's inputs start: random, words of the vocabulary, or the label words",
    )


class PTuning(Strategy):
    """The encoder's outputs are the virtual tokens; after training only these are kept."""

    name = "ptuning"
    summary = "P-tuning: virtual tokens from a bidirectional LSTM and an MLP, folded after training"
    Options = Options
    objectives = frozenset({"classes", "text"})
    fronts = True
    defaults = Defaults(
        epochs=5, min_steps=100, lr=3e-4, batch_size=32, patience=3, causal=(("min_steps", 30), ("lr", 1e-3))
    )

    def prepare(self, template: Template) -> Template:
        """Put `{soft:tokens}` in front of a template without virtual tokens."""
        return template.with_soft_prefix(self.options.tokens)

    def build(self, backbone: Backbone, task: PromptTask) -> PromptedModel:
        """Return the prompted model with a fresh encoder."""
        from promptkit_ptuning.model import build

        return build(backbone, task, self.options)


@hookimpl
def promptkit_register_strategies(register: Callable[[type[Strategy]], None]) -> None:
    """Register `ptuning`."""
    register(PTuning)
