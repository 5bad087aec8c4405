"""The models of a run, trained round after round; most strategies have one round, of a model for each template."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from promptkit.data import Example
from promptkit.errors import UserError
from promptkit.evaluation.probabilities import log_softmax
from promptkit.nn import Backbone
from promptkit.prompting.resolved import EncodedTask
from promptkit.running.events import RunEvents
from promptkit.running.guard import check_draws
from promptkit.running.member import MemberResult, run_member
from promptkit.running.plan import Plan
from promptkit.running.session import Session
from promptkit.running.streams import ASKED, SHUFFLE, START, generator
from promptkit.running.work import Learner, Manner
from promptkit.runs.checkpoint import Checkpoints
from promptkit.runs.record import RunOptions
from promptkit.strategies.contract import Defaults
from promptkit.strategies.rounds import Lesson, Round
from promptkit.training import TrainingSettings

_SUMS_TO_ONE = 1e-4


@dataclass(frozen=True)
class Trained:
    """All models of a run.

    Attributes:
        rounds: for each round its models.
        weights: of the last round's models where their scores are averaged; None weighs them equally.
    """

    rounds: list[list[MemberResult]]
    weights: list[float] | None

    @property
    def members(self) -> list[MemberResult]:
        """The models that answer and are kept."""
        return self.rounds[-1]


def run_rounds(
    plan: Plan,
    session: Session,
    encoded: list[EncodedTask],
    backbone: Backbone,
    checkpoints: Checkpoints | None,
    events: RunEvents,
) -> Trained:
    """Train and score the models of every round.

    Raises:
        UserError: if a model or a lesson breaks the contract, see `run_member` and `Strategy.teach`.
    """
    rounds: list[list[MemberResult]] = []
    lessons: Sequence[Lesson] = ()
    weights: list[float] | None = None
    for number in range(plan.strategy.rounds):
        last = number == plan.strategy.rounds - 1
        weigh = number == 0 and plan.strategy.weights == "accuracy"
        learners = _learners(plan, encoded, lessons, number)
        manner = _manner(plan, session, last=last, weigh=weigh)
        members = []
        for place, learner in enumerate(learners):
            watched = replace(
                learner,
                checkpoint=None if checkpoints is None else checkpoints.member(sum(map(len, rounds)) + place),
                on_epoch=partial(events.epoch_ended, number, place),
            )
            members.append(run_member(watched, backbone, plan.task, manner))
        rounds.append(members)
        if weigh:
            weights = _by_accuracy(members)
        if not last:
            lessons = _taught(plan, members, weights, number + 1)
    return Trained(rounds, None if plan.student else weights)


def _learners(plan: Plan, encoded: list[EncodedTask], lessons: Sequence[Lesson], number: int) -> list[Learner]:
    """Return what the models of a round are made of; in the first they learn from the draw.

    Nothing of test is in the hands of models that do not answer.
    """
    last = number == plan.strategy.rounds - 1
    if last and plan.student:
        learners = [_student(plan, encoded[-1], len(lessons[0].examples))]
    else:
        learners = [
            _member(plan, encoded[place], place, number, lessons[place] if number else None)
            for place in range(len(plan.prompts))
        ]
    if number:
        learners = [_with_lesson(each, lesson) for each, lesson in zip(learners, lessons, strict=True)]
    if plan.strategy.rounds > 1:
        unneeded: dict[str, Any] = {"unlabelled": ()} if last else {"test": []}
        learners = [replace(each, encoded=replace(each.encoded, **unneeded)) for each in learners]
    return learners


def _member(plan: Plan, encoded: EncodedTask, place: int, number: int, lesson: Lesson | None) -> Learner:
    """Return what the model of a template is made of."""
    chosen, prompt = plan.settings, plan.prompts[place]
    if number:
        prompt = replace(prompt, rng=generator(chosen.seed, START, place))
    return Learner(
        plan.strategy,
        prompt,
        encoded,
        training_settings(chosen, _epochs(plan, lesson), chosen.accumulate),
        shuffle=generator(chosen.seed, SHUFFLE, place, number),
        label=_label(plan, number, place, len(plan.prompts)),
    )


def _student(plan: Plan, encoded: EncodedTask, examples: int) -> Learner:
    """Return what the one model is made of that learns from all of them, of so many examples."""
    assert plan.student is not None
    chosen, own, number = plan.settings, plan.student.training, plan.strategy.rounds - 1
    return Learner(
        plan.student.strategy,
        plan.student.prompt,
        encoded,
        training_settings(own, own.epochs_for(examples, chosen.batch_size * chosen.accumulate), chosen.accumulate),
        shuffle=generator(chosen.seed, SHUFFLE, 0, number),
        label=_label(plan, number, 0, 1),
    )


def training_settings(chosen: RunOptions | Defaults, epochs: int, accumulate: int) -> TrainingSettings:
    """Return how a model is trained for so many epochs, by the rate, the decay and the patience that were chosen."""
    return TrainingSettings(
        epochs=epochs,
        lr=chosen.lr,
        weight_decay=chosen.weight_decay,
        patience=chosen.patience,
        accumulate=accumulate,
    )


def _epochs(plan: Plan, lesson: Lesson | None) -> int:
    """Return how often a model goes through what it learns from: a lesson has more examples than a draw of few."""
    chosen = plan.settings
    if lesson is None:
        return chosen.epochs
    if chosen.round_epochs is not None:
        return chosen.round_epochs
    defaults = plan.strategy.defaults.for_kind(plan.model.info.kind)
    return defaults.epochs_for(len(lesson.examples), chosen.batch_size * chosen.accumulate)


def _with_lesson(learner: Learner, lesson: Lesson) -> Learner:
    train = learner.prompt.encode_examples(lesson.examples, learner.prompt.training_sets)
    return replace(learner, encoded=replace(learner.encoded, train=train), targets=lesson.targets)


def _manner(plan: Plan, session: Session, *, last: bool, weigh: bool) -> Manner:
    return Manner(
        aim=plan.aim,
        batch_size=plan.settings.batch_size,
        mode=plan.config.mode,
        depends_on=plan.depends_on,
        plugin=plan.plugin,
        warn=plan.warn,
        quiet=plan.config.quiet,
        executors=session.executors,
        last=last,
        weigh=weigh,
        writes=plan.aim.writes(plan.config),
        ranks=session.ranks,
    )


def _label(plan: Plan, number: int, place: int, learners: int) -> str:
    turn = f" round {number + 1}/{plan.strategy.rounds}" if plan.strategy.rounds > 1 else ""
    several = f" {place + 1}/{learners}" if learners > 1 else ""
    return plan.strategy.name + turn + several


def _by_accuracy(members: list[MemberResult]) -> list[float]:
    """Return the members' weights: their accuracies before training, or equal ones where all of these are 0."""
    found = [member.scored.accuracy_before or 0.0 for member in members]
    return found if any(found) else [1.0] * len(found)


