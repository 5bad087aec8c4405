"""`soft`: prompt tuning (Lester et al. 2021)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from promptkit import Defaults, Strategy, StrategyOptions, Template, hookimpl

if TYPE_CHECKING:
    from promptkit import PromptTask
    from promptkit.nn import Backbone, PromptedModel


class Options(StrategyOptions):
    """Options of `soft`."""

    tokens: int = Field(
        default=20,
        ge=1,
        le=200,
        description="virtual tokens put in front when the template names none with {soft:N}",
    )
    init: Literal["random", "vocab", "text"] = Field(
        default="vocab",
        description="where virtual tokens start: random, words of the vocabulary, or the label words",
    )


class Soft(Strategy):
    """Virtual tokens anywhere in the template learn; the model is frozen."""

    name = "soft"
    summary = "soft prompt tuning: virtual tokens learn, the model is frozen"
    Options = Options
    objectives = frozenset({"classes", "text"})
    fronts = True
    defaults = Defaults(epochs=5, min_steps=100, lr=1e-2, batch_size=32, patience=3, causal=(("min_steps", 10),))

    def prepare(self, template: Template) -> Template:
        """Put `{soft:tokens}` in front of a template without virtual tokens."""
        return template.with_soft_prefix(self.options.tokens)

    def build(self, backbone: Backbone, task: PromptTask) -> PromptedModel:
        """Return the prompted model with fresh virtual tokens."""
        from promptkit.nn import SoftPrompt, VirtualTokens, initial_vectors

        return SoftPrompt(backbone, task, prompt=VirtualTokens(initial_vectors(backbone, task, self.options.init)))


@hookimpl
def promptkit_register_strategies(register: Callable[[type[Strategy]], None]) -> None:
    """Register `soft`."""
    register(Soft)
