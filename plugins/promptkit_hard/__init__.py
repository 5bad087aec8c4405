"""`hard`: a fixed natural-language template around the text, a frozen model and no training."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from promptkit import Strategy, StrategyOptions, Template, UserError, hookimpl

if TYPE_CHECKING:
    from promptkit import PromptTask
    from promptkit.nn import Backbone, PromptedModel


class Options(StrategyOptions):
    """Options of `hard`."""

    calibrate: Literal["none", "content-free", "pmi", "median"] = Field(
        default="none",
        description="what the classes are measured against: nothing; what inputs without content score (Zhao et al. "
        "2021); what the template without a text scores (PMI, Holtzman et al. 2021); the median of the training "
        "texts, whose labels are not looked at",
    )


class Hard(Strategy):
    """Label words at the mask of a fixed template, zero-shot.

    With `readout=head` an untrained linear layer scores the classes instead: a coin flip, kept because it is
    the baseline that prompting is often compared with.
    """

    name = "hard"
    summary = "fixed template, frozen model, no training; label words at the mask (zero-shot)"
    Options = Options
    objectives = frozenset({"classes", "text"})
    fronts = True

    @property
    def depends_on(self) -> frozenset[str]:  # type: ignore[override]
        """Nothing, but for a median: that is one of the training texts."""
        return frozenset({"examples"} if self.options.calibrate == "median" else ())

    def check(self, readout: str, templates: Sequence[Template]) -> None:
        """Refuse virtual tokens, which nothing here would train."""
        self.refuse_virtual_tokens(templates)
        if readout == "answer" and self.options.calibrate != "none":
            raise UserError("calibrate is for classes; with --objective text leave it out.")

    def build(self, backbone: Backbone, task: PromptTask) -> PromptedModel:
        """Return the frozen model, calibrated if asked for."""
        from promptkit.nn import calibrated

        return calibrated(backbone, task, self.options.calibrate)


@hookimpl
def promptkit_register_strategies(register: Callable[[type[Strategy]], None]) -> None:
    """Register `hard`."""
    register(Hard)
