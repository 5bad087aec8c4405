"""The training loop: schedule, clipping, early stop, the best epoch kept."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("mindspore")

from mindspore import Parameter, Tensor, ops

from promptkit import UserError
from promptkit.backbones.device import set_device
from promptkit.nn import PromptedModel
from promptkit.running.config import setting_of
from promptkit.training import Classification, Executor, FeatureSource, TrainingSettings, train
from promptkit.training.optimiser import clipping, learning_rate

set_device("CPU")


class Linear(PromptedModel):
    """Logistic regression."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = Parameter(Tensor(np.zeros((4, 2), np.float32)), name="weight")

    def scores(self, features: Any) -> Any:
        return ops.matmul(features, self.weight)


def data(rows: int, seed: int) -> tuple[Any, Any]:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, 4)).astype(np.float32)
    return x, (x[:, 0] > 0).astype(np.int64)


def run(settings: TrainingSettings, seed: int = 0, batch_size: int = 16) -> tuple[Any, Linear]:
    model = Linear()
    executor = Executor(model, "pynative", print, Classification(2))
    (x, y), (xd, yd) = data(64, 1), data(32, 2)
    result = train(
        executor, FeatureSource(x, y, batch_size), FeatureSource(xd, yd, 16), yd, settings,
        np.random.default_rng(seed), quiet=True,
    )  # fmt: skip
    return result, model


def test_the_rate_rises_linearly_and_falls_linearly() -> None:
    rates = [learning_rate(8 * step, 8, 80, 1.0, 0.2, 8) for step in range(10)]
    assert rates == pytest.approx([0.5, 1.0, 1.0, 0.875, 0.75, 0.625, 0.5, 0.375, 0.25, 0.125])


def test_the_rate_depends_on_the_examples_seen_and_not_on_how_they_were_packed() -> None:
    assert learning_rate(40, 10, 80, 1.0, 0.2, 10) == learning_rate(40, 1, 80, 1.0, 0.2, 10) == 0.625
    assert learning_rate(79, 1, 80, 1.0, 0.2, 8) > 0
    assert learning_rate(0, 80, 80, 1.0, 0.06, 80) == 1.0
    # Of 37 examples 6 % are less than a step: the rate has risen with the first, and the last are on the way down.
    assert learning_rate(32, 5, 37, 1.0, 0.06, 32) == 1.0
    assert learning_rate(64, 20, 160, 1.0, 0.06, 32) == 0.75


@pytest.mark.parametrize(("epochs", "batch_size", "accumulate"), [(8, 16, 1), (5, 4, 4)])
def test_the_schedule_ends_with_the_last_epoch(epochs: int, batch_size: int, accumulate: int) -> None:
    """The rate rises over 0.06 of all examples, 64 an epoch, and falls over the others; a step takes 16."""
    result, _ = run(TrainingSettings(epochs, 0.1, accumulate=accumulate), batch_size=batch_size)
    assert result.history[-1]["lr"] == pytest.approx(0.1 * 16 / (0.94 * 64 * epochs))


def test_no_step_takes_more_than_the_peak_rate() -> None:
    """Also not the one that begins while the rate rises and ends after it."""
    assert max(learning_rate(seen, 30, 1000, 1.0, 0.07, 30) for seen in range(0, 1000, 30)) == 1.0


@pytest.mark.parametrize(("scale", "expected"), [(0.1, 1.0), (10.0, 1.0 / 50.0)])
def test_gradients_are_clipped_by_their_global_norm(scale: float, expected: float) -> None:
    first, second = np.array([3.0 * scale, 0.0], np.float32), np.array([[4.0 * scale]], np.float32)
    gradients = (Tensor(first), Tensor(second))
    assert clipping(gradients, 1.0) == pytest.approx(expected)


def test_it_learns_and_repeats_exactly() -> None:
    (first, one), (again, two) = run(TrainingSettings(8, 0.1)), run(TrainingSettings(8, 0.1))
    assert first.history[-1]["loss"] < 0.5 * first.history[0]["loss"]
    assert first.history == again.history
    assert np.array_equal(one.weight.asnumpy(), two.weight.asnumpy())
    assert first.examples == 8 * 64


def test_training_stops_when_dev_gets_no_better() -> None:
    result, _ = run(TrainingSettings(50, 1e-12, patience=2))
    # Four steps an epoch: dev is scored after every other one.
    assert [entry["epoch"] for entry in result.history] == [2, 4, 6]
    assert (result.best_epoch, result.epochs) == (2, 6)


