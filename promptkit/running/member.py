"""One template of a run: encode the data under it, build the model, train it, score dev and test.

A run with several templates has several members, trained one after the other on the same data; their class
scores are averaged (Schick & Schütze 2021, section 3.3, uniform weights).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from promptkit.data import Example, Task, plan_widths
from promptkit.nn import Backbone, PromptedModel, count_parameters
from promptkit.prompting import Encoded
from promptkit.prompting.resolved import EncodedTask, PromptTask
from promptkit.strategies.contract import Strategy
from promptkit.training import (
    Checkpoint,
    EncodedSource,
    Executor,
    FeatureSource,
    TrainingResult,
    TrainingSettings,
    train,
)
from promptkit.training.execution import Mode

# Compiling one encoder layer takes about as long as this many multiplications and additions take to run
# (0.6 s a layer and 2.5e11 a second on two CPU cores): the exchange rate between padding and one more shape.
_COMPILE_FLOPS = 1.5e11
# A training step costs about as much as this many forward passes.
_TRAINING_PASSES = 2.2


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
        mode: how the model was run in the end.
    """

    dev_scores: Any
    test_scores: Any
    tensors: dict[str, Any]
    parameters: dict[str, int]
    training: TrainingResult | None
    predict_seconds: float
    predicted: int
    compile_seconds: float
    mode: Mode


def run_member(
    strategy: Strategy,
    backbone: Backbone,
    prompt: PromptTask,
    task: Task,
    encoded: EncodedTask,
    settings: TrainingSettings,
    *,
    batch_size: int,
    mode: Mode,
    shuffle: np.random.Generator,
    warn: Callable[[str], None],
    label: str,
    quiet: bool,
    checkpoint: Checkpoint | None = None,
) -> MemberResult:
    """Train and score one template; see `MemberResult`."""
    model = strategy.build(backbone, prompt)
    learns = bool(model.trainable_params()) and settings.epochs > 0
    widths = choose_widths(encoded, backbone, batch_size, settings.epochs if learns else 0)
    executor = Executor(model, mode, warn)
    data = _Sources(prompt, task, encoded, widths, batch_size)
    parameters = count_parameters(model)
    training = None
    if learns and model.fixed_features:
        training, dev, test, seconds = _with_features(
            executor, data, settings, batch_size, shuffle, label, quiet, checkpoint
        )
        kept = strategy.fold(model)
    else:
        if learns:
            source = data.source(task.train, encoded.train, min(batch_size, len(task.train)))
            training = train(
                executor, source, data.source(task.dev, encoded.dev), _indices(task, task.dev), settings,
                shuffle, label=label, quiet=quiet, checkpoint=checkpoint,
            )  # fmt: skip
        kept = strategy.fold(model)
        if kept is not model:
            spent = executor.compile_seconds
            executor = Executor(kept, executor.mode, warn)
            executor.compile_seconds = spent
        started = time.perf_counter()
        dev = executor.scores(data.source(task.dev, encoded.dev))
        test = executor.scores(data.source(task.test, encoded.test))
        seconds = time.perf_counter() - started
    return MemberResult(
        dev_scores=dev,
        test_scores=test,
        tensors={path: p.asnumpy() for path, p in kept.own_parameters().items()},
        parameters=parameters if learns else dict.fromkeys(parameters, 0),
        training=training,
        predict_seconds=seconds,
        predicted=len(task.dev) + len(task.test),
        compile_seconds=executor.compile_seconds,
        mode=executor.mode,
    )


def choose_widths(encoded: EncodedTask, backbone: Backbone, batch_size: int, epochs: int) -> tuple[int, ...]:
    """Return the padded widths of a run: few, because each is compiled, and tight, because padding costs."""
    config = backbone.config
    per_layer = 4 * config.hidden_size**2 + 2 * config.hidden_size * config.intermediate_size
    flops = 2.0 * config.layers * per_layer
    widths = plan_widths(
        [len(example.input_ids) for example in encoded.all],
        batch_size,
        passes=epochs * _TRAINING_PASSES if epochs else 1.0,
        token_cost=flops,
        compile_cost=config.layers * _COMPILE_FLOPS * (1.5 if epochs else 0.5),
    )
    return (*widths[:-1], min(widths[-1], config.max_length))


def load_tensors(model: PromptedModel, tensors: dict[str, Any]) -> str | None:
    """Copy an artifact's tensors into a model; return what does not fit, or None."""
    from mindspore import Tensor

    own = model.own_parameters()
    if set(own) != set(tensors):
        odd = sorted(set(own) ^ set(tensors))
        return f"it has other tensors than this model: {', '.join(odd[:3])}"
    for path, parameter in own.items():
        if tuple(parameter.shape) != tensors[path].shape:
            return f"{path} has shape {tensors[path].shape}, the model {tuple(parameter.shape)}"
    for path, parameter in own.items():
        parameter.set_data(Tensor(tensors[path]))
    return None


@dataclass(frozen=True)
class _Sources:
    """Batches of the splits, all of the same widths."""

    prompt: PromptTask
    task: Task
    encoded: EncodedTask
    widths: tuple[int, ...]
    batch_size: int

    def source(
        self, examples: tuple[Example, ...], encoded: list[Encoded], batch_size: int | None = None
    ) -> EncodedSource:
        batcher = self.prompt.batcher(
            encoded,
            _indices(self.task, examples),
            batch_size=batch_size or self.batch_size,
            widths=self.widths,
        )
        return EncodedSource(batcher, len(examples))


def _with_features(
    executor: Executor,
    data: _Sources,
    settings: TrainingSettings,
    batch_size: int,
    shuffle: np.random.Generator,
    label: str,
    quiet: bool,
    checkpoint: Checkpoint | None,
) -> tuple[TrainingResult, Any, Any, float]:
    """Train on features computed once; return the result, dev and test scores, and the time for the scores."""
    task, encoded = data.task, data.encoded
    started = time.perf_counter()
    train_features = executor.features(data.source(task.train, encoded.train))
    spent = time.perf_counter() - started
    started = time.perf_counter()
    dev_features = executor.features(data.source(task.dev, encoded.dev))
    test_features = executor.features(data.source(task.test, encoded.test))
    predict = time.perf_counter() - started
    size = min(batch_size, len(task.train))
    source = FeatureSource(train_features, _indices(task, task.train), size)
    dev = FeatureSource(dev_features, _indices(task, task.dev), batch_size)
    test = FeatureSource(test_features, _indices(task, task.test), batch_size)
    training = train(
        executor, source, dev, _indices(task, task.dev), settings, shuffle,
        kind="features", label=label, quiet=quiet, checkpoint=checkpoint,
    )  # fmt: skip
    training.seconds += spent
    started = time.perf_counter()
    dev_scores, test_scores = executor.scores_of_features(dev), executor.scores_of_features(test)
    return training, dev_scores, test_scores, predict + time.perf_counter() - started


def _indices(task: Task, examples: tuple[Example, ...]) -> list[int]:
    return [task.label_index(example.label) for example in examples]
