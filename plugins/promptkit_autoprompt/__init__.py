"""`autoprompt`: discrete trigger tokens, found by gradient (Shin et al. 2020)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from pydantic import Field

from promptkit import Defaults, Strategy, StrategyOptions, Template, UserError, hookimpl

if TYPE_CHECKING:
    from promptkit import PromptTask
    from promptkit.nn import Backbone, PromptedModel


class Options(StrategyOptions):
    """Options of `autoprompt`."""

    tokens: int = Field(
        default=5,
        ge=1,
        le=50,
        description="trigger tokens put before the mask when the template names none with {soft:N}",
    )
    candidates: int = Field(
        default=10,
        ge=1,
        le=1000,
        description="tokens that are tried in a turn: those the gradient promises most of",
    )
    iterations: int = Field(
        default=60,
        ge=1,
        le=10_000,
        description="turns of the search, each of which may replace one trigger token",
    )


class AutoPrompt(Strategy):
    """Words of the vocabulary in the template's virtual tokens, found by gradient; the model is frozen."""

    name = "autoprompt"
    summary = "AutoPrompt: trigger tokens of the vocabulary found by gradient, the model is frozen"
    Options = Options
    defaults = Defaults(templates=(("en", ("{text} {mask}.",)), ("zh", ("{text}{mask}。",))))
    depends_on = frozenset({"examples", "seed"})
    kinds = frozenset({"masked"})  # the trigger starts as masks

    def check(self, readout: str, templates: Sequence[Template]) -> None:
        """Refuse a head, which nothing here would train."""
        if readout != "cloze":
            raise UserError("strategy 'autoprompt' reads label words at the mask; use --readout cloze.")

    def prepare(self, template: Template) -> Template:
        """Put `{soft:tokens}` before the mask of a template without virtual tokens."""
        return template.with_soft_before_mask(self.options.tokens)

    def build(self, backbone: Backbone, task: PromptTask) -> PromptedModel:
        """Return the prompted model, its trigger still masks."""
        from promptkit_autoprompt.model import TriggerPrompt

        return TriggerPrompt(backbone, task, self.options.candidates, self.options.iterations)


@hookimpl
def promptkit_register_strategies(register: Callable[[type[Strategy]], None]) -> None:
    """Register `autoprompt`."""
    register(AutoPrompt)
