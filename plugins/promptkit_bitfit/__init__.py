"""`bitfit`: only the biases of the model learn (Ben Zaken et al. 2022)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from promptkit import Defaults, Strategy, Template, UserError, hookimpl

if TYPE_CHECKING:
    from promptkit import PromptTask
    from promptkit.nn import Backbone, PromptedModel


class BitFit(Strategy):
    """The biases of embeddings and layers learn, under label words at the mask or under a linear head."""

    name = "bitfit"
    summary = "BitFit: the biases of the model learn, all its other weights are frozen"
    defaults = Defaults(epochs=5, min_steps=100, lr=1e-3, batch_size=32, patience=3)

    def check(self, readout: str, templates: Sequence[Template]) -> None:
        """Refuse virtual tokens, which nothing here would train."""
        self.refuse_virtual_tokens(templates)

    def build(self, backbone: Backbone, task: PromptTask) -> PromptedModel:
        """Return a copy of the model whose biases learn."""
        from promptkit.nn import ClozePrompt

        copy = backbone.trainable("biases")
        if not copy.trainable_params():  # type: ignore[attr-defined]  # every backbone is a cell
            raise UserError(f"model '{backbone.source}' has no biases that could learn.")
        return ClozePrompt(copy, task, head_learns=task.readout == "head")


@hookimpl
def promptkit_register_strategies(register: Callable[[type[Strategy]], None]) -> None:
    """Register `bitfit`."""
    register(BitFit)
