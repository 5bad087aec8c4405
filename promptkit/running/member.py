"""One template of a run: build the model, check it, train it, score dev and test.

A run with several templates has several members, trained one after the other on the same data; their class
scores are averaged (Schick & Schütze 2021, section 3.3, uniform weights).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from promptkit.data import Example, Rows, Task, plan_rows, plan_scoring_rows
from promptkit.errors import UserError
from promptkit.nn import Backbone, BackboneInfo, PromptedModel, count_kept, count_parameters
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
    TrainingResult,
    TrainingSettings,
    search,
    train,
)
from promptkit.training.execution import Mode


@dataclass
class MemberResult:
    """What one template gave.

    Attributes:
        dev_scores, test_scores: (N, C) class scores.
        tensors: the artifact's tensors by attribute path.
        parameters: learnt parameters by part.
        training: None if nothing was trained.
        predict_seconds: for dev and test, compilation included.
        predicted: how many examples that was.
        compile_seconds: first calls of every shape.
        tokens: of the texts that went through the language model, each as often as it did.
        positions: those tokens and the padding beside them.
        mode: how the model was run in the end.
        found: what was found, in words; see `PromptedModel.found`.
    """

    dev_scores: Any
    test_scores: Any
    tensors: dict[str, Any]
    parameters: dict[str, int]
    training: TrainingResult | None
    predict_seconds: float
    predicted: int
    compile_seconds: float
    tokens: int
    positions: int
    mode: Mode
    found: str = ""


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
    """

    settings: TrainingSettings
    batch_size: int
    mode: Mode
    depends_on: frozenset[str]
    plugin: str
    warn: Callable[[str], None]
    quiet: bool
    executors: Executors


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
    checkpoint: Checkpoint | None = None,
) -> MemberResult:
    """Train and score one template; see `MemberResult`.

    Raises:
        UserError: if the strategy breaks its contract: a model that is none, scores of the wrong shape or that are no
            numbers, a frozen backbone that is not as it was, a dependence that is not declared.
    """
    guard = Guard(backbone, prompt, manner.depends_on, manner.plugin)
    model = build_model(strategy, backbone, prompt, manner.plugin)
    finds = model.fits or model.searches
    learns = bool(model.trainable_params()) and (finds or manner.settings.epochs > 0)
    if learns:
        _check_sets(model, prompt, manner.plugin)
    learns_from = "" if not learns else "examples" if finds else "training"
    guard.check_dependence(learns_from)
    objective = Classification(len(task.labels), manner.plugin)
    executor = manner.executors.kept_for(
        Executor(model, manner.mode, manner.warn, objective, label=label, quiet=manner.quiet)
    )
    model = executor.model
    work = _Work(executor, objective, prompt, task, encoded, manner, shuffle, label, checkpoint, backbone.info)
    parameters = count_kept(model) if model.searches else count_parameters(model)
    # A text that is learnt from with other demonstrations each time has no fixed features.
    fixed = model.fixed_features and len(encoded.train) == len(task.train) and prompt.sets == 1
    if learns and model.searches:
        result = work.by_search()
    else:
        result = work.with_features(fits=model.fits) if learns and fixed else work.whole(learns)
    kept = fold_model(strategy, model, manner.plugin)
    guard.check_dependence(learns_from)
    if not result.scored:
        work.score(kept, result)
    for scores in (result.dev, result.test):
        objective.check(scores)
    guard.check_backbone()
    return MemberResult(
        dev_scores=result.dev,
        test_scores=result.test,
        tensors={path: p.asnumpy().copy() for path, p in kept.own_parameters().items()},
        parameters=parameters if learns else dict.fromkeys(parameters, 0),
        training=result.training,
        predict_seconds=result.seconds,
        predicted=len(task.dev) + len(task.test),
        compile_seconds=work.executor.compile_seconds,
        tokens=work.tokens,
        positions=work.positions,
        mode=work.executor.mode,
        found=kept.found() if learns else "",
    )


