"""One run from settings to result: the only place where all rooms meet."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from promptkit.config import RunConfig, make_config
from promptkit.data import Task, draw_shots, load_task
from promptkit.hooks import get_host
from promptkit.interrupts import held_interrupts
from promptkit.predictor import Predictor, load
from promptkit.prompting import Template, Verbalizer, default_words
from promptkit.strategy import Strategy, parse_options

if TYPE_CHECKING:
    from promptkit.engine.backbone import Backbone
    from promptkit.member import EncodedTask, MemberResult
    from promptkit.prompt import PromptTask
    from promptkit.runs import RunRecord
    from promptkit.training import TrainingSettings

__all__ = ["Predictor", "RunConfig", "RunResult", "load", "run"]

_UNKNOWN_SHARE = 0.1  # of the pieces of a data set, above which a model is said not to know its language


@dataclass(frozen=True)
class RunResult:
    """A finished run.

    Attributes:
        record: everything measured; what `run.json` holds.
        directory: where it was written, or None.
        probabilities: of the test examples, (N, C).
        predictions: their classes, (N,).
    """

    record: RunRecord
    directory: Path | None
    probabilities: Any
    predictions: Any


@dataclass
class _Plan:
    """Settings with every default filled in, checked before anything heavy is loaded."""

    config: RunConfig
    strategy: Strategy
    task: Task
    full: Task
    templates: tuple[Template, ...]
    verbalizer: Verbalizer | None
    epochs: int
    warnings: list[str] = field(default_factory=list)

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


def run(strategy: str, **settings: Any) -> RunResult:
    """Train and judge one prompt.

    Args:
        strategy: name of the strategy.
        **settings: the fields of `RunConfig`, e.g. `data`, `shots`, `seed`, `options={"tokens": 20}`.

    Returns:
        The record, and the run directory it was written to.

    Raises:
        UserError: for bad input, in one line; nothing is written then.
    """
    return execute(make_config(strategy=strategy, **settings))


def execute(config: RunConfig, *, announce: Callable[[str], None] | None = None) -> RunResult:
    """Carry out a checked configuration; see `run`.

    Args:
        config: the settings.
        announce: is told in two lines what is about to be run, once it is known to be possible.
    """
    from promptkit.runs import RunDirectory

    started = time.perf_counter()
    plan = _plan(config)
    if not config.save:
        return _execute(plan, None, started, announce)
    shots = "full" if config.shots is None else f"{config.shots}shot"
    stem = f"{plan.strategy.name}-{plan.task.name}-{shots}-s{config.seed}"
    with RunDirectory.create(config.out, stem) as directory:
        return _execute(plan, directory, started, announce)


def _plan(config: RunConfig) -> _Plan:
    host = get_host()
    cls = host.strategy(config.strategy).cls
    strategy = cls(parse_options(cls, config.options))
    if config.metrics:
        from promptkit.evaluation import load_metric

        for name in config.metrics:
            # Before the training, which a misspelt name would otherwise cost.
            load_metric(name, {metric: entry.path for metric, entry in host.metrics.items()})
    full = load_task(
        config.data,
        text_column=config.text_column,
        text_b_column=config.text_b_column,
        label_column=config.label_column,
        encoding=config.encoding,
        clean=config.clean,
        registry={name: entry.load for name, entry in host.datasets.items()},
    )
    task = draw_shots(full, config.shots, config.seed)
    sources = config.templates or strategy.defaults.templates_for(task.language)
    templates = tuple(strategy.prepare(Template.parse(source)) for source in sources)
    strategy.check(config.readout, templates)
    verbalizer = None
    if config.readout == "cloze":
        verbalizer = (
            Verbalizer.parse(config.verbalizer)
            if config.verbalizer is not None
            else default_words(task.labels, task.language)
        )
    defaults = strategy.defaults
    batch_size = config.batch_size or defaults.batch_size
    epochs = defaults.epochs_for(len(task.train), batch_size) if config.epochs is None else config.epochs
    plan = _Plan(config, strategy, task, full, templates, verbalizer, epochs)
    for note in task.notes:
        plan.warn(note) if "fewer" in note else None
    return plan


def _execute(
    plan: _Plan, directory: Any, started: float, announce: Callable[[str], None] | None
) -> RunResult:
    from promptkit.engine.catalog import find_model
    from promptkit.engine.device import set_device

    config, host = plan.config, get_host()
    path = find_model(
        config.model,
        registry={name: entry.locate for name, entry in host.models.items()},
        download=config.download,
        mirror=config.mirror,
    )
    if announce:
        announce(plan.describe())
    with held_interrupts():
        device = set_device(config.device)
    import mindspore as ms

    from promptkit.engine.loading import load_backbone

    # For third parties that initialise with MindSpore's own generators; ours all come from `rng`.
    ms.set_seed(config.seed)
    backbone = load_backbone(path, source=config.model)
    members, prompts = _run_members(plan, backbone)
    dev = _mean_log_softmax([member.dev_scores for member in members])
    test = _mean_log_softmax([member.test_scores for member in members])
    return _finish(plan, backbone, device, members, prompts, dev, test, directory, started)


def _run_members(plan: _Plan, backbone: Backbone) -> tuple[list[MemberResult], list[PromptTask]]:
    from promptkit.member import encode_task, run_member
    from promptkit.prompt import resolve_prompt

    config, task = plan.config, plan.task
    settings = _training_settings(plan)
    prepared: list[tuple[PromptTask, EncodedTask]] = []
    for number, template in enumerate(plan.templates):
        prompt = resolve_prompt(
            template,
            plan.verbalizer,
            labels=task.labels,
            tokenizer=backbone.tokenizer,
            readout=config.readout,
            slots=config.slots,
            max_length=min(config.max_length, backbone.config.max_length),
            rng=np.random.default_rng([config.seed, 1, number]),
            language=task.language,
        )
        prepared.append((prompt, encode_task(prompt, task)))
    _warn_of_text(plan, prepared[0][1])
    results = []
    for number, (prompt, encoded) in enumerate(prepared):
        several = f" {number + 1}/{len(prepared)}" if len(prepared) > 1 else ""
        results.append(
            run_member(
                plan.strategy, backbone, prompt, task, encoded, settings,
                batch_size=config.batch_size or plan.strategy.defaults.batch_size,
                mode=config.mode,
                shuffle=np.random.default_rng([config.seed, 2, number]),
                warn=plan.warn,
                label=plan.strategy.name + several,
                quiet=config.quiet,
            )
        )  # fmt: skip
    return results, [prompt for prompt, _ in prepared]


def _training_settings(plan: _Plan) -> TrainingSettings:
    from promptkit.training import TrainingSettings

    config, defaults = plan.config, plan.strategy.defaults
    return TrainingSettings(
        epochs=plan.epochs,
        lr=defaults.lr if config.lr is None else config.lr,
        weight_decay=defaults.weight_decay if config.weight_decay is None else config.weight_decay,
        patience=defaults.patience if config.patience is None else config.patience,
    )


def _warn_of_text(plan: _Plan, encoded: EncodedTask) -> None:
    rows = encoded.all
    kept = sum(row.field_tokens for row in rows)
    unknown = sum(row.unknown for row in rows)
    cut = sum(row.dropped > 0 for row in rows)
    if kept and unknown / kept > _UNKNOWN_SHARE:
        plan.warn(
            f"{unknown / kept:.0%} of the text's pieces are unknown to model '{plan.config.model}': "
            f"is it made for this language ('{plan.task.language}')?"
        )
    if cut > 0.05 * len(rows):
        plan.warn(f"{cut / len(rows):.0%} of the texts were cut to --max-length {plan.config.max_length}")


def _mean_log_softmax(scores: list[Any]) -> Any:
    """Average the members' class scores; (N, C) log-probabilities that sum to one."""
    total = np.mean([_log_softmax(s.astype(np.float64)) for s in scores], axis=0)
    return _log_softmax(total)