def _taught(plan: Plan, members: list[MemberResult], weights: list[float] | None, number: int) -> list[Lesson]:
    """Ask the strategy what the models of the coming round learn from, and check the answer."""
    task = plan.task
    ended = Round(
        number=number,
        train=task.train,
        labels=np.array([task.label_index(example.label) for example in task.train]),
        texts=plan.unlabelled,
        scores=np.stack([log_softmax(member.scored.unlabelled) for member in members]),
        weights=np.ones(len(members)) if weights is None else np.asarray(weights),
        rng=generator(plan.config.seed, ASKED, number),
        warn=plan.warn,
    )
    before = ended.rng.bit_generator.state
    lessons = plan.strategy.teach(ended)
    check_draws(plan, ended.rng, before, "teach")
    last = number == plan.strategy.rounds - 1
    wanted = 1 if last and plan.student else len(plan.prompts)
    fits = isinstance(lessons, list | tuple) and len(lessons) == wanted
    if not fits or not all(isinstance(lesson, Lesson) for lesson in lessons):
        raise UserError(f"{plan.plugin}: teach must return {wanted} promptkit.Lesson for round {number}.")
    for lesson in lessons:
        if fault := _fault(lesson, len(task.labels)):
            raise UserError(f"{plan.plugin}: a lesson of round {number} {fault}.")
    return list(lessons)


def _fault(lesson: Lesson, classes: int) -> str | None:
    """Return what is wrong with a lesson, or None."""
    targets, count = np.asarray(lesson.targets), len(lesson.examples)
    if not count or not all(isinstance(example, Example) for example in lesson.examples):
        return "has no examples, or others than promptkit.Example"
    if targets.shape == (count,) and np.issubdtype(targets.dtype, np.integer):
        return None if ((targets >= 0) & (targets < classes)).all() else "has targets that are no class indices"
    if targets.shape == (count, classes) and np.issubdtype(targets.dtype, np.floating):
        fine = (targets >= 0).all() and np.abs(targets.sum(-1) - 1.0).max() < _SUMS_TO_ONE
        return None if fine else "has soft labels that are no probabilities"
    return f"has targets of shape {targets.shape} and type {targets.dtype} for {count} examples of {classes} classes"
