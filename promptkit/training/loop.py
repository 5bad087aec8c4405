"""The training loop: AdamW, linear warm-up and decay, gradient clipping, early stop on dev."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from mindspore import Parameter, Tensor, ops
from mindspore import dtype as mstype
from mindspore.experimental import optim
from tqdm import tqdm

from promptkit.errors import UserError
from promptkit.interrupts import held_interrupts, restore_interrupts
from promptkit.training.execution import Executor
from promptkit.training.sources import BatchSource

Kind = Literal["texts", "features"]


@dataclass(frozen=True)
class TrainingSettings:
    """How to train.

    Attributes:
        epochs: passes over the training set, at most.
        lr: peak learning rate.
        weight_decay: AdamW's decoupled decay (Loshchilov & Hutter 2019); never on biases and gains.
        warmup: share of all steps in which the rate rises linearly from 0; after it falls linearly to 0.
        clip: largest global norm of the gradient.
        patience: epochs without a better dev score before training stops; 0 never stops early.
    """

    epochs: int
    lr: float
    weight_decay: float = 0.0
    warmup: float = 0.06
    clip: float = 1.0
    patience: int = 0


@dataclass
class TrainingResult:
    """What happened.

    Attributes:
        history: per epoch: epoch, loss, dev_accuracy, dev_loss, lr.
        best_epoch: the epoch whose parameters were kept, from 1.
        seconds: wall-clock time of the training steps, compilation included, dev evaluation not.
        examples: training examples seen.
    """

    history: list[dict[str, float]] = field(default_factory=list)
    best_epoch: int = 0
    seconds: float = 0.0
    examples: int = 0


def learning_rate(step: int, total: int, peak: float, warmup: float) -> float:
    """Return the rate of a step (from 0): linear warm-up to `peak`, then linear decay that ends above 0."""
    rising = max(1, math.ceil(total * warmup))
    if step < rising:
        return peak * (step + 1) / rising
    return peak * (total - step) / max(1, total - rising)


def train(
    executor: Executor,
    source: BatchSource,
    dev: BatchSource,
    dev_labels: Any,
    settings: TrainingSettings,
    rng: np.random.Generator,
    *,
    kind: Kind = "texts",
    label: str = "",
    quiet: bool = False,
) -> TrainingResult:
    """Train what requires gradient in the executor's model and leave it with its best epoch's values.

    The best epoch has the highest dev accuracy, and among equals the lowest dev loss.

    Args:
        executor: the model, compiled or not.
        source: training batches.
        dev: dev batches.
        dev_labels: (N_dev,) class indices.
        settings: see `TrainingSettings`.
        rng: shuffles the batches.
        kind: whether the batches hold texts or precomputed features.
        label: what the progress bar calls the run.
        quiet: no progress bar.

    Raises:
        UserError: if the loss is no longer a number.
    """
    weights = list(executor.model.trainable_params())
    optimiser = _Optimiser(weights, settings, settings.epochs * source.num_batches)
    result, best = TrainingResult(), _Best(weights)
    with tqdm(
        total=settings.epochs * source.num_batches, desc=label, disable=True if quiet else None, leave=False
    ) as bar:
        for epoch in range(1, settings.epochs + 1):
            started = time.perf_counter()
            losses = []
            for step in source.epoch(rng):
                loss, gradients = executor.loss_and_gradients(step, from_features=kind == "features")
                optimiser.step(gradients)
                losses.append(float(loss.asnumpy()))
                if not math.isfinite(losses[-1]):
                    raise UserError(f"training diverged in epoch {epoch}: the loss is {losses[-1]}; lower --lr.")
                bar.update()
                bar.set_postfix(loss=f"{np.mean(losses):.3f}", dev=best.text, refresh=False)
            result.seconds += time.perf_counter() - started
            result.examples += source.size
            scores = executor.scores_of_features(dev) if kind == "features" else executor.scores(dev)
            accuracy, dev_loss = _judge(scores, dev_labels)
            result.history.append(
                {
                    "epoch": epoch,
                    "loss": float(np.mean(losses)),
                    "dev_accuracy": accuracy,
                    "dev_loss": dev_loss,
                    "lr": optimiser.rate,
                }
            )
            best.offer(epoch, accuracy, dev_loss)
            if settings.patience and epoch - best.epoch >= settings.patience:
                break
    best.restore()
    result.best_epoch = best.epoch
    return result


class _Optimiser:
    """AdamW with the schedule and the clipping."""

    def __init__(self, weights: list[Parameter], settings: TrainingSettings, total: int) -> None:
        decayed = [w for w in weights if w.ndim > 1]
        plain = [w for w in weights if w.ndim <= 1]
        groups = [
            {"params": group, "lr": settings.lr, "weight_decay": decay}
            for group, decay in ((decayed, settings.weight_decay), (plain, 0.0))
            if group
        ]
        self._order = [index for group in (decayed, plain) for index in _places(group, weights)]
        self._optimiser = optim.AdamW(groups, lr=settings.lr)
        self._settings, self._total = settings, total
        self._step = 0
        self.rate = 0.0

    def step(self, gradients: tuple[Any, ...]) -> None:
        """Clip the gradients and move the parameters."""
        # First, for it waits until the compiled step is done; see there.
        scale = _clipping(gradients, self._settings.clip)
        self.rate = learning_rate(self._step, self._total, self._settings.lr, self._settings.warmup)
        for group in self._optimiser.param_groups:
            ops.assign(group["lr"], Tensor(self.rate, mstype.float32))
        if self._step:
            self._move(gradients, scale)
        else:
            # MindSpore compiles parts of its AdamW at the first step.
            with held_interrupts():
                self._move(gradients, scale)
            restore_interrupts()
        self._step += 1

    def _move(self, gradients: tuple[Any, ...], scale: float) -> None:
        self._optimiser(tuple(gradients[index] * scale for index in self._order))


def _clipping(gradients: tuple[Any, ...], largest: float) -> float:
    """Return the factor that brings the gradients' global norm down to `largest`, at most 1.

    In NumPy for two reasons, both measured with MindSpore 2.10 on two cores. `ops.clip_by_global_norm` compiles
    a graph for every call made outside one. And an eager operator on a gradient that the compiled step is still
    computing waits for it in a busy loop that takes a core from that step, which then takes twice as long;
    `asnumpy` waits asleep.
    """
    flat = (gradient.asnumpy().ravel() for gradient in gradients)
    norm = math.sqrt(sum(float(np.dot(g, g)) for g in flat))
    return largest / norm if norm > largest else 1.0


def _places(group: list[Parameter], weights: list[Parameter]) -> list[int]:
    where = {id(weight): index for index, weight in enumerate(weights)}
    return [where[id(weight)] for weight in group]


class _Best:
    """The parameters of the best epoch so far."""

    def __init__(self, weights: list[Parameter]) -> None:
        self._weights = weights
        self._values: list[Any] = []
        self._key: tuple[float, float] | None = None
        self.epoch = 0

    @property
    def text(self) -> str:
        """The best dev accuracy, for the progress bar."""
        return "-" if self._key is None else f"{self._key[0]:.3f}"

    def offer(self, epoch: int, accuracy: float, loss: float) -> None:
        """Keep the present values if they are the best."""
        key = (accuracy, -loss)
        if self._key is None or key > self._key:
            self._key, self.epoch = key, epoch
            self._values = [weight.asnumpy().copy() for weight in self._weights]

    def restore(self) -> None:
        """Put the best values back."""
        for weight, value in zip(self._weights, self._values, strict=False):
            weight.set_data(Tensor(value))


def _judge(scores: Any, labels: Any) -> tuple[float, float]:
    """Return accuracy and mean cross entropy of scores (N, C) against labels (N,)."""
    labels = np.asarray(labels)
    shifted = scores.astype(np.float64) - scores.max(-1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))
    loss = -log_p[np.arange(len(labels)), labels].mean()
    return float((scores.argmax(-1) == labels).mean()), float(loss)
