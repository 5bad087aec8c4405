"""One model of a run: build it, check it, train it, score dev and test.

A run with several templates has several members, trained one after the other on the same data; their class
scores are averaged (Schick & Schütze 2021, section 3.3). In a run of several rounds those of all rounds but the last
score texts without labels, and of dev and test nothing but what picks their epoch: dev.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from promptkit.backbones.device import Mode
from promptkit.data import Task
from promptkit.errors import UserError
from promptkit.nn import Backbone, PromptedModel, count_parameters
from promptkit.prompting.resolved import PromptTask
from promptkit.running.guard import Guard, build_model, check_features, check_learning, fold_model
from promptkit.running.work import Learner, Manner, Scored, Work
from promptkit.training import Executor


@dataclass
class MemberResult:
    """What one model gave.

    Attributes:
        scored: what it learnt, its scores and what they cost.
        tensors: the artifact's tensors by attribute path; none in a round that is not the last.
        parameters: learnt parameters by part.
        predicted: how many examples of dev and test were scored.
        compile_seconds: first calls of every shape.
        tokens: of the texts that went through the language model, each as often as it did.
        positions: those tokens and the padding beside them.
        mode: how the model was run in the end.
        written: answers to the test texts; None where nobody asked.
        found: what was found, in words; see `PromptedModel.found`.
    """

    scored: Scored
    tensors: dict[str, Any]
    parameters: dict[str, int]
    predicted: int
    compile_seconds: float
    tokens: int
    positions: int
    mode: Mode
    found: str = ""
    written: tuple[str, ...] | None = None


def run_member(learner: Learner, backbone: Backbone, task: Task, manner: Manner) -> MemberResult:
    """Train and score one model; see `MemberResult`.

    Args:
        learner: what it is made of.
        backbone: the frozen model.
        task: the data.
        manner: how the run goes about it.

    Raises:
        UserError: if the strategy breaks its contract: a model that is none, scores of the wrong shape or that are no
            numbers, a frozen backbone that is not as it was, a dependence that is not declared, soft labels for a
            model that takes none.
    """
    strategy, prompt = learner.strategy, learner.prompt
    guard = Guard(backbone, prompt, manner.depends_on, manner.plugin)
    model = build_model(strategy, backbone, prompt, manner.plugin)
    if learner.settings.epochs > 0:
        usual = strategy.defaults
        check_learning(model, usual.for_kind(backbone.info.kind) if prompt.answers is None else usual, manner.plugin)
    finds = model.fits or model.searches
    learns = bool(model.trainable_params()) and (finds or learner.settings.epochs > 0)
    if learns:
        _check_sets(model, prompt, manner.plugin)
        check_features(model, manner.plugin)
    learns_from = "" if not learns else "examples" if finds else "training"
    guard.check_dependence(learns_from)
    targets = manner.aim.targets(task, task.train) if learner.targets is None else np.asarray(learner.targets)
    objective = manner.aim.objective(task, targets, manner.plugin)
    executor = manner.executors.kept_for(
        Executor(model, manner.mode, manner.warn, objective, label=learner.label, quiet=manner.quiet)
    )
    model = executor.model
    if finds and targets.ndim == 2:
        raise UserError(f"{manner.plugin}: a model that finds its values without steps takes no soft labels.")
    work = Work(executor, objective, learner, targets, task, manner, backbone.info)
    parameters = count_parameters(model)
    # A text that is learnt from with other demonstrations each time has no fixed features.
    once = len(learner.encoded.train) == len(targets) and prompt.sets == 1
    fixed = prompt.answers is None and model.fixed_features and once
    if learns and model.searches:
        result = work.by_search()
    else:
        result = work.with_features(fits=model.fits) if learns and fixed else work.whole(learns)
    kept = fold_model(strategy, model, manner.plugin)
    guard.check_dependence(learns_from)
    if not result.done:
        work.score(kept, result)
    for scores in (result.dev, result.test) if manner.last else (result.unlabelled,):
        objective.check(scores)
    written = None
    if manner.writes and manner.last:
        started = time.perf_counter()
        try:
            written = _written(kept, prompt, task, manner, work.executor.mode)
        except UserError as error:
            # It costs what the answers would have been judged by, and not the run.
            manner.warn(f"no answers were written: {error}")
        result.predict_seconds += time.perf_counter() - started
    guard.check_backbone()
    own = kept.own_parameters() if manner.last else {}
    return MemberResult(
        scored=result,
        tensors={path: p.asnumpy().copy() for path, p in own.items()},
        parameters=parameters if learns else dict.fromkeys(parameters, 0),
        predicted=len(task.dev) + len(task.test) if manner.last else 0,
        compile_seconds=work.executor.compile_seconds,
        tokens=work.tokens,
        positions=work.positions,
        mode=work.executor.mode,
        found=kept.found() if learns else "",
        written=written,
    )


def _written(model: PromptedModel, prompt: PromptTask, task: Task, manner: Manner, mode: Mode) -> tuple[str, ...]:
    """Return the model's answers to the test texts, the most likely tokens always."""
    from promptkit.generation.writing import write

    assert prompt.answers is not None
    prompts = prompt.encode_whole([example.fields() for example in task.test])
    found = write(model, prompts, tokens=prompt.answers.max_tokens, batch_size=manner.batch_size, mode=mode)
    return tuple(model.backbone.decode(ids).strip() for ids in found)


def _check_sets(model: PromptedModel, prompt: PromptTask, plugin: str) -> None:
    """Refuse sets of demonstrations that a model cannot learn from."""
    if prompt.context is None:
        return
    showing = prompt.context.showing
    if not showing.training_sets:
        raise UserError(f"{plugin} learns, but its showing has training_sets=0.")
    if model.fits and showing.sets * showing.training_sets > 1:
        raise UserError(f"{plugin}: a model that finds its values at once takes one set of demonstrations.")
    if model.searches and showing.training_sets > 1:
        raise UserError(f"{plugin}: a model that searches takes one set of demonstrations to learn from.")
