"""The best epoch's values are what scores, also through a graph that was compiled before they were put back."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("mindspore")

from mindspore import Parameter, Tensor, ops

from promptkit.backbones.device import set_device
from promptkit.nn import PromptedModel
from promptkit.training import Classification, Executor, FeatureSource, TrainingSettings, train

set_device("CPU")


class Scaled(PromptedModel):
    """One matrix."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = Parameter(Tensor(np.zeros((4, 2), np.float32)), name="weight")

    def scores(self, features: Any) -> Any:
        return ops.matmul(features, self.weight)


@pytest.mark.parametrize("mode", ["graph", "pynative"])
def test_after_training_the_model_scores_as_in_its_best_epoch(mode: Any) -> None:
    rng = np.random.default_rng(0)
    x, noise = rng.normal(size=(48, 4)).astype(np.float32), rng.normal(size=48)
    y = (x[:, 0] + noise > 0).astype(np.int64)
    model = Scaled()
    executor = Executor(model, mode, print, Classification(2))
    dev = FeatureSource(x[32:], y[32:], 16)
    # A rate so high that later epochs are worse than earlier ones.
    settings = TrainingSettings(epochs=12, lr=1.5)
    result = train(
        executor,
        FeatureSource(x[:32], y[:32], 8),
        dev,
        y[32:],
        settings,
        np.random.default_rng(1),
        quiet=True,
    )
    assert result.best_epoch < 12
    scores = executor.scores(dev)
    np.testing.assert_allclose(scores, x[32:] @ model.weight.asnumpy(), rtol=1e-5, atol=1e-5)
    (best,) = [entry for entry in result.history if entry["epoch"] == result.best_epoch]
    assert (scores.argmax(-1) == y[32:]).mean() == best["dev_accuracy"]
    assert best["dev_loss"] != result.history[-1]["dev_loss"]
