"""Everything about a run that can be known, and refused, before MindSpore is loaded."""

from __future__ import annotations

import hashlib
import json
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from promptkit.backbones.face import ModelFiles
from promptkit.data import Example, Task
from promptkit.data.classes import NO_EXAMPLE
from promptkit.errors import UserError
from promptkit.hooks import get_host
from promptkit.prompting import Encoded, Readout, Template, Verbalizer, stand_in_words
from promptkit.prompting.answers import prompt_length
from promptkit.prompting.demonstrations import Context
from promptkit.prompting.resolved import EncodedTask, PromptTask, encode_task, resolve_prompt
from promptkit.running.aims import Aim, aim_of, check_metrics
from promptkit.running.asking import ends_in_form, question_for
from promptkit.running.config import MAX_LENGTH, RunConfig
from promptkit.running.contexts import draw_context
from promptkit.running.fields import check_fields
from promptkit.running.loader import Loader
from promptkit.running.metrics import metric_marks
from promptkit.running.settling import settle
from promptkit.running.streams import START, generator
from promptkit.running.teaching import PlannedStudent, plan_student, plan_unlabelled
from promptkit.runs.record import RunOptions
from promptkit.strategies.contract import Strategy, parse_options, prepared
from promptkit.strategies.declared import check_declared
from promptkit.strategies.proposing import Proposal
from promptkit.version import __version__

_UNKNOWN_SHARE = 0.1  # of the pieces of a data set, above which a model is said not to know its language
_CUT_SHARE = 0.05  # of the texts, above which truncation is mentioned