def _log_softmax(scores: Any) -> Any:
    shifted = scores - scores.max(-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))


def _finish(
    plan: _Plan,
    backbone: Backbone,
    device: str,
    members: list[MemberResult],
    prompts: list[PromptTask],
    dev: Any,
    test: Any,
    directory: Any,
    started: float,
) -> RunResult:
    from promptkit import record_of
    from promptkit.runs import save_artifact, write_predictions

    task = plan.task
    truth = [task.label_index(example.label) for example in task.test]
    predictions, probabilities = test.argmax(-1), np.exp(test)
    scores = {
        "dev": record_of.scores(plan.config, task, "dev", dev.argmax(-1)),
        "test": record_of.scores(plan.config, task, "test", predictions),
    }
    _warn_if_no_better(plan, predictions, truth, learnt=any(m.training for m in members))
    size = 0
    if directory is not None:
        tensors = {f"{i}.{path}": value for i, member in enumerate(members) for path, value in member.tensors.items()}
        card = record_of.card(plan.config, plan.strategy, task, prompts, plan.verbalizer, backbone)
        size = save_artifact(directory.file("prompt.safetensors"), tensors, card)
        write_predictions(
            directory.file("predictions.tsv"), task.labels, truth, predictions.tolist(), probabilities, task.test
        )
    record = record_of.build(
        plan.config, plan.strategy, task, plan.templates, plan.verbalizer, _training_settings(plan), backbone,
        members, scores, device=device, artifact_bytes=size, warnings=plan.warnings,
        seconds=time.perf_counter() - started, peak_memory_mb=peak_memory_mb(),
    )  # fmt: skip
    place = None
    if directory is not None:
        directory.file("run.json").write_text(record.to_json(), encoding="utf-8")
        place = directory.commit()
    return RunResult(record, place, probabilities, predictions)


def _warn_if_no_better(plan: _Plan, predictions: Any, truth: list[int], *, learnt: bool) -> None:
    from promptkit.evaluation import majority_accuracy, no_better_than_majority

    correct = int((np.asarray(truth) == predictions).sum())
    majority = majority_accuracy(plan.task, "test")
    if no_better_than_majority(correct, len(truth), majority):
        hint = " Try another --lr, more --epochs or --set init=vocab." if learnt else ""
        plan.warn(
            f"accuracy {correct / len(truth):.3f} on test is no better than always answering the majority class "
            f"({majority:.3f}).{hint}"
        )


def peak_memory_mb() -> float:
    """Return the process's peak resident memory so far, in MB (10^6 bytes)."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak * (1 if sys.platform == "darwin" else 1024) / 1e6