@dataclass
class _Outcome:
    """Scores of the splits and what they cost; `scored` is False until both are there."""

    training: TrainingResult | None = None
    dev: Any = None
    test: Any = None
    seconds: float = 0.0
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
        manner: Manner,
        shuffle: np.random.Generator,
        label: str,
        checkpoint: Checkpoint | None,
        info: BackboneInfo,
    ) -> None:
        self.executor, self._objective, self._prompt, self._task = executor, objective, prompt, task
        self._encoded, self._manner, self._shuffle = encoded, manner, shuffle
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
        dev = self._source(self._task.dev, self._encoded.dev, self._rows)
        if learns:
            # Before any training: what is wrong with the scores must not be found only after it.
            self._objective.check(self.executor.scores(self._first()))
            outcome.training = self._train(self._training_source(), dev, "texts")
        return outcome

    def by_search(self) -> _Outcome:
        """Let the model look for its values."""
        self._objective.check(self.executor.scores(self._first()))
        # In the rows of the scoring: a search scores batches of either kind, in one graph.
        source = self._source(self._task.train, self._encoded.train, self._rows)
        dev = self._source(self._task.dev, self._encoded.dev, self._rows)
        training = search(
            self.executor, source, dev, self._indices(self._task.dev), self._shuffle,
            label=self._label, quiet=self._manner.quiet, checkpoint=self._checkpoint,
        )  # fmt: skip
        return _Outcome(training)

    def _training_source(self) -> PackedSource:
        """Return the training examples; with several sets of demonstrations an epoch draws one of them."""
        task, size = self._task, min(self._manner.batch_size, len(self._task.train))
        lengths, views = _lengths(self._encoded.train), len(self._encoded.train) // len(task.train)
        first, typical = lengths[: len(task.train)], self._encoded.typical
        if views > 1:
            first[int(np.argmax(first))] = max(lengths)
            typical = typical or tuple(lengths)
        rows = plan_rows(first, self._manner.batch_size, self._info, typical=typical)
        labels, count = self._indices(task.train), len(task.train)
        packers = [
            self._prompt.packer(
                self._encoded.train[view * count : (view + 1) * count], labels, batch_size=size, rows=rows
            )
            for view in range(views)
        ]
        self._sources.append(PackedSource(*packers))
        return self._sources[-1]

    def with_features(self, *, fits: bool) -> _Outcome:
        """Train on features computed once, or fit to them, and score from them."""
        task, encoded, executor = self._task, self._encoded, self.executor
        batch_size = self._manner.batch_size
        first = FeatureSource(executor.features(self._first()), self._indices(task.dev[:batch_size]), batch_size)
        self._objective.check(executor.scores_of_features(first))
        started = time.perf_counter()
        train_features = executor.features(self._source(task.train, encoded.train, self._rows))
        spent = time.perf_counter() - started
        started = time.perf_counter()
        dev_features = executor.features(self._source(task.dev, encoded.dev, self._rows))
        test_features = executor.features(self._source(task.test, encoded.test, self._rows))
        seconds = time.perf_counter() - started
        source = FeatureSource(train_features, self._indices(task.train), min(batch_size, len(task.train)))
        dev = FeatureSource(dev_features, self._indices(task.dev), batch_size)
        test = FeatureSource(test_features, self._indices(task.test), batch_size)
        training = self._fit(train_features, dev_features) if fits else self._train(source, dev, "features")
        training.seconds += spent
        started = time.perf_counter()
        dev_scores, test_scores = executor.scores_of_features(dev), executor.scores_of_features(test)
        return _Outcome(training, dev_scores, test_scores, seconds + time.perf_counter() - started, scored=True)

    def score(self, kept: PromptedModel, outcome: _Outcome) -> None:
        """Score dev and test with the model that is kept."""
        if kept is not self.executor.model:
            spent, manner = self.executor.compile_seconds, self._manner
            fresh = Executor(
                kept, self.executor.mode, manner.warn, self._objective, label=self._label, quiet=manner.quiet
            )
            fresh.compile_seconds = spent
            self.executor = manner.executors.kept_for(fresh)
        started = time.perf_counter()
        outcome.dev = self.executor.scores(self._source(self._task.dev, self._encoded.dev, self._rows))
        self._objective.check(outcome.dev)
        outcome.test = self.executor.scores(self._source(self._task.test, self._encoded.test, self._rows))
        outcome.seconds, outcome.scored = time.perf_counter() - started, True

    def _scoring_rows(self) -> Rows:
        """Return the rows that every split is scored in; for draws of one size, seldom others."""
        encoded = self._encoded
        dev, test = _lengths(encoded.dev), _lengths(encoded.test)
        longest = max(_lengths(encoded.all))
        sets = [list(encoded.typical[: len(dev)]) or dev, test]
        if encoded.typical:
            longest = max(longest, *encoded.typical)
        return plan_scoring_rows(sets, self._manner.batch_size, self._info, longest=longest)

    def _fit(self, train_features: Any, dev_features: Any) -> TrainingResult:
        """Let the model set its own values; what it tried on dev is listed as epochs are."""
        task, started = self._task, time.perf_counter()
        labels, dev_labels = np.array(self._indices(task.train)), np.array(self._indices(task.dev))
        tried = self.executor.model.fit(train_features, labels, dev_features, dev_labels)
        history = [
            {"epoch": n, "loss": None, "dev_accuracy": each.dev_accuracy, "dev_loss": each.dev_loss, "lr": None}
            for n, each in enumerate(tried, 1)
        ]
        return TrainingResult(history, 0, time.perf_counter() - started, len(labels))

    def _first(self) -> PackedSource:
        """Return the first batch of dev: enough to see what scores are like."""
        size = self._manner.batch_size
        return self._source(self._task.dev[:size], self._encoded.dev[:size], self._rows)

    def _train(self, source: Any, dev: Any, kind: Any) -> TrainingResult:
        return train(
            self.executor, source, dev, self._indices(self._task.dev), self._manner.settings,
            self._shuffle, kind=kind, label=self._label, quiet=self._manner.quiet, checkpoint=self._checkpoint,
        )  # fmt: skip

    def _source(self, examples: tuple[Example, ...], encoded: list[Encoded], rows: Rows) -> PackedSource:
        views = len(encoded) // len(examples)
        batch_size = min(self._manner.batch_size, len(encoded))
        packer = self._prompt.packer(encoded, self._indices(examples) * views, batch_size=batch_size, rows=rows)
        self._sources.append(PackedSource(packer, views=views))
        return self._sources[-1]

    def _indices(self, examples: tuple[Example, ...]) -> list[int]:
        return [self._task.label_index(example.label) for example in examples]


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


def _lengths(encoded: list[Encoded]) -> list[int]:
    return [len(each.token_ids) for each in encoded]