@dataclass
class Plan:
    """A run with every default filled in and every prompt resolved.

    Attributes:
        config: what was asked for.
        settings: the same with every default filled in: templates as they are used, label words, readout, training.
            It is what the record and the artifact's card hold.
        strategy: with its options.
        task: the data after drawing shots.
        drawn_from: examples of the kind that the shots are drawn from; none without shots.
        majority: the label that is most frequent in train before shots are drawn; empty for texts.
        model: the checkpoint's files.
        verbalizer: given, or the default for the labels; None with the head readout.
        prompts: one for each template.
        plugin: how errors name the strategy and where it comes from.
        strategy_version: of the distribution that brings the strategy.
        unlabelled: texts without labels that a strategy of several rounds learns from.
        student: the one model of the last round, where the strategy has one.
        left_out: templates of the data or the strategy that the model cannot answer.
        warnings: in the order they came up.
        found: what the strategy proposed, in words.
        dev_scores: how many dev scores it picked that by.
    """

    config: RunConfig
    settings: RunOptions
    strategy: Strategy
    task: Task
    drawn_from: tuple[Example, ...]
    majority: str
    model: ModelFiles
    verbalizer: Verbalizer | None
    prompts: list[PromptTask]
    plugin: str
    strategy_version: str
    unlabelled: tuple[Example, ...] = ()
    student: PlannedStudent | None = None
    left_out: tuple[str, ...] = ()
    warnings: list[str] = field(default_factory=list)
    found: list[str] = field(default_factory=list)
    dev_scores: int = 0

    @property
    def aim(self) -> Aim:
        """What the run is after."""
        return aim_of(self.config)

    @property
    def templates(self) -> tuple[Template, ...]:
        """The templates as they are used."""
        return tuple(prompt.template for prompt in self.prompts)

    @property
    def depends_on(self) -> frozenset[str]:
        """What the numbers depend on: what the strategy declares, as far as this run makes use of it.

        A linear readout starts from random weights. Without an epoch there is no training, and without that the
        examples are seen by none but a strategy that asks for them in `context` or `propose`, in rounds or to weigh
        its templates.
        """
        named = set(self.strategy.depends_on)
        if self.settings.readout == "head":
            named.add("seed")
        if not self.settings.epochs and "training" in named and self.strategy.rounds == 1:
            named.discard("training")
            looks = type(self.strategy).context is not Strategy.context or bool(self.strategy.proposes)
            if not looks and self.strategy.weights == "uniform":
                named.discard("examples")
        return frozenset(named)

    @property
    def asks_model(self) -> bool:
        """Whether it takes the model to encode the data: to tell which demonstrations are like a text."""
        return any(it.context is not None and it.context.showing.by_likeness for it in self.prompts)

    @property
    def stem(self) -> str:
        """What the run's directory is called, before its number or key."""
        return f"{self.strategy.name}-{self.task.name}-{self.config.drawn_stem}-s{self.config.seed}"

    @property
    def key(self) -> str:
        """16 hexadecimal digits of a SHA-256: two runs of one key on one machine give the same numbers.

        Over what the numbers depend on: versions, every setting with its default filled in, the texts and
        labels of the draw, the texts it was drawn from, the model's weights. Not over paths: the same data
        elsewhere is the same run.
        """
        chosen = self.settings
        training = [chosen.epochs, chosen.lr, chosen.weight_decay, chosen.patience, chosen.batch_size]
        training += [] if chosen.round_epochs is None else [chosen.round_epochs]
        parts: dict[str, Any] = {
            "promptkit": __version__,
            "strategy": [self.strategy.name, self.strategy_version, self.strategy.options.model_dump(mode="json")],
            "templates": list(chosen.templates),
            "verbalizer": chosen.verbalizer,
            # The batch size stays: it may change the last digits of a prediction.
            "training": training if "training" in self.depends_on else [chosen.batch_size],
            "config": [chosen.readout, chosen.slots, chosen.shots, chosen.seed, chosen.max_length, chosen.clean],
            "metrics": metric_marks(chosen.metrics),
            "device": [chosen.device, chosen.mode, *([chosen.precision] if chosen.precision != "fp32" else [])],
            "task": [self.task.fingerprint, list(self.task.labels), self.task.language],
            "model": [
                self.model.engine,
                self.model.fingerprint,
                *([self.model.software] if self.model.software else []),
            ],
        }
        if chosen.accumulate > 1 and "training" in self.depends_on:
            parts["accumulate"] = chosen.accumulate
        if chosen.objective != "classes":
            parts["objective"] = [chosen.objective, chosen.max_tokens]
        if self.drawn_from:
            # Rows are planned for them, and so is which examples meet in a batch.
            parts["drawn from"] = [list(example.fields().items()) for example in self.drawn_from]
        if self.unlabelled:
            parts["unlabelled"] = [list(example.fields().items()) for example in self.unlabelled]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]

    def encode(self) -> list[EncodedTask]:
        """Return the data under each template, and last the student's, and warn of what the tokenizer made of it.

        Raises:
            UserError: if an example lacks a field of the template.
        """
        prompts = [*self.prompts, *([self.student.prompt] if self.student else [])]
        encoded = [encode_task(prompt, self.task, self.drawn_from, self.unlabelled) for prompt in prompts]
        if any(it.context is not None and it.context.drew for it in prompts) and "seed" not in self.depends_on:
            raise UserError(f"{self.plugin} draws demonstrations at random, but its depends_on does not name seed.")
        _warn_of_prompts(self)
        _warn_of_text(self, encoded)
        return encoded

    def describe(self) -> str:
        """Return in two lines what is about to be run."""
        task, config = self.task, self.config
        sizes = f"{len(task.train)} train, {len(task.dev)} dev, {len(task.test)} test"
        sizes += f", {len(self.unlabelled)} without labels" if self.unlabelled else ""
        shots = "" if config.shots is None else f", {config.shots} shots"
        shots += "" if config.fold is None else f", fold {config.fold[0]} of {config.fold[1]}"
        labels = f"; labels {', '.join(task.labels)}" if task.labels else "; answers"
        templates = " | ".join(str(template) for template in self.templates)
        words = f"; label words: {self.verbalizer}" if self.verbalizer else ""
        return (
            f"{self.strategy.name} on {task.name} ({sizes}{shots}{labels}) with {config.model}\n"
            f"template: {templates}{words}"
        )

    def warn(self, message: str) -> None:
        """Keep a warning for the record and print it."""
        if message not in self.warnings:
            self.warnings.append(message)
            if not self.config.quiet:
                print(f"warning: {message}", file=sys.stderr)


