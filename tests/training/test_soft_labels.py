"""Soft labels: the loss against a formula, its gradient, and the way to the model."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("mindspore")

from mindspore import Parameter, Tensor, ops
from packs import random_texts
from scipy.special import softmax

from promptkit.backbones.device import set_device
from promptkit.data import Batch, Packer, Rows
from promptkit.nn import PromptedModel
from promptkit.training import Classification, Executor, FeatureSource, SoftClassification

set_device("CPU")
RNG = np.random.default_rng(0)
SCORES = RNG.normal(0.0, 3.0, (6, 3)).astype(np.float32)
SOFT = RNG.dirichlet(np.ones(3), 6).astype(np.float32)
WEIGHTS = np.array([1, 1, 0, 1, 0, 1], np.float32)


class Free(PromptedModel):
    """Scores that are parameters themselves."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = Parameter(Tensor(SCORES), name="weight")

    def scores(self, features: Any) -> Any:
        return ops.matmul(features, self.weight)


@pytest.mark.parametrize("mode", ["graph", "pynative"])
def test_loss_and_gradient_are_those_of_the_formula(mode: Any) -> None:
    """H(q, p) = -sum_c q_c log p_c over the real places; its gradient by the scores is (p - q) / their number."""
    executor = Executor(Free(), mode, pytest.fail, SoftClassification(3))
    batch = Batch({"features": np.eye(6, dtype=np.float32)}, SOFT, WEIGHTS, np.arange(6))
    loss, (gradient,) = executor.loss_and_gradients(batch)
    p, share = softmax(SCORES.astype(np.float64), -1), WEIGHTS[:, None] / WEIGHTS.sum()
    assert float(loss.asnumpy()) == pytest.approx(-(SOFT * np.log(p) * share).sum(), rel=1e-5)
    assert np.allclose(gradient.asnumpy(), (p - SOFT) * share, atol=1e-6)


def test_a_soft_label_of_one_class_is_that_class() -> None:
    hard = np.array([0, 2, 1, 1, 0, 2], np.int32)
    given = (Tensor(SCORES), Tensor(np.eye(3, dtype=np.float32)[hard]), Tensor(WEIGHTS))
    soft = SoftClassification(3).loss(*given)
    same = Classification(3).loss(given[0], Tensor(hard), given[2])
    assert float(soft.asnumpy()) == pytest.approx(float(same.asnumpy()), rel=1e-6)


def test_dev_is_judged_by_classes() -> None:
    labels = SCORES.argmax(-1)
    assert SoftClassification(3).judge(SCORES, labels) == Classification(3).judge(SCORES, labels)


@pytest.mark.parametrize("shuffled", [None, 1])
def test_each_example_comes_with_its_own_soft_label(shuffled: int | None) -> None:
    texts = random_texts(np.random.default_rng(2), [4, 9, 6, 3, 7, 5], vocabulary=30)
    packer = Packer(texts, SOFT, batch_size=4, rows=Rows(2, 16, 3), pad_id=0)
    features = FeatureSource(np.arange(6, dtype=np.float32), SOFT, 4)
    rng = None if shuffled is None else np.random.default_rng(shuffled)
    for batch in [*packer.epoch(rng), *features.epoch(rng)]:
        real = batch.index >= 0
        assert batch.labels.shape == (len(real), 3)
        assert batch.labels.dtype == np.float32
        assert np.array_equal(batch.labels[real], SOFT[batch.index[real]])
