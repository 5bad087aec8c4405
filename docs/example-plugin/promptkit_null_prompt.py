"""A promptkit plugin: null prompts, after Logan IV et al. (2021), "Cutting Down on Prompts and Parameters".

The prompt is the text and a mask, without a pattern word. What learns is one bias for each class.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from pydantic import Field

from promptkit import Defaults, Strategy, StrategyOptions, Template, UserError, hookimpl

if TYPE_CHECKING:
    from promptkit import PromptTask
    from promptkit.nn import Backbone, PromptedModel


class NullPromptOptions(StrategyOptions):
    """What `--set` takes."""

    mask_first: bool = Field(False, description="put the mask before the text, not behind it")


class NullPrompt(Strategy):
    """Scores label words at a mask beside the bare text, and corrects them by a learnt bias per class."""

    name = "null-prompt"
    summary = "Null prompt: text and mask, no pattern; one bias a class learns (Logan IV et al. 2021)."
    contract = 2
    Options = NullPromptOptions
    defaults = Defaults(epochs=5, min_steps=60, lr=0.05, templates=(("en", ("{text} {mask}",)),))

    def check(self, readout: str, templates: Sequence[Template]) -> None:
        """Refuse a classification head: without label words there is nothing to correct."""
        if readout != "cloze":
            raise UserError("strategy 'null-prompt' reads label words at the mask; use --readout cloze.")

    def prepare(self, template: Template) -> Template:
        """Keep the fields of the template, each once and whole, and one `{mask}`; leave its words out."""
        fields = [f"{{{name}}}" for name in dict.fromkeys(template.fields)]
        parts = ["{mask}", *fields] if self.options.mask_first else [*fields, "{mask}"]
        return Template.parse(" ".join(parts))

    def build(self, backbone: Backbone, task: PromptTask) -> PromptedModel:
        """Return the cloze model with a bias; MindSpore is imported here so that listing stays quick."""
        from mindspore import Parameter, Tensor

        from promptkit.nn import ClozePrompt

        class BiasedCloze(ClozePrompt):
            def __init__(self) -> None:
                super().__init__(backbone, task)
                self.bias = Parameter(Tensor([0.0] * len(task.labels)), name="bias")

            def scores(self, features: Tensor) -> Tensor:
                return super().scores(features) + self.bias

        return BiasedCloze()


@hookimpl
def promptkit_register_strategies(register: Callable[[type[Strategy]], None]) -> None:
    """Called by promptkit when it loads its plugins."""
    register(NullPrompt)
