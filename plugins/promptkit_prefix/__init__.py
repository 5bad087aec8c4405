"""`prefix`: prefix tuning (Li & Liang 2021); `ptuning-v2`: the same under a classification head (Liu et al. 2022)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from promptkit import Defaults, Strategy, StrategyOptions, Template, hookimpl

if TYPE_CHECKING:
    from promptkit import PromptTask
    from promptkit.nn import Backbone, PromptedModel


class Options(StrategyOptions):
    """Options of `prefix` and `ptuning-v2`."""

    tokens: int = Field(default=32, ge=1, le=200, description="length of the prefix")
    layers: int = Field(default=0, ge=0, le=200, description="how many of the last layers have a prefix; 0 for all")
    init: Literal["auto", "random", "activations"] = Field(
        default="auto",
        description="where keys and values start: random, or what the model computes for the task's words; auto "
        "takes the second for classes on a causal model, else the first",
    )
    words: str = Field(
        default="",
        max_length=2000,
        description="words that it starts from, in place of `init` and `tokens`: it is as long as they are",
    )
    reparametrise: bool = Field(default=False, description="a network computes keys and values while they learn")
    width: int = Field(
        default=512, ge=1, le=4096, description="width of that network's embeddings and of its hidden layer"
    )


class Prefix(Strategy):
    """Keys and values in front of the layers learn; the model is frozen."""

    name = "prefix"
    summary = "prefix tuning: keys and values in front of every layer learn, the model is frozen"
    Options = Options
    objectives = frozenset({"classes", "text"})

    @property
    def defaults(self) -> Defaults:  # type: ignore[override]
        """A network wants smaller steps than the keys and values themselves."""
        network = self.options.reparametrise
        causal = () if network else (("min_steps", 10), ("lr", 1e-2))
        lr = 1e-3 if network else 3e-2
        return Defaults(epochs=5, min_steps=100, lr=lr, batch_size=32, patience=3, causal=causal)

    def check(self, readout: str, templates: Sequence[Template]) -> None:
        """Refuse virtual tokens in the template: here they stand in the layers."""
        self.refuse_virtual_tokens(templates)

    def build(self, backbone: Backbone, task: PromptTask) -> PromptedModel:
        """Return the prompted model with a fresh prefix."""
        from promptkit.nn import deep_prompt

        options = self.options
        width = options.width if options.reparametrise else 0
        return deep_prompt(
            backbone, task, tokens=options.tokens, layers=options.layers, init=options.init, width=width,
            words=options.words,
        )  # fmt: skip


class PTuningV2(Prefix):
    """A prefix in every layer learns, and a linear layer on the first token; the model is frozen."""

    name = "ptuning-v2"
    summary = "P-tuning v2: a prompt in every layer and a head on the first token learn, the model is frozen"

    @property
    def defaults(self) -> Defaults:  # type: ignore[override]
        """Those of `Prefix`, with the text alone and a linear head."""
        return replace(super().defaults, templates=(("en", ("{text}",)),), readout="head")


@hookimpl
def promptkit_register_strategies(register: Callable[[type[Strategy]], None]) -> None:
    """Register `prefix` and `ptuning-v2`."""
    register(Prefix)
    register(PTuningV2)
