"""`icl`: in-context learning (Brown et al. 2020); on masked models laid out as by Gao et al. (2021)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from promptkit import Query, Showing, Strategy, StrategyOptions, Template, UserError, hookimpl, in_turn

if TYPE_CHECKING:
    import numpy as np

    from promptkit import Example, PromptTask
    from promptkit.nn import Backbone, PromptedModel


class Options(StrategyOptions):
    """Options of `icl`."""

    demonstrations: int | None = Field(
        default=None,
        ge=1,
        le=256,
        description="training examples beside every text; by default one for each class",
    )
    choose: Literal["balanced", "random", "similar"] = Field(
        default="balanced",
        description="which: the classes in turn, any, or those most like the text",
    )
    order: Literal["chosen", "reversed", "class"] = Field(
        default="chosen",
        description="how they stand: as chosen (the most alike first), the other way round, or class by class",
    )
    ensemble: int = Field(
        default=1,
        ge=1,
        le=64,
        description="sets of demonstrations that a text is scored with; scores are averaged",
    )
    calibrate: Literal["none", "content-free", "pmi", "median"] = Field(
        default="none",
        description="what the classes are measured against, behind the same demonstrations: nothing; what inputs "
        "without content score (Zhao et al. 2021); what the template without a text scores (PMI, Holtzman et al. "
        "2021); the median of the training texts",
    )
    pool: int = Field(
        default=256,
        ge=1,
        le=4096,
        description="with choose=similar, training examples that are looked through, at most",
    )


class InContext(Strategy):
    """Training examples with their answers stand beside every text; the model is frozen and nothing learns."""

    name = "icl"
    summary = "in-context learning: training examples with their answers beside every text, nothing learns"
    Options = Options
    fronts = True
    depends_on = frozenset({"examples", "seed"})

    @property
    def showing(self) -> Showing:  # type: ignore[override]
        """Sets as asked for; likeness only where it is looked at, for that takes a pass of the model."""
        similar = self.options.choose == "similar"
        fitted = int(self.options.calibrate == "median")
        return Showing(by_likeness=similar, sets=self.options.ensemble, training_sets=fitted)

    def check(self, readout: str, templates: Sequence[Template]) -> None:
        """Refuse virtual tokens, which nothing here would train, and a head, which shows no answers."""
        self.refuse_virtual_tokens(templates)
        if readout != "cloze":
            raise UserError("strategy 'icl' shows label words; use --readout cloze.")
        calibrate = self.options.calibrate
        if calibrate == "median" and self.options.ensemble > 1:
            raise UserError("calibrate=median is for one set of demonstrations; leave ensemble out.")
        if calibrate in ("content-free", "pmi") and self.options.choose == "similar":
            raise UserError(f"calibrate={calibrate} looks at no text, and choose=similar at every one; change one.")

    def context(self, examples: Sequence[Example], rng: np.random.Generator) -> Sequence[Example]:
        """Return the examples of all sets, set by set; or those that similar ones are looked for among."""
        labels = list(dict.fromkeys(example.label for example in examples))
        each = self.options.demonstrations or len(labels)
        wanted = each * self.options.ensemble
        if wanted > len(examples):
            raise UserError(
                f"strategy 'icl': {wanted} different demonstrations are asked for, and there are {len(examples)} "
                "training examples; ask for fewer, or for more shots."
            )
        drawn = [int(number) for number in rng.permutation(len(examples))]
        if self.options.choose == "balanced":
            return in_turn([examples[number] for number in drawn])[:wanted]
        if self.options.choose == "similar":
            wanted = max(wanted, self.options.pool)
        return [examples[number] for number in drawn[:wanted]]

    def choose(self, query: Query) -> Sequence[int]:
        """Return the demonstrations of a set: its own part of the pool, or the next nearest ones."""
        if self.options.choose == "similar":
            # Of labels that no training example has there is nothing to show, and no set may go short for them.
            count = self.options.demonstrations or min(len(query.labels), len(query.pool) // self.options.ensemble)
            return query.nearest[query.number * count : (query.number + 1) * count]
        count = len(query.pool) // self.options.ensemble
        own = range(query.number * count, (query.number + 1) * count)
        return [number for number in own if number not in query.itself]

    def arrange(self, pool: Sequence[Example], chosen: Sequence[int]) -> Sequence[int]:
        """Return them in the order that is asked for."""
        if self.options.order == "reversed":
            return list(reversed(chosen))
        if self.options.order == "class":
            return sorted(chosen, key=lambda number: pool[number].label)
        return chosen

    def build(self, backbone: Backbone, task: PromptTask) -> PromptedModel:
        """Return the frozen model, calibrated if asked for."""
        from promptkit.nn import calibrated

        return calibrated(backbone, task, self.options.calibrate)


@hookimpl
def promptkit_register_strategies(register: Callable[[type[Strategy]], None]) -> None:
    """Register `icl`."""
    register(InContext)
