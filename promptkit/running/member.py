"""One model of a run: build it, check it, train it, score dev and test.

A run with several templates has several members, trained one after the other on the same data; their class
scores are averaged (Schick & Schütze 2021, section 3.3). In a run of several rounds those of all rounds but the last
score texts without labels, and of dev and test nothing but what picks their epoch: dev.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from promptkit.data import Rows, Task, plan_rows, plan_scoring_rows
from promptkit.errors import UserError
from promptkit.nn import Backbone, BackboneInfo, PromptedModel, count_parameters
from promptkit.prompting import Encoded
from promptkit.prompting.resolved import EncodedTask, PromptTask
from promptkit.running.guard import Guard, build_model, fold_model
from promptkit.strategies.contract import Strategy
from promptkit.training import (
    Checkpoint,
    Classification,
    Executor,
    Executors,
    FeatureSource,
    PackedSource,
    SoftClassification,
    TrainingResult,
    TrainingSettings,
    train,
)
from promptkit.training.execution import Mode


@dataclass
class MemberResult:
    """What one model gave.

    Attributes:
        dev_scores, test_scores: (N, C) class scores; None in a round that is not the last.
        unlabelled_scores: (U, C) class scores of the texts without labels; None in the last round.
        accuracy_before: of the training examples, before anything was learnt; None where nobody asked.
        tensors: the artifact's tensors by attribute path; none in a round that is not the last.
        parameters: learnt parameters by part.
        training: None if nothing was trained.
        predict_seconds: for dev and test, compilation included.
        predicted: how many examples that was.
        teach_seconds: for what only training needs beside its steps: texts without labels, the accuracy before, and
            dev in a round that is not the last.
        compile_seconds: first calls of every shape.
        tokens: of the texts that went through the language model, each as often as it did.
        positions: those tokens and the padding beside them.
        mode: how the model was run in the end.
    """

    dev_scores: Any
    test_scores: Any
    unlabelled_scores: Any
    accuracy_before: float | None
    tensors: dict[str, Any]
    parameters: dict[str, int]
    training: TrainingResult | None
    predict_seconds: float
    predicted: int
    teach_seconds: float
    compile_seconds: float
    tokens: int
    positions: int
    mode: Mode


@dataclass(frozen=True)
class Manner:
    """How a run goes about its members.

    Attributes:
        settings: of the training.
        batch_size: examples a step.
        mode: `graph` or `pynative`.
        depends_on: what the numbers depend on, see `Strategy.depends_on`.
        plugin: how errors name the strategy and where it comes from.
        warn: takes a warning.
        quiet: no progress bars.
        executors: those that other members, or other runs, have compiled.
        last: whether this is the last round, whose models answer and are kept.
        weigh: whether the accuracy before training is asked for.
    """

    settings: TrainingSettings
    batch_size: int
    mode: Mode
    depends_on: frozenset[str]
    plugin: str
    warn: Callable[[str], None]
    quiet: bool
    executors: Executors
    last: bool = True
    weigh: bool = False


def run_member(
    strategy: Strategy,
    backbone: Backbone,
    prompt: PromptTask,
    task: Task,
    encoded: EncodedTask,
    manner: Manner,
    *,
    shuffle: np.random.Generator,
    label: str,
    targets: Any = None,
    checkpoint: Checkpoint | None = None,
) -> MemberResult:
    """Train and score one model; see `MemberResult`.

    Args:
        strategy: builds it.
        backbone: the frozen model.
        prompt: its template.
        task: the data.
        encoded: the data under the template, and what the model learns from as `train`. The last round has `test`,
            every other `unlabelled`.
        manner: see `Manner`.
        shuffle: shuffles the batches.
        label: what progress bars call it.
        targets: of what it learns from, class indices (N,) or soft labels (N, C); those of the task's own by default.
        checkpoint: keeps the state of the training.

    Raises:
        UserError: if the strategy breaks its contract: a model that is none, scores of the wrong shape or that are no
            numbers, a frozen backbone that is not as it was, a dependence that is not declared, soft labels for a
            model that takes none.
    """
    guard = Guard(backbone, prompt, manner.depends_on, manner.plugin)
    model = build_model(strategy, backbone, prompt, manner.plugin)
    learns = bool(model.trainable_params()) and (model.fits or manner.settings.epochs > 0)
    targets = np.array([task.label_index(e.label) for e in task.train]) if targets is None else np.asarray(targets)
    if model.fits and targets.ndim == 2:
        raise UserError(f"{manner.plugin}: a model that fits its values at once takes no soft labels.")
    learns_from = "" if not learns else "examples" if model.fits else "training"
    guard.check_dependence(learns_from)
    kind = SoftClassification if targets.ndim == 2 else Classification
    objective = kind(len(task.labels), manner.plugin)
    executor = manner.executors.kept_for(
        Executor(model, manner.mode, manner.warn, objective, label=label, quiet=manner.quiet)
    )
    model = executor.model
    work = _Work(
        executor, objective, prompt, task, encoded, targets, manner, shuffle, label, checkpoint, backbone.info
    )
    parameters = count_parameters(model)
    result = work.with_features(fits=model.fits) if learns and model.fixed_features else work.whole(learns)
    kept = fold_model(strategy, model, manner.plugin)
    guard.check_dependence(learns_from)
    if not result.scored:
        work.score(kept, result)
    for scores in (result.dev, result.test) if manner.last else (result.unlabelled,):
        objective.check(scores)
    guard.check_backbone()
    own = kept.own_parameters() if manner.last else {}
    return MemberResult(
        dev_scores=result.dev,
        test_scores=result.test,
        unlabelled_scores=result.unlabelled,
        accuracy_before=result.accuracy_before,
        tensors={path: p.asnumpy().copy() for path, p in own.items()},
        parameters=parameters if learns else dict.fromkeys(parameters, 0),
        training=result.training,
        predict_seconds=result.seconds,
        predicted=len(task.dev) + len(task.test) if manner.last else 0,
        teach_seconds=result.taught,
        compile_seconds=work.executor.compile_seconds,
        tokens=work.tokens,
        positions=work.positions,
        mode=work.executor.mode,
    )


@dataclass
class _Outcome:
    """Scores and what they cost, see `MemberResult`; `scored` is False until they are there."""

    training: TrainingResult | None = None
    dev: Any = None
    test: Any = None
    unlabelled: Any = None
    accuracy_before: float | None = None
    seconds: float = 0.0
    taught: float = 0.0
    scored: bool = False


class _Work:
    """The steps of a member, over the batches of one shape for training and one for everything else."""

    def __init__(
        self,
        executor: Executor,
        objective: Classification,
        prompt: PromptTask,
        task: Task,
        encoded: EncodedTask,
        targets: Any,
        manner: Manner,
        shuffle: np.random.Generator,
        label: str,
        checkpoint: Checkpoint | None,
        info: BackboneInfo,
    ) -> None:
        self.executor, self._objective, self._prompt = executor, objective, prompt
        self._encoded, self._targets, self._manner, self._shuffle = encoded, targets, manner, shuffle
        self._dev_labels = [task.label_index(example.label) for example in task.dev]
        self._label, self._checkpoint = label, checkpoint
        self._info = info
        self._rows = self._scoring_rows()
        self._sources: list[PackedSource] = []

    @property
    def tokens(self) -> int:
        """Tokens that went through the language model."""
        return sum(source.tokens for source in self._sources)

    @property
    def positions(self) -> int:
        """Row positions that went through the language model, padding included."""
        return sum(source.positions for source in self._sources)

    def whole(self, learns: bool) -> _Outcome:
        """Train the whole model, if it learns."""
        outcome = _Outcome()
        dev = self._source(self._encoded.dev, self._rows, self._dev_labels)
        if self._manner.weigh:
            started = time.perf_counter()
            scores = self.executor.scores(self._source(self._encoded.train, self._rows))
            outcome.accuracy_before = self._accuracy(scores)
            outcome.taught += time.perf_counter() - started
        if learns:
            # Before any training: what is wrong with the scores must not be found only after it.
            self._objective.check(self.executor.scores(self._first()))
            typical = self._encoded.typical
            rows = plan_rows(_lengths(self._encoded.train), self._manner.batch_size, self._info, typical=typical)
            source = self._source(self._encoded.train, rows, self._targets)
            outcome.training = self._train(source, dev, "texts")
        return outcome

    def with_features(self, *, fits: bool) -> _Outcome:
        """Train on features computed once, or fit to them, and score from them."""
        encoded, executor, outcome = self._encoded, self.executor, _Outcome(scored=True)
        batch_size = self._manner.batch_size
        self._objective.check(executor.scores_of_features(self._frozen(executor.features(self._first()))))
        started = time.perf_counter()
        train_features = executor.features(self._source(encoded.train, self._rows))
        spent = time.perf_counter() - started
        if self._manner.weigh:
            started = time.perf_counter()
            outcome.accuracy_before = self._accuracy(executor.scores_of_features(self._frozen(train_features)))
            outcome.taught = time.perf_counter() - started
        started = time.perf_counter()
        dev = self._frozen(executor.features(self._source(encoded.dev, self._rows)))
        later = encoded.test if self._manner.last else encoded.unlabelled
        others = self._frozen(executor.features(self._source(later, self._rows)))
        seconds = time.perf_counter() - started
        source = FeatureSource(train_features, self._targets, min(batch_size, len(train_features)))
        if fits:
            outcome.training = self._fit(train_features, dev.features)
        else:
            outcome.training = self._train(source, dev, "features")
        outcome.training.seconds += spent
        started = time.perf_counter()
        if self._manner.last:
            outcome.dev, outcome.test = executor.scores_of_features(dev), executor.scores_of_features(others)
            outcome.seconds = seconds + time.perf_counter() - started
        else:
            outcome.unlabelled = executor.scores_of_features(others)
            outcome.taught += seconds + time.perf_counter() - started
        return outcome

    def score(self, kept: PromptedModel, outcome: _Outcome) -> None:
        """Score dev and test, or the texts without labels, with the model that is kept."""
        if kept is not self.executor.model:
            spent, manner = self.executor.compile_seconds, self._manner
            fresh = Executor(
                kept, self.executor.mode, manner.warn, self._objective, label=self._label, quiet=manner.quiet
            )
            fresh.compile_seconds = spent
            self.executor = manner.executors.kept_for(fresh)
        started = time.perf_counter()
        if not self._manner.last:
            outcome.unlabelled = self.executor.scores(self._source(self._encoded.unlabelled, self._rows))
            outcome.taught += time.perf_counter() - started
            return
        outcome.dev = self.executor.scores(self._source(self._encoded.dev, self._rows))
        self._objective.check(outcome.dev)
        outcome.test = self.executor.scores(self._source(self._encoded.test, self._rows))
        outcome.seconds = time.perf_counter() - started

    def _scoring_rows(self) -> Rows:
        """Return the rows that everything is scored in; for draws of one size, seldom others."""
        encoded = self._encoded
        dev, test = _lengths(encoded.dev), _lengths(encoded.test or encoded.unlabelled)
        longest = max(_lengths(encoded.all))
        sets = [list(encoded.typical[: len(dev)]) or dev, test]
        if encoded.typical:
            longest = max(longest, *encoded.typical)
        return plan_scoring_rows(sets, self._manner.batch_size, self._info, longest=longest)

    def _fit(self, train_features: Any, dev_features: Any) -> TrainingResult:
        """Let the model set its own values; what it tried on dev is listed as epochs are."""
        started, labels, dev_labels = time.perf_counter(), self._targets, np.array(self._dev_labels)
        tried = self.executor.model.fit(train_features, labels, dev_features, dev_labels)
        history = [
            {"epoch": n, "loss": None, "dev_accuracy": each.dev_accuracy, "dev_loss": each.dev_loss, "lr": None}
            for n, each in enumerate(tried, 1)
        ]
        return TrainingResult(history, 0, time.perf_counter() - started, len(labels))

    def _first(self) -> PackedSource:
        """Return the first batch of dev: enough to see what scores are like."""
        return self._source(self._encoded.dev[: self._manner.batch_size], self._rows)

    def _train(self, source: Any, dev: Any, kind: Any) -> TrainingResult:
        return train(
            self.executor, source, dev, self._dev_labels, self._manner.settings,
            self._shuffle, kind=kind, label=self._label, quiet=self._manner.quiet, checkpoint=self._checkpoint,
        )  # fmt: skip

    def _source(self, encoded: Sequence[Encoded], rows: Rows, targets: Any = None) -> PackedSource:
        batch_size = min(self._manner.batch_size, len(encoded))
        packer = self._prompt.packer(encoded, targets, batch_size=batch_size, rows=rows)
        self._sources.append(PackedSource(packer))
        return self._sources[-1]

    def _frozen(self, features: Any) -> FeatureSource:
        """Return features to score."""
        return FeatureSource(features, np.zeros(len(features)), self._manner.batch_size)

    def _accuracy(self, scores: Any) -> float:
        return self._objective.judge(scores, self._targets)[0]


def _lengths(encoded: Sequence[Encoded]) -> list[int]:
    return [len(each.token_ids) for each in encoded]
