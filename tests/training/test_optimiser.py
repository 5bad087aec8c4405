"""AdamW with clipping and schedule against the algorithm in double precision, and what it leaves in memory."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest

pytest.importorskip("mindspore")

from mindspore import Parameter, Tensor

from promptkit.training.optimiser import ScheduledAdamW, TrainingSettings, learning_rate

SETTINGS = TrainingSettings(epochs=1, lr=1e-2, weight_decay=0.1)
STEPS, BATCH = 10, 32.0
SHAPES = ((5,), (7, 5), (3,), (5, 2))


def gradients(step: int) -> list[Any]:
    """Of any size, down to where epsilon is all there is below the fraction, and beyond what is clipped."""
    rng = np.random.default_rng(step)
    return [(rng.normal(size=shape) * 10 ** rng.uniform(-10, 0.5)).astype(np.float32) for shape in SHAPES]


def reference(weights: list[Any]) -> list[Any]:
    """Loshchilov & Hutter 2019, algorithm 2, as PyTorch's `AdamW` has it: decay of matrices alone."""
    weights = [weight.astype(np.float64) for weight in weights]
    moments = [(np.zeros_like(weight), np.zeros_like(weight)) for weight in weights]
    for step in range(1, STEPS + 1):
        found = [gradient.astype(np.float64) for gradient in gradients(step)]
        clip = min(1.0, SETTINGS.clip / np.sqrt(sum((gradient**2).sum() for gradient in found)))
        rate = learning_rate((step - 1) * BATCH, BATCH, STEPS * BATCH, SETTINGS.lr, SETTINGS.warmup, BATCH)
        for weight, gradient, (mean, square) in zip(weights, found, moments, strict=True):
            gradient = gradient * clip
            mean += 0.1 * (gradient - mean)
            square += 0.001 * (gradient**2 - square)
            weight *= 1 - rate * SETTINGS.weight_decay * (weight.ndim > 1)
            weight -= rate * mean / (1 - 0.9**step) / (np.sqrt(square / (1 - 0.999**step)) + 1e-8)
    return weights


def test_it_is_adamw() -> None:
    rng = np.random.default_rng(0)
    start = [rng.normal(size=shape).astype(np.float32) for shape in SHAPES]
    weights = [Parameter(Tensor(each.copy()), name=f"w.{number}") for number, each in enumerate(start)]
    optimiser = ScheduledAdamW(weights, SETTINGS, int(STEPS * BATCH))
    for step in range(1, STEPS + 1):
        optimiser.step(tuple(Tensor(each) for each in gradients(step)), BATCH)
    for ours, theirs, before in zip(weights, reference(start), start, strict=True):
        assert np.abs(ours.asnumpy() - theirs).max() < 1e-6
        assert np.abs(ours.asnumpy() - before).max() > 1e-3


LEFT = """
import gc

import numpy as np
from mindspore import Parameter, Tensor
from promptkit.training.optimiser import ScheduledAdamW, TrainingSettings


def resident():
    gc.collect()  # parameters refer to themselves
    with open("/proc/self/status") as file:
        return int(file.read().split("VmRSS:")[1].split()[0]) / 1024


def learn():
    weight = Parameter(Tensor(np.zeros((2500, 1000), np.float32)), name="w")
    optimiser = ScheduledAdamW([weight], TrainingSettings(epochs=1, lr=0.01), 64)
    for _ in range(2):
        optimiser.step((Tensor(np.ones((2500, 1000), np.float32)),), 32.0)
    weight.asnumpy()


learn()
learn()
before = resident()
for _ in range(10):
    learn()
print(resident() - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="memory is read from /proc")
def test_nothing_is_left_of_one_that_is_done() -> None:
    """Ten that hold 10 MB of weights and twice as much of moments each."""
    done = subprocess.run([sys.executable, "-c", LEFT], capture_output=True, text=True, timeout=120, check=True)
    assert float(done.stdout.splitlines()[-1]) < 60
