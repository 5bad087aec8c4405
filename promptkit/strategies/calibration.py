"""Frozen prompts whose class scores are held against what each class gets anyway."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from mindspore import Parameter, Tensor, ops

from promptkit.backbones.face import Backbone
from promptkit.errors import unknown
from promptkit.strategies.models import ClozePrompt, Trial, tensors

if TYPE_CHECKING:
    from promptkit.prompting.resolved import PromptTask

_WAYS = ("none", "content-free", "pmi", "median")
_CHUNK = 64  # texts whose words are scored at a time: that may take the whole vocabulary


def content_free(task: PromptTask) -> tuple[str | tuple[int, ...], ...]:
    """Return the inputs that say nothing (Zhao et al. 2021, section 5), the last one the model's mask token.

    A causal model has none; it reads the word, as the paper's does.
    """
    mask = task.tokenizer.mask_id
    return "N/A", "", (mask,) if mask >= 0 else "[MASK]"


class CalibratedPrompt(ClozePrompt):
    """Class scores minus what each class gets anyway, the prior.

    Args:
        backbone: the language model.
        task: the resolved prompt.
        learns: whether the prior is found on texts, by `fit`.
    """

    def __init__(self, backbone: Backbone, task: PromptTask, *, learns: bool = False) -> None:
        super().__init__(backbone, task)
        self.prior = Parameter(Tensor(np.zeros(len(task.labels), np.float32)), name="prior", requires_grad=learns)

    def measure(self, task: PromptTask, inputs: tuple[str | tuple[int, ...], ...]) -> None:
        """Set the prior to the log of the mean class probabilities of inputs, with every set of demonstrations.

        For content-free ones that is Zhao et al. 2021, section 5, W = diag(p_cf)^-1 and b = 0: in log space a
        subtraction. For the one empty input it is what Holtzman et al. 2021 divide by: the score of a
        class is the mean over its words of log p(word | prompt), so that of its words' log p(word | premise) comes
        off, but for a number that is the same for all classes.

        With several sets of demonstrations each has a prior of its own. A text's score is the mean of its
        log-probabilities over the sets, so what comes off is the mean of the priors.
        """
        priors = []
        for number in range(task.sets):
            batch = task.encode(inputs, number)
            scores = super().scores(self.features(tensors(batch.inputs)))
            log_p = ops.log_softmax(scores, -1).asnumpy().astype(np.float64)
            priors.append(np.logaddexp.reduce(log_p, axis=0) - np.log(len(log_p)))
        self.prior.set_data(Tensor(np.mean(priors, axis=0).astype(np.float32)))

    def scores(self, features: Any) -> Any:
        """(N, M, H) -> (N, C)."""
        return ops.log_softmax(self.head(features), -1) - self.prior


class CentredPrompt(CalibratedPrompt):
    """The same with the median of texts as the prior; of two classes each then gets half of these texts."""

    fits = True

    def __init__(self, backbone: Backbone, task: PromptTask) -> None:
        super().__init__(backbone, task, learns=True)

    def fit(self, train: Any, labels: Any, dev: Any, dev_labels: Any) -> list[Trial]:
        """Set the prior from the features of the training texts; nothing is tried on dev.

        What a text says of a class is its score less the mean over the classes. Of that, class by class, the median
        over the texts is the prior: for two classes the threshold is the median of their log-odds.
        """
        chunks = [self.head(Tensor(train[at : at + _CHUNK])).asnumpy() for at in range(0, len(train), _CHUNK)]
        scores = np.concatenate(chunks).astype(np.float64)
        middle = np.median(scores - scores.mean(-1, keepdims=True), axis=0)
        ops.assign(self.prior, Tensor(middle.astype(np.float32)))
        return []


def calibrated(backbone: Backbone, task: PromptTask, how: str) -> ClozePrompt:
    """Return a frozen prompt whose class scores are held against what each class gets anyway.

    Args:
        backbone: the language model.
        task: the resolved prompt, with its demonstrations if there are any.
        how: `none`, nothing comes off; `content-free`, what inputs without content score (Zhao et al. 2021); `pmi`,
            what the template without a text scores (Holtzman et al. 2021); `median`, for each class the median of the
            training texts, whose labels are not looked at.

    Raises:
        UserError: for an unknown `how`.
    """
    if how not in _WAYS:
        raise unknown("calibration", how, _WAYS)
    if how == "none":
        return ClozePrompt(backbone, task)
    if how == "median":
        return CentredPrompt(backbone, task)
    model = CalibratedPrompt(backbone, task)
    model.measure(task, content_free(task) if how == "content-free" else ("",))
    return model
