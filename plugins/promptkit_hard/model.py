"""The cell behind `hard`; imported only when a run builds it."""

from __future__ import annotations

from typing import Any

import numpy as np
from mindspore import Parameter, Tensor, ops

from promptkit import PromptTask
from promptkit.nn import Backbone, ClozePrompt, tensors


def content_free(task: PromptTask) -> tuple[str | tuple[int, ...], ...]:
    """Return the inputs that say nothing (Zhao et al. 2021, section 5), the last one the model's mask token.

    A causal model has none; it reads the word, as the paper's does.
    """
    mask = task.tokenizer.mask_id
    return "N/A", "", (mask,) if mask >= 0 else "[MASK]"


class CalibratedPrompt(ClozePrompt):
    """Class scores minus the log-probability that content-free inputs get.

    Zhao et al. 2021, section 5: W = diag(p_cf)^-1, b = 0, which in log space is a subtraction.
    """

    def __init__(self, backbone: Backbone, task: PromptTask) -> None:
        super().__init__(backbone, task)
        self.prior = Parameter(Tensor(np.zeros(len(task.labels), np.float32)), name="prior", requires_grad=False)

    def measure(self, task: PromptTask) -> None:
        """Set the prior to the mean class probabilities of the content-free inputs."""
        batch = task.encode(content_free(task))
        scores = super().scores(self.features(tensors(batch.inputs)))
        p = ops.softmax(scores, -1).asnumpy().astype(np.float64)
        self.prior.set_data(Tensor(np.log(p.mean(0)).astype(np.float32)))

    def scores(self, features: Any) -> Any:
        """(B, M, H) -> (B, C)."""
        return ops.log_softmax(self.head(features), -1) - self.prior


def build(backbone: Backbone, task: PromptTask, *, calibrate: bool) -> ClozePrompt:
    """Return the frozen prompted model."""
    if not calibrate:
        return ClozePrompt(backbone, task)
    model = CalibratedPrompt(backbone, task)
    model.measure(task)
    return model
