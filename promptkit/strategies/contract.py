"""The contract a prompt strategy fulfils; the built-in strategies use nothing else.

A strategy says how a frozen language model is asked. It turns a backbone and a prompt task into a prompted
model, a MindSpore cell from batches to class scores. What learns is what requires gradient in that cell. The
host does the rest: seeds, batches, the training loop, early stopping, saving, tables.

This module imports no MindSpore, so that strategies can be listed without waiting for it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from promptkit.backbones.face import Kind
from promptkit.checking import Index, NotNegative, Positive, Size, field_fault
from promptkit.errors import UserError, did_you_mean, kind_of
from promptkit.prompting import Query, Readout, Showing, Template

if TYPE_CHECKING:
    import numpy as np

    from promptkit.backbones.face import Backbone
    from promptkit.data import Example
    from promptkit.prompting.resolved import PromptTask
    from promptkit.strategies.models import PromptedModel
    from promptkit.strategies.proposing import Draft, Proposal
    from promptkit.strategies.rounds import Lesson, Round, Student

CONTRACT = 2
"""The contract's version. It is raised when a strategy that was right before may no longer be."""

DEPENDS_ON = frozenset({"training", "examples", "seed"})
"""All that a strategy's numbers may depend on besides its options, its template, the model and the test data."""

KINDS: frozenset[Kind] = frozenset({"masked", "causal"})
"""The kinds of language models that there are."""

TRAINED_WITH = frozenset({"epochs", "min_steps", "lr", "batch_size", "weight_decay", "patience"})
"""The fields of `Defaults` that may differ between kinds of models."""

OBJECTIVES = frozenset({"classes", "text"})
"""What a model may be asked for: classes of texts, or texts."""

WEIGHTS = ("uniform", "accuracy")
"""How the scores of several templates may be combined."""

PROPOSES = frozenset({"templates", "words"})
"""What a strategy may look for by itself."""


