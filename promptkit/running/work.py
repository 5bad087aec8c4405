"""The steps of one model of a run: its batches, its training, its scores."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from promptkit.backbones.device import Mode
from promptkit.data import Rows, Task, plan_rows, plan_scoring_rows, rows_for_any
from promptkit.nn import BackboneInfo, PromptedModel
from promptkit.prompting import Encoded
from promptkit.prompting.resolved import EncodedTask, PromptTask
from promptkit.ranks import Ranks
from promptkit.running.aims import Aim
from promptkit.strategies.contract import Strategy
from promptkit.training import (
    BatchSource,
    Checkpoint,
    Executor,
    Executors,
    FeatureSource,
    Objective,
    OnEpoch,
    PackedSource,
    TrainingResult,
    TrainingSettings,
    search,
    train,
)
from promptkit.training.selection import history_entry


@dataclass(frozen=True)
class Learner:
    """What one model of a round is made of, and how it learns.

    Attributes:
        strategy: builds it.
        prompt: its template.
        encoded: the data under the template, and what the model learns from as `train`. The last round has `test`,
            every other `unlabelled`.
        settings: of the training.
        shuffle: shuffles the batches.
        label: what progress bars call it.
        targets: of what it learns from, class indices (N,) or soft labels (N, C); None for those of the task's own.
        checkpoint: keeps the state of the training.
        on_epoch: is told of every pass over the training set.
    """

    strategy: Strategy
    prompt: PromptTask
    encoded: EncodedTask
    settings: TrainingSettings
    shuffle: np.random.Generator
    label: str
    targets: Any = None
    checkpoint: Checkpoint | None = None
    on_epoch: OnEpoch | None = None


@dataclass(frozen=True)
class Manner:
    """How a run goes about the models of a round.

    Attributes:
        aim: what the run is after.
        batch_size: examples a step.
        mode: how the model is run.
        depends_on: what the numbers depend on, see `Strategy.depends_on`.
        plugin: how errors name the strategy and where it comes from.
        warn: takes a warning.
        quiet: no progress bars.
        executors: those that other members, or other runs, have compiled.
        last: whether this is the last round, whose models answer and are kept.
        weigh: whether the accuracy before training is asked for.
        writes: whether answers to the test texts are written.
        ranks: the processes that train together.
    """

    aim: Aim
    batch_size: int
    mode: Mode
    depends_on: frozenset[str]
    plugin: str
    warn: Callable[[str], None]
    quiet: bool
    executors: Executors
    last: bool
    weigh: bool
    writes: bool
    ranks: Ranks


@dataclass
class Scored:
    """What a model learnt and how it scores, and what that cost.

    Attributes:
        training: None if nothing was trained.
        dev, test: (N, C) class scores; None in a round that is not the last.
        unlabelled: (U, C) class scores of the texts without labels; None in the last round.
        accuracy_before: of the training examples, before anything was learnt; None where nobody asked.
        predict_seconds: for dev and test, without what compiling their scores took.
        teach_seconds: for what only training needs beside its steps: texts without labels, the accuracy before, and
            dev in a round that is not the last.
        done: whether the scores are there.
    """

    training: TrainingResult | None = None
    dev: Any = None
    test: Any = None
    unlabelled: Any = None
    accuracy_before: float | None = None
    predict_seconds: float = 0.0
    teach_seconds: float = 0.0
    done: bool = False


class Work:
    """The steps of a member, over the batches of one shape for training and one for everything else."""

    def __init__(
        self,
        executor: Executor,
        objective: Objective,
        learner: Learner,
        targets: Any,
        task: Task,
        manner: Manner,
        info: BackboneInfo,
    ) -> None:
        self.executor, self._objective, self._learner, self._manner = executor, objective, learner, manner
        self._prompt, self._encoded, self._targets = learner.prompt, learner.encoded, targets
        self._dev_labels = manner.aim.targets(task, task.dev)
        self._info = info
        self._rows = self._scoring_rows()
        self._sources: list[PackedSource] = []  # of what is timed: not of dev while a model learns

    @property
    def tokens(self) -> int:
        """Tokens that went through the language model while its seconds were counted."""
        return sum(source.tokens for source in self._sources)

    @property
    def positions(self) -> int:
        """Positions of their rows, padding included."""
        return sum(source.positions for source in self._sources)

    def whole(self, learns: bool) -> Scored:
        """Train the whole model, if it learns."""
        result = Scored()
        dev = self._asked(self._encoded.dev, self._dev_labels, timed=False)
        if learns:
            # Before any training: what is wrong with the scores must not be found only after it.
            self._objective.check(self.executor.scores(self._first()))
        if self._manner.weigh:
            started = time.perf_counter()
            views = len(self._encoded.train) // len(self._targets)
            scores = self.executor.scores(self._source(self._encoded.train, self._rows, views=views))
            result.accuracy_before = self._accuracy(scores)
            result.teach_seconds += time.perf_counter() - started
        if learns:
            result.training = self._train(self._training_source(), dev)
        return result

    def by_search(self) -> Scored:
        """Let the model look for its values."""
        self._objective.check(self.executor.scores(self._first()))
        # Each batch is drawn afresh, so what did not fit into it would never be seen: the shortest texts.
        rows = rows_for_any(_lengths(self._encoded.train), self._manner.batch_size, self._rows)
        source = self._source(self._encoded.train, rows, self._targets)
        dev = self._asked(self._encoded.dev, self._dev_labels)
        learner = self._learner
        training = search(
            self.executor, source, dev, self._dev_labels, learner.shuffle,
            label=learner.label, quiet=self._manner.quiet, checkpoint=learner.checkpoint,
        )  # fmt: skip
        return Scored(training)

    def _training_source(self) -> PackedSource:
        """Return the training examples; with several sets of demonstrations an epoch draws one of them."""
        encoded, count = self._encoded.train, len(self._targets)
        lengths, typical = _lengths(encoded), self._encoded.typical
        views, first = len(lengths) // count, lengths[:count]
        if views > 1:
            first[int(np.argmax(first))] = max(lengths)
            typical = typical or tuple(lengths)
        rows = plan_rows(first, self._manner.batch_size, self._info, typical=typical)
        rows = self._prompt.rows_for(rows, encoded, self._manner.batch_size)
        size = min(self._manner.batch_size, count)
        packers = [
            self._prompt.packer(encoded[view * count : (view + 1) * count], self._targets, batch_size=size, rows=rows)
            for view in range(views)
        ]
        self._sources.append(PackedSource(*packers))
        return self._sources[-1]

    def with_features(self, *, fits: bool) -> Scored:
        """Train on features computed once, or fit to them, and score from them."""
        encoded, executor, result = self._encoded, self.executor, Scored(done=True)
        batch_size = self._manner.batch_size
        self._objective.check(executor.scores(self._frozen(executor.features(self._first()))))
        started = time.perf_counter()
        train_features = executor.features(self._source(encoded.train, self._rows))
        spent = time.perf_counter() - started
        if self._manner.weigh:
            started = time.perf_counter()
            result.accuracy_before = self._accuracy(executor.scores(self._frozen(train_features)))
            result.teach_seconds = time.perf_counter() - started
        started = time.perf_counter()
        dev = self._frozen(executor.features(self._source(encoded.dev, self._rows)))
        later = encoded.test if self._manner.last else encoded.unlabelled
        others = self._frozen(executor.features(self._source(later, self._rows)))
        seconds = time.perf_counter() - started
        source = FeatureSource(train_features, self._targets, min(batch_size, len(train_features)))
        if fits:
            result.training = self._fit(train_features, dev.features)
        else:
            result.training = self._train(source, dev)
        result.training.seconds += spent
        started = time.perf_counter()
        if self._manner.last:
            result.dev, result.test = executor.scores(dev), executor.scores(others)
            result.predict_seconds = seconds + time.perf_counter() - started
        else:
            result.unlabelled = executor.scores(others)
            result.teach_seconds += seconds + time.perf_counter() - started
        return result

    def score(self, kept: PromptedModel, result: Scored) -> None:
        """Score dev and test, or the texts without labels, with the model that is kept."""
        folded = kept is not self.executor.model
        if folded:
            spent, manner = self.executor.compile_seconds, self._manner
            fresh = Executor(
                kept, self.executor.mode, manner.warn, self._objective, label=self._learner.label, quiet=manner.quiet
            )
            fresh.compile_seconds = spent
            self.executor = manner.executors.kept_for(fresh)
        if folded or not result.training:
            # Outside of what is timed, for the first call compiles.
            self.executor.scores(self._first())
        started = time.perf_counter()
        if not self._manner.last:
            result.unlabelled = self.executor.scores(self._asked(self._encoded.unlabelled))
            result.teach_seconds += time.perf_counter() - started
            return
        result.dev = self.executor.scores(self._asked(self._encoded.dev))
        self._objective.check(result.dev)
        result.test = self.executor.scores(self._asked(self._encoded.test))
        result.predict_seconds = time.perf_counter() - started

    def _scoring_rows(self) -> Rows:
        """Return the rows that everything is scored in; for draws of one size, seldom others."""
        encoded = self._encoded
        dev, test = _lengths(encoded.dev), _lengths(encoded.test or encoded.unlabelled)
        longest = max(_lengths(encoded.all))
        sets = [list(encoded.typical[: len(dev)]) or dev, test]
        if encoded.typical:
            longest = max(longest, *encoded.typical)
        rows = plan_scoring_rows(sets, self._manner.batch_size, self._info, longest=longest)
        return self._prompt.rows_for(rows, encoded.all, self._manner.batch_size)

    def _fit(self, train_features: Any, dev_features: Any) -> TrainingResult:
        """Let the model set its own values; what it tried on dev is listed as epochs are."""
        started, labels = time.perf_counter(), self._targets
        tried = self.executor.model.fit(train_features, labels, dev_features, self._dev_labels)
        history = [history_entry(n, each.dev_accuracy, each.dev_loss) for n, each in enumerate(tried, 1)]
        return TrainingResult(history, 0, time.perf_counter() - started, len(labels))

    def _first(self) -> PackedSource:
        """Return the first batch of dev: enough to see what scores are like."""
        return self._source(self._encoded.dev[: self._manner.batch_size], self._rows, timed=False)

    def _train(self, source: BatchSource, dev: BatchSource) -> TrainingResult:
        learner = self._learner
        return train(
            self.executor, source, dev, self._dev_labels, learner.settings,
            learner.shuffle, label=learner.label, quiet=self._manner.quiet, checkpoint=learner.checkpoint,
            on_epoch=learner.on_epoch, ranks=self._manner.ranks,
        )  # fmt: skip

    def _source(
        self, encoded: Sequence[Encoded], rows: Rows, targets: Any = None, *, views: int = 1, timed: bool = True
    ) -> PackedSource:
        batch_size = min(self._manner.batch_size, len(encoded))
        wanted = None if targets is None else np.concatenate([targets] * views)
        packer = self._prompt.packer(encoded, wanted, batch_size=batch_size, rows=rows)
        source = PackedSource(packer, views=views)
        self._sources += [source] if timed else []
        return source

    def _asked(self, encoded: Sequence[Encoded], targets: Any = None, *, timed: bool = True) -> PackedSource:
        """Return texts to score, each with every set of its demonstrations."""
        return self._source(encoded, self._rows, targets, views=self._prompt.sets, timed=timed)

    def _frozen(self, features: Any) -> FeatureSource:
        """Return features to score."""
        return FeatureSource(features, np.zeros(len(features)), self._manner.batch_size)

    def _accuracy(self, scores: Any) -> float | None:
        return self._objective.judge(scores, self._targets)[0]


def _lengths(encoded: Sequence[Encoded]) -> list[int]:
    return [len(each.token_ids) for each in encoded]
