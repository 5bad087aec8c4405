"""A training that was killed at any step goes on to the same numbers, to the last bit."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("mindspore")

from mindspore import Parameter, Tensor, ops
from packs import random_texts

from promptkit import UserError
from promptkit.backbones.device import set_device
from promptkit.data import Packer, Rows
from promptkit.nn import PromptedModel
from promptkit.runs.checkpoint import Checkpoints
from promptkit.training import Classification, Executor, FeatureSource, PackedSource, TrainingSettings, train

set_device("CPU")
SETTINGS = TrainingSettings(epochs=3, lr=0.1, weight_decay=0.01)
STEPS = 3 * 4


class TwoLayers(PromptedModel):
    """A matrix with decay and a vector without: both of AdamW's groups."""

    def __init__(self) -> None:
        super().__init__()
        rng = np.random.default_rng(3)
        self.weight = Parameter(Tensor(rng.normal(size=(4, 2)).astype(np.float32)), name="weight")
        self.bias = Parameter(Tensor(np.zeros(2, np.float32)), name="bias")

    def scores(self, features: Any) -> Any:
        return ops.matmul(features, self.weight) + self.bias


class KilledError(Exception):
    """Stands in for the kill."""


class Counting(Executor):
    """Counts the batches that were learnt from, and dies of one."""

    batches, deadly = 0, 0

    def loss_and_gradients(self, *given: Any, **more: Any) -> Any:
        self.batches += 1
        if self.batches == self.deadly:
            raise KilledError
        return super().loss_and_gradients(*given, **more)


class Dying:
    """A checkpoint that saves after every step and dies after some."""

    def __init__(self, inner: Any, after: int) -> None:
        self._inner, self._left = inner, after
        self.load = inner.load

    def due(self) -> bool:
        return True

    def save(self, arrays: dict[str, Any], values: dict[str, Any]) -> None:
        self._inner.save(arrays, values)
        self._left -= 1
        if self._left == 0:
            raise KilledError


def learn(
    checkpoint: Any = None, settings: TrainingSettings = SETTINGS, executor: Any = None
) -> tuple[Any, list[Any]]:
    rng = np.random.default_rng(1)
    x = rng.normal(size=(64, 4)).astype(np.float32)
    y = (x[:, 0] + 0.5 * rng.normal(size=64) > 0).astype(np.int64)
    executor = executor or counting()
    model = executor.model
    result = train(
        executor,
        FeatureSource(x[:50], y[:50], 16), FeatureSource(x[50:], y[50:], 16), y[50:], settings,
        np.random.default_rng(7), quiet=True, checkpoint=checkpoint,
    )  # fmt: skip
    return result, [model.weight.asnumpy(), model.bias.asnumpy()]


def counting(deadly: int = 0) -> Counting:
    executor = Counting(TwoLayers(), "pynative", print, Classification(2))
    executor.deadly = deadly
    return executor


class Noisy(PromptedModel):
    """Scores by the word that is read; a training step adds what was drawn for it."""

    def __init__(self) -> None:
        super().__init__()
        self.drawn: list[bytes] = []
        self.table = Parameter(Tensor(np.zeros((20, 2), np.float32)), name="table")

    def construct(self, inputs: Any) -> Any:
        words = ops.gather_elements(inputs["token_ids"], 1, inputs["read"][:, :, 0])
        return ops.gather(self.table, words.reshape(-1), 0)

    def noise(self, inputs: Any, rng: np.random.Generator) -> tuple[Any, ...]:
        drawn = rng.normal(size=(inputs["read"][:, :, 0].size, 2)).astype(np.float32)
        self.drawn.append(drawn.tobytes())
        return (drawn,)

    def learning(self, inputs: Any, noise: Any) -> Any:  # type: ignore[override]
        return self(inputs) + noise


def learn_with_noise(checkpoint: Any = None, seed: int = 7, model: Noisy | None = None) -> tuple[Any, list[Any]]:
    texts = random_texts(np.random.default_rng(0), [5] * 24, vocabulary=20)
    packer = Packer(texts, [number % 2 for number in range(24)], batch_size=8, rows=Rows(4, 10, 2), pad_id=0)
    model, source = model or Noisy(), PackedSource(packer)
    result = train(
        Executor(model, "pynative", print, Classification(2)), source, source, np.arange(24) % 2,
        TrainingSettings(epochs=2, lr=0.1), np.random.default_rng(seed), quiet=True, checkpoint=checkpoint,
    )  # fmt: skip
    return result, [model.table.asnumpy()]


def assert_same(ours: tuple[Any, list[Any]], theirs: tuple[Any, list[Any]]) -> None:
    assert ours[0].history == theirs[0].history
    for name in ("epochs", "best_epoch", "examples"):
        assert getattr(ours[0], name) == getattr(theirs[0], name), name
    for one, other in zip(ours[1], theirs[1], strict=True):
        np.testing.assert_array_equal(one, other)


def states(folder: Path) -> Callable[[], Any]:
    return lambda: Checkpoints(folder, "run", every=0.0).member(0)


