"""`pet`: pattern-verbalizer pairs, tuned (Schick & Schütze 2021)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from promptkit import Defaults, Strategy, StrategyOptions, Student, Template, UserError, hookimpl

if TYPE_CHECKING:
    from promptkit import Lesson, PromptTask, Round
    from promptkit.nn import Backbone, PromptedModel


PATTERNS = (
    (
        "en",
        (
            "{text} It was {mask}.",
            "Just {mask}! {text}",
            "{text} All in all, it was {mask}.",
            "{text} In summary, it is {mask}.",
        ),
    ),
    ("zh", ("{text} 总之很{mask}。", "真{mask}！{text}", "{text} 整体来说很{mask}。", "{text} 一句话，很{mask}。")),
)
"""Patterns by language, after those of Schick & Schütze (2021), section 4.1, for the Yelp reviews."""


class Options(StrategyOptions):
    """Options of `pet`."""

    tune: Literal["head", "all", "none"] = Field(
        default="head",
        description="what learns: the masked-LM head, the whole model, or nothing (zero-shot)",
    )
    patterns: int = Field(
        default=1,
        ge=1,
        le=4,
        description="patterns of its own, where no template is given; each has a model",
    )
    weights: Literal["uniform", "accuracy"] = Field(
        default="uniform",
        description="how patterns are weighed: equally, or by accuracy on the training examples before training",
    )
    distil: Literal["none", "head", "all"] = Field(
        default="none",
        description="train one classifier on the patterns' soft labels, and what of it learns: the linear layer, or "
        "the whole model; none: the patterns answer together",
    )
    generations: int = Field(
        default=0,
        ge=0,
        le=10,
        description="iPET: how often the patterns' models are trained anew, on texts that the others have labelled",
    )
    growth: int = Field(default=5, ge=2, le=100, description="by which the training set grows each generation (d)")
    share: float = Field(
        default=0.25,
        gt=0,
        le=1,
        description="of the other models, those that label for one; at least one (lambda)",
    )
    unlabelled: int = Field(default=10_000, ge=1, description="texts without labels to learn from, at most")
    temperature: float = Field(
        default=2.0, gt=0, allow_inf_nan=False, description="by which soft labels are softened (T)"
    )
    student_epochs: int | None = Field(
        default=None, ge=1, le=10_000, description="passes of the classifier; as with `tune` of what it learns"
    )
    student_lr: float | None = Field(
        default=None,
        gt=0,
        lt=1e4,
        allow_inf_nan=False,
        description="peak learning rate of the classifier; as with `tune` of what it learns",
    )


class Pet(Strategy):
    """Cloze questions with label words; each template is one pattern, trained alone, and scores are averaged.

    With `distil` or `generations` the patterns label texts that have no labels; see `promptkit_pet.teaching`.
    """

    name = "pet"
    summary = "cloze patterns with label words (PET, iPET); the masked-LM head or the whole model learns"
    Options = Options

    @property
    def defaults(self) -> Defaults:  # type: ignore[override]
        """A whole model wants small steps, a head on fixed features large ones; nothing learns by `tune=none`."""
        templates = tuple((language, several[: self.options.patterns]) for language, several in PATTERNS)
        if self.options.tune == "none":
            return Defaults(templates=templates)
        usual = Defaults(
            epochs=5, min_steps=60, lr=1e-3, batch_size=32, weight_decay=0.01, patience=3, templates=templates
        )
        return replace(usual, epochs=3, lr=5e-5) if self.options.tune == "all" else usual

    @property
    def kinds(self) -> frozenset[Literal["masked", "causal"]]:  # type: ignore[override]
        """A causal model has no head that could learn: between its states and its words there is no layer."""
        return frozenset({"masked"} if self.options.tune == "head" else {"masked", "causal"})

    @property
    def depends_on(self) -> frozenset[str]:  # type: ignore[override]
        """Nothing, if nothing learns; the examples, if they weigh the patterns."""
        if self.options.tune == "none" and self.rounds == 1:
            return frozenset({"examples"} if self.weights == "accuracy" else ())
        return frozenset({"training", "examples", "seed"})

    @property
    def weights(self) -> Literal["uniform", "accuracy"]:  # type: ignore[override]
        """As the option says."""
        weights: Literal["uniform", "accuracy"] = self.options.weights
        return weights

    @property
    def rounds(self) -> int:  # type: ignore[override]
        """One on the draw, one for each generation, one for the classifier."""
        return 1 + int(self.options.generations) + int(self.options.distil != "none")

    @property
    def unlabelled(self) -> int:  # type: ignore[override]
        """As the option says."""
        return int(self.options.unlabelled)

    def student(self, templates: Sequence[Template]) -> Student | None:
        """Return a plain classifier: the fields of the templates without their words, under a linear layer."""
        if self.options.distil == "none":
            return None
        strategy = Pet(Options(tune=self.options.distil))
        own = {"epochs": self.options.student_epochs, "lr": self.options.student_lr}
        # A number of passes that was asked for is taken as it stands.
        given = {name: value for name, value in own.items() if value} | ({"min_steps": 0} if own["epochs"] else {})
        named = (name for template in templates for name in template.fields)
        fields = " ".join(f"{{{name}}}" for name in dict.fromkeys(named))
        return Student(strategy, Template.parse(fields), "head", replace(strategy.defaults, **given))

    def teach(self, ended: Round) -> Sequence[Lesson]:
        """Return the training sets of the next generation, or the classifier's soft labels."""
        from promptkit_pet.teaching import next_lessons, soft_labels

        if ended.number <= self.options.generations:
            return next_lessons(ended, self.options.growth, self.options.share)
        return [soft_labels(ended, self.options.temperature)]

    def check(self, readout: str, templates: Sequence[Template]) -> None:
        """Refuse virtual tokens, which nothing here would train."""
        self.refuse_virtual_tokens(templates)
        if self.options.generations and len(templates) < 2:
            raise UserError(
                "generations need several patterns, which label for each other: give several --template, or "
                "--set patterns=4 where the data has no template of its own and the model is a masked one."
            )
        if self.options.generations and self.options.tune == "none":
            raise UserError("generations are trained anew, and tune=none trains nothing; use tune=head or tune=all.")

    def build(self, backbone: Backbone, task: PromptTask) -> PromptedModel:
        """Return one pattern's model."""
        from promptkit.nn import ClozePrompt

        if self.options.tune == "all":
            return ClozePrompt(backbone.trainable("all"), task, head_learns=task.readout == "head")
        return ClozePrompt(backbone, task, head_learns=self.options.tune == "head")


@hookimpl
def promptkit_register_strategies(register: Callable[[type[Strategy]], None]) -> None:
    """Register `pet`."""
    register(Pet)
