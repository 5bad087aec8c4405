"""AdamW with linear warm-up and decay and with clipped gradients; its state can be taken out and put back."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from mindspore import Parameter, Tensor, ops
from mindspore import dtype as mstype

BETAS = (0.9, 0.999)
EPSILON = 1e-8


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


def learning_rate(seen: float, batch: float, total: float, peak: float, warmup: float, first: float) -> float:
    """Return the rate of a step: linear warm-up to `peak`, then linear decay that ends above 0.

    Counted in examples, not in steps: how many steps an epoch takes depends on how its batches pack.

    Args:
        seen: examples before this step.
        batch: examples of this step.
        total: of the whole training.
        peak: the highest rate.
        warmup: share of `total` in which the rate rises.
        first: examples of the first step, at the end of which the rate has risen where the share is smaller.
    """
    rising = max(first, total * warmup)
    if seen + batch <= rising:
        return peak * (seen + batch) / rising
    # A step that begins while the rate rises and ends after it takes the peak, not more.
    return peak * min(1.0, max(total - seen, batch) / max(batch, total - rising))


class ScheduledAdamW:
    """AdamW with the schedule and the clipping, for `total` examples, repeated ones counted.

    One kernel a parameter moves it and its moments in place, and nothing is compiled. MindSpore's own AdamW is a
    graph (2.10, `mindspore.experimental.optim`): for 22.7 million parameters it takes three times as long a step, and
    seconds to compile; it has a third moment of each that it never uses, and is kept with all of them for good.
    """

    def __init__(self, weights: list[Parameter], settings: TrainingSettings, total: int) -> None:
        decayed = [index for index, weight in enumerate(weights) if weight.ndim > 1]
        self._order = [*decayed, *(index for index, weight in enumerate(weights) if weight.ndim <= 1)]
        self._weights = [weights[index] for index in self._order]
        self._decayed = len(decayed)
        self._moments = {name: [_zeros(weight, name) for weight in self._weights] for name in ("moment", "variance")}
        self._adam = ops.Adam()
        self._settings, self._total = settings, total
        self._step, self._seen, self._first = 0, 0.0, 0.0
        self.rate = 0.0

    def state(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the moments by name, and the plain numbers, that `restore` needs."""
        moments = {
            f"{name}.{index}": moment.asnumpy().copy()
            for name, group in self._moments.items()
            for index, moment in enumerate(group)
        }
        return moments, {"step": self._step, "seen": self._seen, "first": self._first, "rate": self.rate}

    def restore(self, moments: dict[str, Any], numbers: dict[str, Any]) -> None:
        """Go on where `state` was taken, to the last bit."""
        for name, group in self._moments.items():
            for index, moment in enumerate(group):
                ops.assign(moment, Tensor(moments[f"{name}.{index}"]))
        self._step, self.rate = int(numbers["step"]), float(numbers["rate"])
        self._seen, self._first = float(numbers["seen"]), float(numbers["first"])

    def step(self, gradients: tuple[Any, ...], examples: float) -> bool:
        """Clip the gradients of a batch of so many examples and move the parameters.

        Returns:
            Whether the gradients are finite numbers; nothing moves where they are not.
        """
        # First, for it waits until the compiled step is done; see there.
        scale = clipping(gradients, self._settings.clip)
        if not math.isfinite(scale):
            return False
        settings = self._settings
        self._first = self._first or examples
        self.rate = learning_rate(self._seen, examples, self._total, settings.lr, settings.warmup, self._first)
        self._step, self._seen = self._step + 1, self._seen + examples
        self._move(gradients, scale)
        return True

    def _move(self, gradients: tuple[Any, ...], scale: float) -> None:
        """Move every parameter (Loshchilov & Hutter 2019, algorithm 2): decay, then Adam with bias correction."""
        powers = [beta**self._step for beta in BETAS]
        given = [Tensor(value, mstype.float32) for value in (*powers, self.rate, *BETAS)]
        # The kernel adds epsilon before it corrects the variance, the algorithm afterwards.
        epsilon = Tensor(EPSILON * math.sqrt(1 - powers[1]), mstype.float32)
        kept = 1 - self.rate * self._settings.weight_decay
        for place, (weight, moment, variance) in enumerate(zip(self._weights, *self._moments.values(), strict=True)):
            gradient = gradients[self._order[place]]
            if scale != 1:
                gradient = gradient * scale
            if place < self._decayed and kept != 1:
                ops.assign(weight, weight * kept)
            self._adam(weight, moment, variance, *given, epsilon, gradient)


def clipping(gradients: tuple[Any, ...], largest: float) -> float:
    """Return the factor that brings the gradients' global norm down to `largest`, at most 1; NaN if there is none.

    In NumPy for two reasons, both measured with MindSpore 2.10 on two cores. `ops.clip_by_global_norm` compiles
    a graph for every call made outside one. And an eager operator on a gradient that the compiled step is still
    computing waits for it in a busy loop that takes a core from that step, which then takes twice as long;
    `asnumpy` waits asleep.
    """
    flat = (gradient.asnumpy().ravel() for gradient in gradients)
    norm = math.sqrt(sum(float(np.dot(g, g)) for g in flat))
    if not math.isfinite(norm):
        return math.nan
    return largest / norm if norm > largest else 1.0


def _zeros(weight: Parameter, name: str) -> Parameter:
    return Parameter(Tensor(np.zeros(weight.shape, np.float32)), name=f"{name}.{weight.name}", requires_grad=False)
