"""`lmbff`: prompt-based fine-tuning with demonstrations, and prompts the model suggests itself (Gao et al. 2021)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from promptkit import (
    Defaults,
    Draft,
    Proposal,
    Query,
    Showing,
    Strategy,
    StrategyOptions,
    Template,
    UserError,
    hookimpl,
    in_turn,
)

if TYPE_CHECKING:
    import numpy as np

    from promptkit import Example, PromptTask
    from promptkit.nn import Backbone, PromptedModel

TRAINING_SETS = 8  # sets of demonstrations that a training text is seen with, one an epoch
AUTO_TEMPLATES = (("en", ("{text} {mask}.",)), ("zh", ("{text}{mask}。",)))


class Options(StrategyOptions):
    """Options of `lmbff`."""

    demonstrations: Literal["similar", "random", "none"] = Field(
        default="similar",
        description="one of each class beside every text: of the more alike half, any, or none",
    )
    ensemble: int = Field(
        default=4,
        ge=1,
        le=64,
        description="sets of demonstrations that a text is scored with; scores are averaged",
    )
    words: Literal["given", "auto"] = Field(
        default="given",
        description="label words: as given, or the model's own, picked on train and dev",
    )
    templates: Literal["given", "auto"] = Field(
        default="given",
        description="templates: as given, or with words that the model fills in, picked on train and dev",
    )
    keep: int = Field(
        default=1, ge=1, le=8, description="with templates=auto, how many templates are tuned and averaged"
    )
    slots: int = Field(
        default=3,
        ge=1,
        le=8,
        description="with templates=auto, the most words before the mask, if the template has no {soft:N}",
    )
    beam: int = Field(
        default=8, ge=1, le=100, description="with templates=auto, texts kept while words are filled in"
    )
    candidates: int = Field(
        default=100,
        ge=1,
        le=1000,
        description="with words=auto, words a class, and choices of words that go from train to dev",
    )
    pool: int = Field(
        default=256,
        ge=2,
        le=4096,
        description="training examples that demonstrations are taken from, at most",
    )


class LmBff(Strategy):
    """The whole model is tuned on cloze questions, with one demonstration of each class beside every text."""

    name = "lmbff"
    summary = "LM-BFF: the whole model learns, with demonstrations; searches label words and templates if asked"
    Options = Options

    @property
    def defaults(self) -> Defaults:  # type: ignore[override]
        """Small steps, as for every model that learns as a whole; a bare template where its words are to be found."""
        usual = Defaults(epochs=3, min_steps=60, lr=5e-5, batch_size=32, weight_decay=0.01, patience=3)
        return usual if self.options.templates == "given" else replace(usual, templates=AUTO_TEMPLATES)

    @property
    def proposes(self) -> frozenset[str]:  # type: ignore[override]
        """Whatever is `auto`."""
        auto = {"words": self.options.words, "templates": self.options.templates}
        return frozenset(name for name, how in auto.items() if how == "auto")

    @property
    def showing(self) -> Showing:  # type: ignore[override]
        """A set for every pass over a training text, and several for every text that is scored."""
        if self.options.demonstrations == "none":
            return Showing()
        similar = self.options.demonstrations == "similar"
        return Showing(by_likeness=similar, sets=self.options.ensemble, training_sets=TRAINING_SETS)

    def check(self, readout: str, templates: Sequence[Template]) -> None:
        """Refuse a head, and virtual tokens that nobody fills in."""
        if readout != "cloze":
            raise UserError("strategy 'lmbff' reads label words at the mask; use --readout cloze.")
        if self.options.templates == "given":
            self.refuse_virtual_tokens(templates)

    def prepare(self, template: Template) -> Template:
        """Put `{soft:slots}` before the mask of a template whose words are to be found, if it says nothing."""
        return template if self.options.templates == "given" else template.with_soft_before_mask(self.options.slots)

    def propose(self, draft: Draft) -> Proposal:
        """Return the templates, and then the label words for the best of them, that train and dev speak for.

        Where no label words are known to fill templates in by, they are looked for under the bare template first.
        """
        from promptkit_lmbff.templates import find_templates, without_slots
        from promptkit_lmbff.words import find_words

        templates, verbalizer, found, scores = draft.templates, draft.verbalizer, [], 0
        if "templates" in self.proposes:
            if draft.tokenizer.mask_id < 0:
                raise UserError(
                    "strategy 'lmbff' with templates=auto fills in mask tokens, and a causal model has none; give a "
                    "template."
                )
            if not draft.words_known:
                verbalizer, _, scores = find_words(draft, without_slots(templates[0]), self.options.candidates)
            templates, said, judged = find_templates(draft, verbalizer, self.options.beam, self.options.keep)
            found.append(said)
            scores += judged
        if "words" in self.proposes:
            verbalizer, said, judged = find_words(draft, templates[0], self.options.candidates)
            found.append(said)
            scores += judged
        return Proposal(templates, verbalizer, tuple(found), dev_scores=scores)

    def context(self, examples: Sequence[Example], rng: np.random.Generator) -> Sequence[Example]:
        """Return the examples that demonstrations are taken from."""
        if self.options.demonstrations == "none":
            return ()
        if len(examples) <= self.options.pool:
            return examples
        drawn = [examples[int(number)] for number in rng.permutation(len(examples))]
        return in_turn(drawn)[: self.options.pool]

    def choose(self, query: Query) -> Sequence[int]:
        """Return one example of each class, drawn from all or from the half that is more like the text.

        Which class comes first is drawn too: where not all fit beside the text, the first do.
        """
        similar = self.options.demonstrations == "similar"
        chosen = []
        for label in query.labels:
            own = [
                number for number in (query.nearest if similar else query.others) if query.pool[number].label == label
            ]
            if similar:
                own = own[: -(-len(own) // 2)]
            if own:
                chosen.append(own[int(query.rng.integers(len(own)))])
        return [chosen[int(place)] for place in query.rng.permutation(len(chosen))]

    def arrange(self, pool: Sequence[Example], chosen: Sequence[int]) -> Sequence[int]:
        """Return them by class, in the same order beside every text."""
        return sorted(chosen, key=lambda number: pool[number].label)

    def build(self, backbone: Backbone, task: PromptTask) -> PromptedModel:
        """Return the cloze model, all of which learns."""
        from promptkit.nn import ClozePrompt

        return ClozePrompt(backbone.trainable("all"), task)


@hookimpl
def promptkit_register_strategies(register: Callable[[type[Strategy]], None]) -> None:
    """Register `lmbff`."""
    register(LmBff)