class StrategyOptions(BaseModel):
    """The options of a strategy, as typed fields with defaults and help; unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


@dataclass(frozen=True)
class Defaults:
    """What a strategy trains with when the user says nothing.

    Attributes:
        epochs: passes over the training set, at least; 0 for a strategy that does not learn.
        min_steps: steps, at least; a small training set is gone through more often.
        lr: peak learning rate of AdamW.
        batch_size: examples a step.
        weight_decay: AdamW's decoupled decay.
        patience: dev scorings without a better one before training stops; 0 never stops early.
        templates: language code -> templates used when none is given; `en` is the fallback.
        readout: how class scores are read when the user does not say.
        causal: where training for the classes of a causal model differs: names of `TRAINED_WITH` and values.
    """

    epochs: Index = 0
    min_steps: Index = 0
    lr: Positive = 1e-3
    batch_size: Size = 32
    weight_decay: NotNegative = 0.0
    patience: Index = 0
    templates: tuple[tuple[str, tuple[str, ...]], ...] = (
        ("en", ("{text} It was {mask}.",)),
        ("zh", ("{text} 总之很{mask}。",)),
    )
    readout: Literal["cloze", "head"] = "cloze"
    causal: tuple[tuple[str, int | float], ...] = ()

    def for_kind(self, kind: Kind) -> Defaults:
        """Return what a kind of model is trained for classes with."""
        return replace(self, **dict[str, Any](self.causal)) if kind == "causal" else self

    def epochs_for(self, examples: int, batch_size: int) -> int:
        """Return how often to go through so many training examples."""
        if not self.epochs:
            return 0
        batches = -(-examples // min(batch_size, examples))
        return max(self.epochs, -(-self.min_steps // batches))

    def templates_for(self, language: str) -> tuple[str, ...]:
        """Return the default templates for a language, English ones where there are none."""
        table = dict(self.templates)
        return table.get(language, table["en"])


class Strategy(ABC):
    """One way of prompting. Subclass it, name it, and write `build`.

    Class attributes:
        name: what the user types after `--strategy`; letters, digits, `-`, `_`.
        summary: one line for the listing.
        contract: the version of this contract that the class was written for; with another the class is refused.
        Options: a `StrategyOptions` subclass; `self.options` is an instance of it.
        defaults: see `Defaults`; a property where they depend on `self.options`.
        depends_on: what the numbers depend on, a subset of `DEPENDS_ON`; a property where that depends on
            `self.options`. `training`: epochs, rate and their like; `examples`: the training examples, and so the
            draw; `seed`: what is drawn at random. What it does not depend on, a comparison does not
            vary; promptkit refuses a model that learns although nothing is said to depend on training.
        weights: how the scores of several templates are combined: `uniform`, or `accuracy`: each by its accuracy on
            the training examples before it learns (Schick & Schütze 2021, section 3.3).
        rounds: how often models are trained, the next time on what `teach` says; see `promptkit.strategies.rounds`.
        unlabelled: with several rounds, the texts without labels that are wanted, at most.
        showing: how demonstrations are shown, where there are some, see `Showing`; a property where that depends on
            `self.options`.
        kinds: of language models that it works on; it is refused for others in one line.
        fronts: whether its models compute what all prompts begin with once for all, as `promptkit.nn.ClozePrompt` and
            `SoftPrompt` do where `task.front` says what that is. Prompts of a causal model then lack it.
        objectives: what it may learn, of `OBJECTIVES`: `classes`, and `text`, answers that a causal model writes. For
            those `build` returns a `SoftPrompt`, a `PrefixPrompt` or a `ClozePrompt`.
        proposes: what `propose` looks for, of `templates` and `words`; nothing by default, and a property where that
            depends on `self.options`. `depends_on` must name `examples` then.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    contract: ClassVar[int] = CONTRACT
    Options: ClassVar[type[StrategyOptions]] = StrategyOptions
    defaults: Defaults = Defaults()
    depends_on: frozenset[str] = DEPENDS_ON
    weights: Literal["uniform", "accuracy"] = "uniform"
    rounds: int = 1
    unlabelled: int = 0
    showing: Showing = Showing()
    kinds: frozenset[Kind] = KINDS
    fronts: bool = False
    objectives: frozenset[str] = frozenset({"classes"})
    proposes: frozenset[str] = frozenset()

    def __init__(self, options: StrategyOptions | None = None) -> None:
        self.options: Any = self.Options() if options is None else options

    @abstractmethod
    def build(self, backbone: Backbone, task: PromptTask) -> PromptedModel:
        """Return the prompted model: packed inputs -> class scores (unnormalised log-probabilities), (N, C).

        Called once for each template. Draw every random number from `task.rng`, so that a seed repeats a run.
        """

    def prepare(self, template: Template) -> Template:
        """Return the template to use for the one the user (or `defaults`) gave, e.g. with virtual tokens.

        `check` is given what it returns. What the user's own template may not have is refused here, by a `UserError`.
        """
        return template

    def context(self, examples: Sequence[Example], rng: np.random.Generator) -> Sequence[Example]:
        """Return the examples that demonstrations are taken from; none by default (Brown et al. 2020).

        Unless `choose` says otherwise, all of them stand beside every text, in order. Each is laid out as the
        template with its label word filled in, and never cut: those that do not fit are left out. An artifact keeps
        them.

        Args:
            examples: the training examples of the run.
            rng: draws them.
        """
        return ()

    def choose(self, query: Query) -> Sequence[int]:
        """Return the demonstrations of one text, as different numbers of `query.pool`, the most wanted first.

        By default all but the text itself. Draw random numbers from `query.rng` alone: an artifact has to choose the
        same ones again.
        """
        return query.others

    def arrange(self, pool: Sequence[Example], chosen: Sequence[int]) -> Sequence[int]:
        """Return those that fit in the order in which they stand, as chosen by default.

        The first stands nearest to the text of a masked model, the last nearest to that of a causal one.
        """
        return chosen

    def propose(self, draft: Draft) -> Proposal:
        """Return templates and label words that the model itself suggests; called where `proposes` names any.

        Args:
            draft: the run so far, and ways of asking the frozen model; see `promptkit.Draft`.
        """
        raise NotImplementedError

    def student(self, templates: Sequence[Template]) -> Student | None:
        """Return the one model that learns in the last round; by default each template has one there too.

        Args:
            templates: of the run, as `prepare` gave them.
        """
        return None

    def teach(self, ended: Round) -> Sequence[Lesson]:
        """Return what each model of the coming round learns from, in the order of the templates; one for a student.

        Called after every round but the last. Every model starts anew.
        """
        raise NotImplementedError

    def fold(self, model: PromptedModel) -> PromptedModel:
        """Return the model to keep for prediction once training is over; by default `model.folded()`.

        That is the same model, but for a `SoftPrompt` or a `PrefixPrompt` whose encoder is no longer needed.
        What is folded must give the same scores as the model it came from. The folded model's own tensors
        are the artifact. When a run is loaded, `fold(build(...))` gives the shape the artifact is read into.
        """
        return model.folded()

    def check(self, readout: Readout, templates: Sequence[Template]) -> None:  # noqa: B027
        """Raise `UserError` for a combination this strategy cannot run. Called before anything is loaded.

        Args:
            readout: how class scores are read.
            templates: as `prepare` returned them; what it leaves out of the user's own, it has to refuse itself.
        """

    def refuse_virtual_tokens(self, templates: Sequence[Template]) -> None:
        """Refuse templates with virtual tokens, which this strategy would not learn; called in `check` or `prepare`.

        Raises:
            UserError: for the first template that has some.
        """
        for template in templates:
            if template.has_soft:
                raise UserError(
                    f"template '{template}' has virtual tokens, which strategy '{self.name}' does not learn."
                )


def parse_options(strategy: type[Strategy], values: dict[str, Any]) -> StrategyOptions:
    """Build a strategy's options from `key=value` strings or Python values.

    Raises:
        UserError: for an unknown key (with the nearest known one) or a value of the wrong type.
    """
    fields = strategy.Options.model_fields
    for key in values:
        if key not in fields:
            known = ", ".join(sorted(fields)) or "none"
            raise UserError(
                f"strategy '{strategy.name}' has no option '{key}'.{did_you_mean(key, fields)} Options: {known}."
            )
    try:
        return strategy.Options(**values)
    except ValidationError as error:
        fault = field_fault(error)
        key = fault.place or "options"
        raise UserError(f"strategy '{strategy.name}', option '{key}': {fault.reason}{fault.got}.") from None


def usual_defaults(strategy: type[Strategy]) -> Defaults:
    """Return the defaults of a strategy whose options are all left alone, for listings."""
    if isinstance(strategy.defaults, Defaults):
        return strategy.defaults
    return strategy().defaults if has_all_defaults(strategy) else Defaults()


def has_all_defaults(strategy: type[Strategy]) -> bool:
    """Return whether a strategy can be made without options."""
    return not any(field.is_required() for field in strategy.Options.model_fields.values())


def prepared(strategy: Strategy, template: Template, who: str) -> Template:
    """Return the template that a strategy uses in place of another.

    Args:
        strategy: prepares it.
        template: the user's or the strategy's own.
        who: how errors name the strategy.

    Raises:
        UserError: if it gives none, or refuses this one.
    """
    found = strategy.prepare(template)
    if not isinstance(found, Template):
        raise UserError(f"{who}: prepare returned {kind_of(found)}, not a promptkit.Template.")
    return found
