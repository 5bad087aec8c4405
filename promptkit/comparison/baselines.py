"""The baselines that need no language model: the majority class, and TF-IDF with logistic regression."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from promptkit.comparison.experiment import SHARED, Experiment, Fold
from promptkit.data import Example, Task
from promptkit.errors import UserError
from promptkit.running.aims import Classes, check_metrics, class_scores
from promptkit.running.config import RunConfig
from promptkit.running.loader import Loader
from promptkit.running.metrics import metric_marks
from promptkit.running.record import task_info
from promptkit.runs.baseline import BaselineRecord
from promptkit.runs.files import folder_name
from promptkit.runs.record import Cost, LearntParameters, Seconds
from promptkit.runs.stored import PlannedCell, Shots
from promptkit.version import __version__

_SUMMARIES = {
    "majority": "always the label that is most frequent in train",
    "tfidf": "logistic regression on TF-IDF features, fixed settings (scikit-learn)",
}


@dataclass(frozen=True)
class Baseline:
    """A baseline on one draw.

    Attributes:
        place: where it stands in the table.
        config: which data and draw.
        task: that data.
        majority: the label that is most frequent in train before shots are drawn.
    """

    place: PlannedCell
    config: RunConfig
    task: Task
    majority: str

    @property
    def run_name(self) -> str:
        """What the store calls it."""
        stem = f"{self.place.strategy}-{self.task.name}-{self.config.drawn_stem}-s{self.config.seed}"
        return f"{folder_name(stem)}-{self.place.key[:8]}"

    def measure(self) -> tuple[BaselineRecord, list[int], list[int]]:
        """Fit it and judge it; return its record, and true and predicted classes of the test split."""
        task = self.task
        fitted = _always(task, self.majority) if self.place.strategy == "majority" else _tfidf(task)
        truth = [task.label_index(example.label) for example in task.test]
        scored = len(task.dev) + len(task.test)
        record = BaselineRecord(
            name=self.place.strategy,
            summary=_SUMMARIES[self.place.strategy],
            data=self.config.data,
            shots=self.config.shots,
            seed=self.config.seed,
            fold=self.config.fold,
            settings=fitted.settings,
            task=task_info(task),
            dev=class_scores(self.config, task, "dev", np.asarray(fitted.dev), self.majority, self._warn),
            test=class_scores(self.config, task, "test", np.asarray(fitted.test), self.majority, self._warn),
            parameters=LearntParameters(head=fitted.parameters),
            cost=Cost(
                artifact_bytes=0,
                seconds=Seconds(
                    total=fitted.train_seconds + fitted.predict_seconds,
                    train=fitted.train_seconds,
                    predict=fitted.predict_seconds,
                ),
                predict_examples_per_second=scored / fitted.predict_seconds if fitted.predict_seconds else None,
            ),
        )
        return record, truth, fitted.test

    def _warn(self, message: str) -> None:
        print(f"warning: baseline {self.place.strategy}: {message}", file=sys.stderr)


def plan_baselines(experiment: Experiment, inputs: Loader) -> Iterator[Baseline]:
    """Yield the baselines of every draw; those that the draw does not change once.

    Raises:
        UserError: for anything wrong with the data.
    """
    for fold in experiment.each_fold:
        yield _baseline(experiment, inputs, "majority", None, 0, fold)
    for shots in experiment.shots:
        for seed in experiment.seeds if shots != "full" else experiment.seeds[:1]:
            for fold in experiment.each_fold:
                yield _baseline(experiment, inputs, "tfidf", shots, seed, fold)


def _baseline(experiment: Experiment, inputs: Loader, name: str, shots: Shots, seed: int, fold: Fold) -> Baseline:
    # The baselines take no part of a prompt's settings, only the data's.
    shared = {key: value for key, value in experiment.settings.items() if key in SHARED}
    plain = experiment.model_copy(update={"settings": shared, "strategy": {}})
    config = plain.run_config("hard", None, shots, seed, fold)
    task = inputs.task(config)
    if not task.train:
        raise UserError(f"data '{task.name}' has nothing to train on.")
    check_metrics(Classes(), config, task)
    parts: list[Any] = [__version__, name, _library_version(), task.fingerprint, list(task.labels), task.language]
    if config.metrics:
        parts.append(metric_marks(config.metrics))
    key = hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]
    return Baseline(PlannedCell(name, "", "baseline", shots, seed, key), config, task, inputs.majority(config))


@dataclass(frozen=True)
class _Fitted:
    dev: list[int]
    test: list[int]
    parameters: int
    settings: dict[str, Any]
    train_seconds: float
    predict_seconds: float


def _always(task: Task, label: str) -> _Fitted:
    answer = task.label_index(label)
    return _Fitted([answer] * len(task.dev), [answer] * len(task.test), 0, {}, 0.0, 0.0)


def _tfidf(task: Task) -> _Fitted:
    from promptkit.evaluation.lexical import tfidf_baseline

    labels = [task.label_index(example.label) for example in task.train]
    result = tfidf_baseline(_texts(task.train), labels, _texts(task.dev), _texts(task.test), language=task.language)
    return _Fitted(
        dev=[int(i) for i in result.dev_predicted],
        test=[int(i) for i in result.test_predicted],
        parameters=result.parameters,
        settings=dict(result.settings),
        train_seconds=result.train_seconds,
        predict_seconds=result.predict_seconds,
    )


def _texts(examples: Sequence[Example]) -> list[str]:
    return [example.joined for example in examples]


def _library_version() -> str:
    from importlib.metadata import version

    return version("scikit-learn")