@pytest.mark.parametrize("after", [1, 3, 4, 5, 9, STEPS, STEPS + 1])
def test_killed_once_it_ends_in_the_same_numbers(tmp_path: Path, after: int) -> None:
    whole = learn()
    state = states(tmp_path)
    with pytest.raises(KilledError):
        learn(Dying(state(), after))
    executor = counting()
    assert_same(learn(state(), executor=executor), whole)
    assert executor.batches == max(0, STEPS - after)


@pytest.mark.parametrize("deadly", [4, 8, STEPS])
def test_killed_within_a_group_of_batches_it_goes_on_before_the_group(tmp_path: Path, deadly: int) -> None:
    settings = replace(SETTINGS, accumulate=2)
    whole = learn(settings=settings)
    state = states(tmp_path)
    with pytest.raises(KilledError):
        learn(state(), settings, counting(deadly))
    executor = counting()
    assert_same(learn(state(), settings, executor), whole)
    assert executor.batches == STEPS - (deadly - 2)


def test_killed_after_every_step_it_ends_in_the_same_numbers(tmp_path: Path) -> None:
    state = states(tmp_path)
    for _ in range(STEPS):
        with pytest.raises(KilledError):
            learn(Dying(state(), 1))
    assert_same(learn(state()), learn())


def test_every_step_draws_something_else_also_after_a_kill(tmp_path: Path) -> None:
    whole, state = Noisy(), states(tmp_path)
    learn_with_noise(model=whole)
    assert len(set(whole.drawn)) == len(whole.drawn) == 2 * 3
    with pytest.raises(KilledError):
        learn_with_noise(Dying(state(), 2))
    rest = Noisy()
    learn_with_noise(state(), model=rest)
    assert rest.drawn == whole.drawn[2:]


def test_what_a_step_draws_is_drawn_again_after_a_kill_and_hangs_on_the_seed(tmp_path: Path) -> None:
    whole = learn_with_noise()
    state = states(tmp_path)
    for after in (1, 3):
        with pytest.raises(KilledError):
            learn_with_noise(Dying(state(), after))
    assert_same(learn_with_noise(state()), whole)
    losses = [entry["loss"] for entry in whole[0].history]
    assert losses != [entry["loss"] for entry in learn_with_noise(seed=8)[0].history]


def test_early_stopping_is_the_same_after_a_kill(tmp_path: Path) -> None:
    """Killed when a scoring of dev that was no better is counted already."""
    settings = TrainingSettings(epochs=40, lr=0.3, patience=2)
    whole = learn(settings=settings)
    assert len(whole[0].history) < 40
    state = states(tmp_path)
    with pytest.raises(KilledError):
        learn(Dying(state(), 50), settings)
    assert_same(learn(state(), settings), whole)


def test_the_state_of_another_run_is_refused(tmp_path: Path) -> None:
    learn(Checkpoints(tmp_path, "one", every=0.0).member(0))
    with pytest.raises(UserError, match="state of another run"):
        Checkpoints(tmp_path, "two")


def test_a_damaged_state_means_starting_anew(tmp_path: Path) -> None:
    state = states(tmp_path)
    with pytest.raises(KilledError):
        learn(Dying(state(), 5))
    path = next(tmp_path.iterdir())
    path.write_bytes(path.read_bytes()[:100])
    assert_same(learn(state()), learn())


def test_a_full_disk_costs_the_state_and_not_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_: Any) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("promptkit.runs.checkpoint.save_artifact", full)
    assert_same(learn(states(tmp_path)()), learn())
    assert capsys.readouterr().err.count("No space left on device") == 1


def test_what_a_killed_process_was_saving_is_removed(tmp_path: Path) -> None:
    dead = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True)
    left = tmp_path / f".member-0.safetensors.partial-{int(dead.stdout)}-0123abcd"
    mine = tmp_path / f".member-0.safetensors.partial-{os.getpid()}-0123abcd"
    other = tmp_path / f".notes.partial-{int(dead.stdout)}-0123abcd"
    for path in (left, mine, other):
        path.write_bytes(b"half")
    Checkpoints(tmp_path, "run", writes=False)
    assert left.exists()
    Checkpoints(tmp_path, "run")
    assert sorted(tmp_path.iterdir()) == sorted([mine, other])


@pytest.mark.parametrize("after", [1, 3, 5])
def test_tokens_of_a_killed_training_are_counted_once(tmp_path: Path, after: int) -> None:
    def source() -> PackedSource:
        texts = random_texts(np.random.default_rng(0), [5] * 24, vocabulary=20)
        labels = [number % 2 for number in range(24)]
        return PackedSource(Packer(texts, labels, batch_size=8, rows=Rows(4, 10, 2), pad_id=0))

    def learn_from(texts: PackedSource, checkpoint: Any = None) -> tuple[int, int]:
        train(
            Executor(Noisy(), "pynative", print, Classification(2)), texts, source(), np.arange(24) % 2,
            TrainingSettings(epochs=2, lr=0.1), np.random.default_rng(7), quiet=True, checkpoint=checkpoint,
        )  # fmt: skip
        return texts.tokens, texts.positions

    state = states(tmp_path)
    with pytest.raises(KilledError):
        learn_from(source(), Dying(state(), after))
    assert learn_from(source(), state()) == learn_from(source())