def test_the_last_epoch_is_scored_whatever_its_number() -> None:
    result, _ = run(TrainingSettings(5, 0.1))
    assert [entry["epoch"] for entry in result.history] == [2, 4, 5]
    assert result.epochs == 5


@pytest.mark.parametrize(
    ("epochs", "batch_size", "scored"),
    [(10, 64, [10]), (3, 22, [3]), (2, 16, [2]), (1, 7, [1]), (11, 64, [10, 11]), (2, 11, [2]), (2, 10, [1, 2])],
    ids=["10 x 1 step", "3 x 3", "2 x 4", "1 x 10", "11 x 1", "2 x 6", "2 x 7"],
)
def test_dev_is_scored_about_every_ten_steps_and_once_in_ten_or_fewer(
    epochs: int, batch_size: int, scored: list[int]
) -> None:
    result, _ = run(TrainingSettings(epochs, 0.1), batch_size=batch_size)
    assert [entry["epoch"] for entry in result.history] == scored


def test_patience_counts_scorings_and_says_so() -> None:
    """Two scorings of epochs of one step are twenty epochs."""
    result, _ = run(TrainingSettings(100, 1e-12, patience=2), batch_size=64)
    assert [entry["epoch"] for entry in result.history] == [10, 20, 30]
    assert "after N scorings of dev" in setting_of("patience").help


def test_the_best_epoch_is_kept() -> None:
    class Spoiling(FeatureSource):
        """Right labels in the first epoch, wrong ones after."""

        count = 0

        def epoch(self, rng: np.random.Generator | None) -> Iterator[Any]:
            self.count += 1
            for batch in super().epoch(rng):
                yield batch if self.count == 1 else replace(batch, labels=1 - batch.labels)

    model = Linear()
    (x, y), (xd, yd) = data(64, 1), data(32, 2)
    executor = Executor(model, "pynative", print, Classification(2))
    dev = FeatureSource(xd, yd, 16)
    result = train(
        executor,
        Spoiling(x, y, 16),
        dev,
        yd,
        TrainingSettings(8, 0.1),
        np.random.default_rng(0),
        quiet=True,
    )
    kept = float((executor.scores(dev).argmax(-1) == yd).mean())
    scores = {entry["epoch"]: entry["dev_accuracy"] for entry in result.history}
    assert kept == max(scores.values()) == scores[result.best_epoch] > scores[8]


def test_a_loss_that_is_no_number_ends_the_run_in_one_line() -> None:
    model = Linear()
    x, y = data(16, 1)
    x[3, 2] = np.inf
    executor = Executor(model, "pynative", print, Classification(2))
    source = FeatureSource(x, y, 16)
    with pytest.raises(UserError, match="diverged"):
        train(
            executor,
            source,
            source,
            y,
            TrainingSettings(3, 0.1),
            np.random.default_rng(0),
            quiet=True,
        )


def test_a_gradient_that_is_no_number_moves_nothing_and_ends_the_run() -> None:
    """As in half precision, where a product of the backward pass may be too large while the loss is not."""

    class Steep(Linear):
        def scores(self, features: Any) -> Any:
            return super().scores(features) + ops.sqrt(self.weight * self.weight).sum()

    model = Steep()
    before = model.weight.asnumpy().copy()
    x, y = data(16, 1)
    executor = Executor(model, "pynative", print, Classification(2))
    source = FeatureSource(x, y, 16)
    with pytest.raises(UserError, match="diverged in epoch 1: a gradient is no finite number"):
        train(
            executor, source, source, y, TrainingSettings(3, 0.1), np.random.default_rng(0),
            quiet=True,
        )  # fmt: skip
    assert np.array_equal(model.weight.asnumpy(), before)


def test_decay_is_for_matrices_only() -> None:
    class Two(PromptedModel):
        def __init__(self) -> None:
            super().__init__()
            self.bias = Parameter(Tensor(np.ones(2, np.float32)), name="bias")
            self.weight = Parameter(Tensor(np.ones((4, 2), np.float32)), name="weight")

        def scores(self, features: Any) -> Any:
            return ops.matmul(features * 0.0, self.weight) + self.bias * 0.0

    model = Two()
    x, y = data(16, 1)
    source = FeatureSource(x, y, 16)
    executor = Executor(model, "pynative", print, Classification(2))
    settings = TrainingSettings(1, 0.1, weight_decay=0.5)
    train(executor, source, source, y, settings, np.random.default_rng(0), quiet=True)
    assert np.allclose(model.weight.asnumpy(), 1 - 0.1 * 0.5)
    assert np.allclose(model.bias.asnumpy(), 1.0)