def make_plan(
    config: RunConfig, inputs: Loader | None = None, proposal: Proposal | None = None, processes: int = 1
) -> Plan:
    """Resolve a configuration.

    Args:
        config: what was asked for.
        inputs: of several plans, so that each data set and model is read once.
        proposal: the templates and label words to go on with, where the strategy has looked for them.
        processes: that train together.

    Raises:
        UserError: for anything wrong with the strategy, the data, the model's files, the template or the label
            words.
    """
    inputs = inputs or Loader()
    entry = get_host().strategy(config.strategy)
    strategy = entry.cls(parse_options(entry.cls, config.options))
    if fault := check_declared(strategy):
        raise UserError(f"{entry.title}: {fault}.")
    aim = aim_of(config)
    aim.check(config, strategy)
    task = inputs.task(config)
    check_metrics(aim, config, task)
    readout = aim.readout(config, strategy)
    # A causal model is asked with other templates, and in its form with other words; where neither matters, what is
    # wrong with the templates is said sooner.
    chosen = config.templates and not ends_in_form(config, task)
    model = None if proposal or chosen else inputs.model(config)
    templates, verbalizer, left_out = _asked(config, strategy, task, readout, model, proposal)
    strategy.check(readout, templates)
    model = model or inputs.model(config)
    _check_kind(config, strategy, model)
    if verbalizer is None and readout == "cloze" and "words" in strategy.proposes:
        verbalizer = stand_in_words(task.labels, model.tokenizer)
    contexts = [
        draw_context(strategy, task, template, (config.seed, number), entry.title)
        for number, template in enumerate(templates)
    ]
    unlabelled = plan_unlabelled(strategy, config.data, partial(inputs.unlabelled, config))
    prompt_of = partial(resolve, config, task, model)
    prompts = [
        prompt_of(template, verbalizer, readout, number, contexts[number], front=strategy.fronts)
        for number, template in enumerate(templates)
    ]
    longest = max(prompt.encoder.longest for prompt in prompts) + (config.max_tokens if readout == "answer" else 0)
    return Plan(
        config=config,
        settings=settle(
            config, strategy, readout, templates, verbalizer, len(task.train), model.info, longest, processes
        ),
        strategy=strategy,
        task=task,
        drawn_from=inputs.drawn_from(config),
        majority=inputs.majority(config),
        model=model,
        verbalizer=verbalizer,
        prompts=prompts,
        plugin=entry.title,
        strategy_version=entry.origin.version,
        unlabelled=unlabelled,
        left_out=left_out,
        student=plan_student(
            strategy,
            templates,
            entry.title,
            lambda template, how: prompt_of(template, verbalizer if how == "cloze" else None, how),
        ),
    )


def suits(config: RunConfig, inputs: Loader) -> bool:
    """Return whether a strategy, as it is set, is for models of this kind; see `make_plan`."""
    cls = get_host().strategy(config.strategy).cls
    return inputs.model(config).info.kind in cls(parse_options(cls, config.options)).kinds


def _check_kind(config: RunConfig, strategy: Strategy, model: ModelFiles) -> None:
    if model.info.kind not in strategy.kinds:
        raise UserError(
            f"strategy '{strategy.name}' is for {' and '.join(sorted(strategy.kinds))} language models; "
            f"'{config.model}' is a {model.info.kind} one."
        )


def _asked(
    config: RunConfig,
    strategy: Strategy,
    task: Task,
    readout: Readout,
    model: ModelFiles | None,
    proposal: Proposal | None,
) -> tuple[tuple[Template, ...], Verbalizer | None, tuple[str, ...]]:
    """Return the templates as the strategy prepares them, the label words and what is left out; see `Question`."""
    if proposal is not None:
        return proposal.templates, proposal.verbalizer, ()
    kind = "masked" if model is None else model.info.kind
    question = question_for(config, task, strategy.defaults, readout, kind)
    who = get_host().strategy(config.strategy).title
    templates = tuple(prepared(strategy, Template.parse(source), who) for source in question.templates)
    for template in templates:
        check_fields(template, task)
    return templates, question.words, question.left_out


