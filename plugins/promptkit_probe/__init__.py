"""`probe`: logistic regression on what the frozen model computes anyway; the line a learnt prompt has to beat."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from promptkit import Strategy, Template, hookimpl

if TYPE_CHECKING:
    from promptkit import PromptTask
    from promptkit.nn import Backbone, PromptedModel


class Probe(Strategy):
    """A linear probe (Alain & Bengio 2017): the states of first token, mask and text, and a linear layer on them.

    The layer is fitted at once, not by steps; of several strengths of regularisation dev picks one. With
    `readout=head` the template's mask stands, and the state of the first token is read.
    """

    name = "probe"
    summary = "linear probe: logistic regression on the frozen model's states, regularisation picked on dev"
    depends_on = frozenset({"examples"})

    def check(self, readout: str, templates: Sequence[Template]) -> None:
        """Refuse virtual tokens, which nothing here would train."""
        self.refuse_virtual_tokens(templates)

    def build(self, backbone: Backbone, task: PromptTask) -> PromptedModel:
        """Return the frozen model with a linear layer that is still to be fitted."""
        from promptkit_probe.model import LinearProbe

        return LinearProbe(backbone, task)


@hookimpl
def promptkit_register_strategies(register: Callable[[type[Strategy]], None]) -> None:
    """Register `probe`."""
    register(Probe)
