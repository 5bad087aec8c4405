"""Puts a run's pieces into the record and the artifact's card."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from promptkit.data import Task
from promptkit.hub import revision_of
from promptkit.runs import (
    BackboneInfo,
    Cost,
    Epoch,
    LearntParameters,
    RunRecord,
    Seconds,
    TaskInfo,
)
from promptkit.runs.card import CARD_FORMAT

if TYPE_CHECKING:
    from promptkit.backbones.face import Backbone
    from promptkit.running.aims import Judged
    from promptkit.running.member import MemberResult
    from promptkit.running.plan import Plan


def task_info(task: Task) -> TaskInfo:
    """Return what a record says of the data."""
    return TaskInfo(
        name=task.name,
        fingerprint=task.fingerprint,
        labels=task.labels,
        language=task.language,
        train=len(task.train),
        dev=len(task.dev),
        test=len(task.test),
        notes=(*task.notes, *task.cautions),
    )


def card(plan: Plan, backbone: Backbone, weights: Sequence[float] | None = None) -> dict[str, Any]:
    """Return the artifact's card: all that prediction needs besides the tensors; of a student alone, if any."""
    from promptkit.version import __version__

    chosen, task = plan.settings, plan.task
    found: dict[str, Any] = {
        "format": CARD_FORMAT,
        "promptkit": __version__,
        "strategy": chosen.strategy,
        "options": chosen.strategy_options,
        "templates": list(chosen.templates),
        "verbalizer": chosen.verbalizer,
        "readout": chosen.readout,
        "slots": chosen.slots,
        "labels": list(task.labels),
        "contexts": [[asdict(each) for each in it.context.pool] if it.context else [] for it in plan.prompts],
        "language": task.language,
        "max_length": chosen.max_length,
        "seed": chosen.seed,
        "clean": chosen.clean,
        "model": chosen.model,
        "backbone": {
            "fingerprint": backbone.fingerprint,
            "engine": plan.model.engine,
            "architecture": backbone.info.architecture,
            "hidden_size": backbone.info.hidden_size,
        },
    }
    if chosen.objective != "classes":
        found |= {"objective": chosen.objective, "max_tokens": chosen.max_tokens}
    if revision := revision_of(plan.model.directory):
        found["backbone"]["revision"] = revision
    if weights is not None:
        found["weights"] = list(weights)
    if plan.student:
        prompt, strategy = plan.student.prompt, plan.student.strategy
        found |= {
            "strategy": strategy.name,
            "options": strategy.options.model_dump(mode="json"),
            "templates": [str(prompt.template)],
            "verbalizer": chosen.verbalizer if prompt.readout == "cloze" else None,
            "readout": prompt.readout,
            "contexts": [[]],
        }
    return found


def build(
    plan: Plan,
    backbone: Backbone,
    rounds: Sequence[Sequence[MemberResult]],
    judged: Judged,
    *,
    device: str,
    artifact_bytes: int,
    seconds: float,
    peak_memory_mb: float,
) -> RunRecord:
    """Return the run's record: what was learnt, and what it cost, over the models of all rounds."""
    members = [member for each in rounds for member in each]
    trained = [m.scored.training for m in members if m.scored.training is not None]
    last = [m.scored.training for m in rounds[-1] if m.scored.training is not None]
    learnt = {part: sum(m.parameters[part] for m in members) for part in members[0].parameters}
    return RunRecord(
        command=plan.config.command,
        options=plan.settings.model_copy(update={"device": device, "mode": members[0].mode}),
        task=task_info(plan.task).model_copy(update={"unlabelled": len(plan.unlabelled)}),
        backbone=BackboneInfo(
            name=plan.config.model,
            fingerprint=backbone.fingerprint,
            engine=plan.model.engine,
            architecture=backbone.info.architecture,
            parameters=backbone.info.parameters,
            revision=revision_of(plan.model.directory),
        ),
        dev=judged.dev,
        test=judged.test,
        parameters=LearntParameters(**learnt),
        cost=_cost(members, artifact_bytes, seconds, peak_memory_mb),
        depends_on=tuple(sorted(plan.depends_on)),
        epochs_run=max((t.epochs for t in trained), default=0),
        best_epoch=(last[0].best_epoch or None) if len(last) == 1 else None,
        history=_history(rounds),
        dev_scores=plan.dev_scores,
        found=(*plan.found, *(member.found for member in members if member.found)),
        warnings=tuple(plan.warnings),
    )


def _cost(members: Sequence[MemberResult], artifact_bytes: int, seconds: float, peak_memory_mb: float) -> Cost:
    """Return what all models of a run cost together; `seconds` is what the whole run took."""
    trained = [m.scored.training for m in members if m.scored.training is not None]
    step_seconds = sum(t.seconds for t in trained)
    train_seconds = step_seconds + sum(m.scored.teach_seconds for m in members)
    predict_seconds = sum(m.scored.predict_seconds for m in members)
    seen = sum(t.examples for t in trained)
    predicted = sum(m.predicted for m in members)
    tokens, positions = sum(m.tokens for m in members), sum(m.positions for m in members)
    busy = train_seconds + predict_seconds
    return Cost(
        artifact_bytes=artifact_bytes,
        seconds=Seconds(
            total=round(seconds, 3),
            train=round(train_seconds, 3),
            compile=round(sum(m.compile_seconds for m in members), 3),
            predict=round(predict_seconds, 3),
        ),
        train_examples_per_second=round(seen / step_seconds, 2) if step_seconds else None,
        predict_examples_per_second=round(predicted / predict_seconds, 2) if predict_seconds else None,
        tokens_per_second=round(tokens / busy, 1) if busy else None,
        padded_share=round(1.0 - tokens / positions, 4) if positions else None,
        peak_memory_mb=round(peak_memory_mb, 1),
    )


def _history(rounds: Sequence[Sequence[MemberResult]]) -> tuple[Epoch, ...]:
    """Return the epochs of every model, in the order in which they were trained."""
    return tuple(
        Epoch(
            epoch=int(entry["epoch"]),
            template=number,
            round=turn,
            loss=entry["loss"],
            dev_accuracy=entry["dev_accuracy"],
            dev_loss=entry["dev_loss"],
            lr=entry["lr"],
        )
        for turn, each in enumerate(rounds)
        for number, member in enumerate(each)
        for entry in (member.scored.training.history if member.scored.training else [])
    )