def resolve(
    config: RunConfig,
    task: Task,
    model: ModelFiles,
    template: Template,
    verbalizer: Verbalizer | None,
    readout: Readout,
    number: int = 0,
    context: Context | None = None,
    front: bool = False,
) -> PromptTask:
    """Return a template's prompt for the model of a run; see `resolve_prompt`, and `RunConfig` for the settings.

    `number` is the template's, from 0: each starts from random numbers of its own.
    """
    max_tokens = config.max_tokens if readout == "answer" else 0
    try:
        return resolve_prompt(
            template,
            verbalizer,
            labels=task.labels,
            tokenizer=model.tokenizer,
            readout=readout,
            slots=config.slots,
            max_length=prompt_length(model.info, config.max_length, max_tokens),
            rng=generator(config.seed, START, number),
            language=task.language,
            kind=model.info.kind,
            context=context,
            front=front and model.info.takes_front,
            max_tokens=max_tokens,
        )
    except UserError as error:
        chosen = config.verbalizer is None and task.verbalizer is None and verbalizer is not None
        if chosen and str(error).startswith("label word") and "vocabulary" in str(error):
            # The words are promptkit's own choice for the language, so it is the model that does not fit.
            hint = f"the data's language is '{task.language}', and model '{config.model}' does not know it"
            raise UserError(f"{error} {hint[0].upper()}{hint[1:]}: name another with --model.") from None
        raise


def _warn_of_prompts(plan: Plan) -> None:
    for template in plan.left_out:
        plan.warn(
            f"template '{template}' is left out: a causal model answers behind the text, so {{mask}} comes last"
        )
    for caution in plan.task.cautions:
        # What train lacks is nothing to a strategy that never looks at it.
        if plan.depends_on & {"training", "examples"} or not caution.startswith(NO_EXAMPLE):
            plan.warn(caution)
    most = plan.model.info.max_length
    if plan.config.max_length > max(most, MAX_LENGTH):
        plan.warn(f"model '{plan.config.model}' reads {most:,} tokens at most: --max-length {most} is used")
    for prompt in plan.prompts:
        if prompt.template.foreign:
            plan.warn(f"template '{prompt.template}': {prompt.template.foreign}")
        if prompt.encoder.template_unknown:
            plan.warn(
                f"template '{prompt.template}': {prompt.encoder.template_unknown} of its pieces are unknown to "
                f"model '{plan.config.model}'"
            )


def _warn_of_text(plan: Plan, encoded: Sequence[EncodedTask]) -> None:
    """Warn of what the tokenizer made of the texts, each time with the figures of the template it is worst with."""
    unknown = max((_unknown_share(it.all) for it in encoded), default=0.0)
    if unknown > _UNKNOWN_SHARE:
        plan.warn(
            f"{unknown:.0%} of the text's pieces are unknown to model '{plan.config.model}': "
            f"is it made for this language ('{plan.task.language}')?"
        )
    rows = max((it.all for it in encoded), key=lambda rows: sum(row.cut_answer for row in rows))
    if endless := sum(row.cut_answer for row in rows):
        plan.warn(f"{endless} of {len(rows)} answers were cut to --max-tokens {plan.config.max_tokens}")
    rows = max((it.all for it in encoded), key=lambda rows: sum(row.left_out for row in rows))
    if left_out := sum(row.left_out for row in rows):
        plan.warn(
            f"{left_out:,} of {left_out + sum(row.shown for row in rows):,} demonstrations did not fit beside their "
            f"texts; a larger --max-length (now {plan.config.max_length}) makes room for more"
        )
    rows = max((it.all for it in encoded), key=_count_cut)
    if (cut := _count_cut(rows)) > _CUT_SHARE * len(rows):
        counts = Counter(name for row in rows for name in row.cut)
        which = ", ".join(f"{{{name}}} {count / len(rows):.0%}" for name, count in counts.most_common())
        several = f" ({which})" if len({name for it in plan.prompts for name in it.template.fields}) > 1 else ""
        length = min(plan.config.max_length, plan.model.info.max_length)
        plan.warn(f"{cut / len(rows):.0%} of the texts were cut to --max-length {length}{several}")


def _unknown_share(rows: Sequence[Encoded]) -> float:
    return sum(row.unknown for row in rows) / max(1, sum(row.field_tokens for row in rows))


def _count_cut(rows: Sequence[Encoded]) -> int:
    return sum(row.dropped > 0 for row in rows)
