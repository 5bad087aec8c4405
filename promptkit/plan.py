"""Everything about a run that can be known, and refused, before MindSpore is loaded."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from promptkit.config import RunConfig
from promptkit.data import Task, draw_shots, load_task
from promptkit.engine.catalog import find_model
from promptkit.engine.config import BackboneConfig, read_config
from promptkit.engine.tokenizer import Tokenizer, load_tokenizer
from promptkit.hooks import get_host
from promptkit.prompt import EncodedTask, PromptTask, encode_task, resolve_prompt
from promptkit.prompting import Template, Verbalizer, default_words
from promptkit.strategy import Strategy, parse_options

_UNKNOWN_SHARE = 0.1  # of the pieces of a data set, above which a model is said not to know its language
_CUT_SHARE = 0.05  # of the texts, above which truncation is mentioned


@dataclass
class Plan:
    """A run with every default filled in and every prompt resolved.

    Attributes:
        config: what was asked for.
        strategy: with its options.
        task: the data after drawing shots.
        model: the checkpoint directory.
        tokenizer: its tokenizer.
        verbalizer: given, or the default for the labels; None with the head readout.
        prompts: one for each template, with the data encoded under it.
        epochs, lr, weight_decay, patience, batch_size: of the training.
        warnings: in the order they came up.
    """

    config: RunConfig
    strategy: Strategy
    task: Task
    model: Path
    tokenizer: Tokenizer
    verbalizer: Verbalizer | None
    prompts: list[tuple[PromptTask, EncodedTask]]
    epochs: int
    lr: float
    weight_decay: float
    patience: int
    batch_size: int
    warnings: list[str] = field(default_factory=list)

    @property
    def templates(self) -> tuple[Template, ...]:
        """The templates as they are used."""
        return tuple(prompt.template for prompt, _ in self.prompts)

    def describe(self) -> str:
        """Return in two lines what is about to be run."""
        task, config = self.task, self.config
        sizes = f"{len(task.train)} train, {len(task.dev)} dev, {len(task.test)} test"
        shots = "" if config.shots is None else f", {config.shots} shots"
        labels = ", ".join(task.labels)
        templates = " | ".join(str(template) for template in self.templates)
        words = f"; label words: {self.verbalizer}" if self.verbalizer else ""
        return (
            f"{self.strategy.name} on {task.name} ({sizes}{shots}; labels {labels}) with {config.model}\n"
            f"template: {templates}{words}"
        )

    def warn(self, message: str) -> None:
        """Keep a warning for the record and print it."""
        if message not in self.warnings:
            self.warnings.append(message)
            if not self.config.quiet:
                print(f"warning: {message}", file=sys.stderr)


def make_plan(config: RunConfig) -> Plan:
    """Resolve a configuration.

    Raises:
        UserError: for anything wrong with the strategy, the data, the model's files, the template or the label
            words.
    """
    host = get_host()
    cls = host.strategy(config.strategy).cls
    strategy = cls(parse_options(cls, config.options))
    _check_metrics(config)
    task = _load_data(config)
    sources = config.templates or strategy.defaults.templates_for(task.language)
    templates = tuple(strategy.prepare(Template.parse(source)) for source in sources)
    strategy.check(config.readout, templates)
    model = find_model(
        config.model,
        registry={name: entry.locate for name, entry in host.models.items()},
        download=config.download,
        mirror=config.mirror,
    )
    shape = read_config(model)
    tokenizer = load_tokenizer(model, shape.architecture, shape.vocab_size)
    verbalizer = None
    if config.readout == "cloze":
        given = config.verbalizer
        verbalizer = default_words(task.labels, task.language) if given is None else Verbalizer.parse(given)
    prompts = [
        _resolve(config, task, template, number, verbalizer, shape, tokenizer)
        for number, template in enumerate(templates)
    ]
    defaults = strategy.defaults
    batch_size = config.batch_size or defaults.batch_size
    epochs = defaults.epochs_for(len(task.train), batch_size) if config.epochs is None else config.epochs
    plan = Plan(
        config=config,
        strategy=strategy,
        task=task,
        model=model,
        tokenizer=tokenizer,
        verbalizer=verbalizer,
        prompts=prompts,
        epochs=epochs,
        lr=defaults.lr if config.lr is None else config.lr,
        weight_decay=defaults.weight_decay if config.weight_decay is None else config.weight_decay,
        patience=defaults.patience if config.patience is None else config.patience,
        batch_size=batch_size,
    )
    _warn_of_text(plan)
    return plan


def _check_metrics(config: RunConfig) -> None:
    """Refuse a misspelt metric now: after the training it would cost the whole run."""
    if config.metrics:
        from promptkit.evaluation import load_metric

        registry = {name: entry.path for name, entry in get_host().metrics.items()}
        for name in config.metrics:
            load_metric(name, registry)


def _load_data(config: RunConfig) -> Task:
    full = load_task(
        config.data,
        text_column=config.text_column,
        text_b_column=config.text_b_column,
        label_column=config.label_column,
        encoding=config.encoding,
        clean=config.clean,
        registry={name: entry.load for name, entry in get_host().datasets.items()},
    )
    return draw_shots(full, config.shots, config.seed)


def _resolve(
    config: RunConfig,
    task: Task,
    template: Template,
    number: int,
    verbalizer: Verbalizer | None,
    shape: BackboneConfig,
    tokenizer: Tokenizer,
) -> tuple[PromptTask, EncodedTask]:
    prompt = resolve_prompt(
        template,
        verbalizer,
        labels=task.labels,
        tokenizer=tokenizer,
        readout=config.readout,
        slots=config.slots,
        max_length=min(config.max_length, shape.max_length),
        rng=np.random.default_rng([config.seed, 1, number]),
        language=task.language,
    )
    return prompt, encode_task(prompt, task)


def _warn_of_text(plan: Plan) -> None:
    for note in plan.task.notes:
        if "fewer" in note:
            plan.warn(note)
    for prompt, _ in plan.prompts:
        if prompt.encoder.template_unknown:
            plan.warn(
                f"template '{prompt.template}': {prompt.encoder.template_unknown} of its pieces are unknown to "
                f"model '{plan.config.model}'"
            )
    rows = plan.prompts[0][1].all
    kept = sum(row.field_tokens for row in rows)
    unknown = sum(row.unknown for row in rows)
    cut = sum(row.dropped > 0 for row in rows)
    if kept and unknown / kept > _UNKNOWN_SHARE:
        plan.warn(
            f"{unknown / kept:.0%} of the text's pieces are unknown to model '{plan.config.model}': "
            f"is it made for this language ('{plan.task.language}')?"
        )
    if cut > _CUT_SHARE * len(rows):
        plan.warn(f"{cut / len(rows):.0%} of the texts were cut to --max-length {plan.config.max_length}")
