"""AdamW with linear warm-up and decay and with clipped gradients; its state can be taken out and put back."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from mindspore import Parameter, Tensor, ops
from mindspore import dtype as mstype
from mindspore.experimental import optim

from promptkit.interrupts import held_interrupts, restore_interrupts


@dataclass(frozen=True)
class TrainingSettings:
    """How to train.

    Attributes:
        epochs: passes over the training set, at most.
        lr: peak learning rate.
        weight_decay: AdamW's decoupled decay (Loshchilov & Hutter 2019); never on biases and gains.
        warmup: share of all examples in which the rate rises linearly from 0; after it falls linearly to 0.
        clip: largest global norm of the gradient.
        patience: dev scorings without a better one before training stops; 0 never stops early.
        accumulate: batches a step: their gradients make one, as if they were one batch.
    """

    epochs: int
    lr: float
    weight_decay: float = 0.0
    warmup: float = 0.06
    clip: float = 1.0
    patience: int = 0
    accumulate: int = 1


def learning_rate(seen: float, batch: float, total: float, peak: float, warmup: float) -> float:
    """Return the rate of a step: linear warm-up to `peak`, then linear decay that ends above 0.

    Counted in examples, not in steps: how many steps an epoch takes depends on how its batches pack.

    Args:
        seen: examples before this step.
        batch: examples of this step.
        total: of the whole training.
        peak: the highest rate.
        warmup: share of `total` in which the rate rises.
    """
    rising = max(batch, total * warmup)
    if seen + batch <= rising:
        return peak * (seen + batch) / rising
    # A step that begins while the rate rises and ends after it takes the peak, not more.
    return peak * min(1.0, max(total - seen, batch) / max(batch, total - rising))


class ScheduledAdamW:
    """AdamW with the schedule and the clipping, for `total` examples, repeated ones counted."""

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
        self._step, self._seen = 0, 0.0
        self._compiled = False
        self.rate = 0.0

    def state(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the moments by name, and the plain numbers, that `restore` needs."""
        moments = {
            f"{name}.{index}": moment.asnumpy().copy()
            for name, group in self._moments().items()
            for index, moment in enumerate(group)
        }
        return moments, {"step": self._step, "seen": self._seen, "rate": self.rate}

    def restore(self, moments: dict[str, Any], numbers: dict[str, Any]) -> None:
        """Go on where `state` was taken, to the last bit."""
        for name, group in self._moments().items():
            for index, moment in enumerate(group):
                ops.assign(moment, Tensor(moments[f"{name}.{index}"]))
        self._step, self._seen, self.rate = int(numbers["step"]), float(numbers["seen"]), float(numbers["rate"])
        ops.assign(self._optimiser.state_step, Tensor(self._step, mstype.int32))

    def _moments(self) -> dict[str, Any]:
        return {"moment": self._optimiser.exp_avg, "variance": self._optimiser.exp_avg_sq}

    def step(self, gradients: tuple[Any, ...], examples: float) -> None:
        """Clip the gradients of a batch of so many examples and move the parameters."""
        # First, for it waits until the compiled step is done; see there.
        scale = clipping(gradients, self._settings.clip)
        settings = self._settings
        self.rate = learning_rate(self._seen, examples, self._total, settings.lr, settings.warmup)
        for group in self._optimiser.param_groups:
            ops.assign(group["lr"], Tensor(self.rate, mstype.float32))
        if self._compiled:
            self._move(gradients, scale)
        else:
            # MindSpore compiles parts of its AdamW at the first step.
            with held_interrupts():
                self._move(gradients, scale)
            restore_interrupts()
            self._compiled = True
        self._step, self._seen = self._step + 1, self._seen + examples

    def _move(self, gradients: tuple[Any, ...], scale: float) -> None:
        self._optimiser(tuple(gradients[index] * scale for index in self._order))


def clipping(gradients: tuple[Any, ...], largest: float) -> float:
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
