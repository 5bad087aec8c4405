"""The contract a prompt strategy fulfils; the built-in strategies use nothing else.

A strategy says how a frozen language model is asked. It turns a backbone and a prompt task into a prompted
model, a MindSpore cell from batches to class scores. What learns is what requires gradient in that cell. The
host does the rest: seeds, batches, the training loop, early stopping, saving, tables.

This module imports no MindSpore, so that strategies can be listed without waiting for it.
"""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from promptkit.backbones.face import Kind
from promptkit.checking import field_fault
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

    epochs: int = 0
    min_steps: int = 0
    lr: float = 1e-3
    batch_size: int = 32
    weight_decay: float = 0.0
    patience: int = 0
    templates: tuple[tuple[str, tuple[str, ...]], ...] = (
        ("en", ("{text} It was {mask}.",)),
        ("zh", ("{text} 总之很{mask}。",)),
    )
    readout: Readout = "cloze"
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
    return strategy().defaults if _has_all_defaults(strategy) else Defaults()


def check_declared(strategy: Strategy) -> str | None:
    """Return what is wrong with what a strategy declares under its options, or None.

    `defaults` and `depends_on` may be properties, of which the class alone does not say what they give.
    """
    name = type(strategy).__name__
    if not isinstance(strategy.defaults, Defaults):
        return f"{name}.defaults is {kind_of(strategy.defaults)}, not a promptkit.Defaults"
    templates: Any = strategy.defaults.templates
    try:
        by_language = dict(templates)
        sound = all(isinstance(each, str) for own in by_language.values() for each in own)
    except (TypeError, ValueError):
        sound = False
    if not sound or not by_language.get("en") or any(isinstance(own, str) for own in by_language.values()):
        return (
            f"{name}.defaults.templates is {templates!r}, not pairs of a language and its templates, 'en' among them"
        )
    causal: Any = strategy.defaults.causal
    if not isinstance(causal, tuple) or any(len(each) != 2 or each[0] not in TRAINED_WITH for each in causal):
        return (
            f"{name}.defaults.causal is {causal!r}, not pairs of one of {', '.join(sorted(TRAINED_WITH))} and a value"
        )
    showing: Any = strategy.showing
    if not isinstance(showing, Showing) or showing.sets < 1:
        return f"{name}.showing is {showing!r}, not a promptkit.Showing with at least one set"
    for attribute, known, may_be_empty in (
        ("proposes", PROPOSES, True),
        ("depends_on", DEPENDS_ON, True),
        ("kinds", KINDS, False),
        ("objectives", OBJECTIVES, False),
    ):
        declared: Any = getattr(strategy, attribute)
        if not isinstance(declared, frozenset | set) or not declared <= known or not (declared or may_be_empty):
            return f"{name}.{attribute} is {declared!r}, not a set of {', '.join(sorted(known))}"
    if strategy.weights not in ("uniform", "accuracy"):
        return f"{name}.weights is {strategy.weights!r}, not 'uniform' or 'accuracy'"
    if not isinstance(strategy.rounds, int) or strategy.rounds < 1:
        return f"{name}.rounds is {strategy.rounds!r}, not a number of rounds"
    if strategy.rounds > 1 and (not isinstance(strategy.unlabelled, int) or strategy.unlabelled < 1):
        return f"{name}.unlabelled is {strategy.unlabelled!r}, and {strategy.rounds} rounds need texts without labels"
    if strategy.rounds > 1 and type(strategy).teach is Strategy.teach:
        return f"{name} has {strategy.rounds} rounds and no teach"
    return None


def _has_all_defaults(strategy: type[Strategy]) -> bool:
    return not any(field.is_required() for field in strategy.Options.model_fields.values())


def check_class(candidate: object) -> str | None:
    """Return what is wrong with a class offered as a strategy, or None.

    MindSpore's `nn.Cell` does not enforce abstract methods and Python does so only on instantiation; a plugin
    is checked here, when it registers.
    """
    if not (inspect.isclass(candidate) and issubclass(candidate, Strategy)):
        return f"{candidate!r} is not a subclass of promptkit.Strategy"
    if inspect.isabstract(candidate):
        missing = ", ".join(sorted(candidate.__abstractmethods__))
        return f"{candidate.__name__} is abstract: {missing} not defined"
    wanted = getattr(candidate, "contract", None)
    if wanted != CONTRACT:
        return f"{candidate.__name__} is written for version {wanted} of the contract, this promptkit has {CONTRACT}"
    for attribute in ("name", "summary"):
        if not isinstance(getattr(candidate, attribute, None), str) or not getattr(candidate, attribute):
            return f"{candidate.__name__} has no {attribute}"
    if not candidate.name.replace("-", "").replace("_", "").isalnum():
        return f"{candidate.__name__}: '{candidate.name}' is no name; use letters, digits, '-' and '_'"
    options = getattr(candidate, "Options", None)
    if not (inspect.isclass(options) and issubclass(options, StrategyOptions)):
        return f"{candidate.__name__}.Options is not a subclass of promptkit.StrategyOptions"
    if len(inspect.signature(candidate.build).parameters) != 3:
        return f"{candidate.__name__}.build must take (self, backbone, task)"
    return check_declared(candidate()) if _has_all_defaults(candidate) else None
