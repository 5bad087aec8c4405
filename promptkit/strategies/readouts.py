"""How class scores are read from a model's hidden states. N examples, M positions read, H hidden, C classes."""

from __future__ import annotations

from typing import Any

import numpy as np
from mindspore import Parameter, Tensor, nn, ops
from mindspore.ops import constexpr

from promptkit.backbones.face import Backbone
from promptkit.errors import UserError
from promptkit.prompting.resolved import PromptTask
from promptkit.prompting.verbalizer import ResolvedVerbalizer
from promptkit.strategies.likelihoods import AnswerReadout


class ClozeReadout(nn.Cell):
    """Class scores from label words at the positions read (Schick & Schütze 2021, section 3.1).

    The score of a word is the sum over its slots of the vocabulary logits (rule `mean`: the mean of the
    log-probabilities), the score of a class the mean over its words. Only the label words' vocabulary rows are
    computed, unless words of different lengths make the normaliser matter.

    Args:
        backbone: scores the words.
        verbalizer: the resolved label words.
        learns: whether the head learns: a copy of what the backbone has before its output rows, and a bias for each
            label word. The output rows themselves are (tied) word embeddings and stay frozen.
    """

    def __init__(self, backbone: Backbone, verbalizer: ResolvedVerbalizer, *, learns: bool = False) -> None:
        super().__init__()
        self.backbone = backbone.trainable("head") if learns else backbone
        self.learns = learns
        rows = np.asarray(verbalizer.rows, np.int32)
        self.rows = Tensor(rows)
        self.selection = Tensor(np.asarray(verbalizer.selection(), np.float32))
        self.normalise = bool(verbalizer.needs_normalising)
        if learns:
            self.bias = Parameter(Tensor(np.zeros(len(rows), np.float32)), name="bias")
        self.matmul = ops.MatMul()

    def construct(self, hidden: Any) -> Any:
        """Hidden states at the positions read, (N, M, H) -> class scores, (N, C)."""
        logits = self.backbone.logits(hidden, self.rows, self.normalise)
        if self.learns and self.normalise:
            # A word's bias is in the normaliser as well: its sum of exp grows by sum p (exp(bias) - 1).
            grown = (ops.exp(logits) * (ops.exp(self.bias) - 1.0)).sum(-1, keepdims=True)
            logits = logits + self.bias - ops.log(1.0 + grown)
        elif self.learns:
            logits = logits + self.bias
        count, slots, words = logits.shape
        return self.matmul(logits.reshape(count, slots * words), self.selection)


@constexpr  # type: ignore[untyped-decorator]
def _check_read(shape: tuple[int, ...], width: int) -> None:
    """Refuse hidden states of another shape than (N, 1, `width`).

    It is called while a graph is compiled: within a graph nothing can raise a UserError.
    """
    if len(shape) != 3 or shape[1:] != (1, width):
        raise UserError(
            f"a linear readout takes the state at one position, (N, 1, {width}), not states of shape {shape}."
        )


class LinearReadout(nn.Cell):
    """Class scores from one linear layer on the hidden state at the one position read.

    Args:
        task: has the labels, C of them, and the random numbers that the weights start from, N(0, 0.02).
        hidden_size: H.
        learns: whether weights and biases learn.

    Raises:
        UserError: when it is called, for hidden states of another shape.
    """

    def __init__(self, task: PromptTask, hidden_size: int, *, learns: bool) -> None:
        super().__init__()
        weight = task.rng.normal(0.0, 0.02, (len(task.labels), hidden_size)).astype(np.float32)
        self.weight = Parameter(Tensor(weight), name="weight", requires_grad=learns)
        self.bias = Parameter(Tensor(np.zeros(len(task.labels), np.float32)), name="bias", requires_grad=learns)
        self.linear = ops.MatMul(transpose_b=True)

    def construct(self, hidden: Any) -> Any:
        """(N, 1, H) -> (N, C)."""
        _check_read(hidden.shape, self.weight.shape[1])
        return self.linear(hidden[:, 0], self.weight) + self.bias


def readout(backbone: Backbone, task: PromptTask, *, learns: bool) -> ClozeReadout | LinearReadout | AnswerReadout:
    """Return the readout that the user asked for: hidden states at the positions read, (N, M, H), to scores, (N, C).

    Args:
        backbone: the language model.
        task: the resolved prompt, `cloze`, `head` or `answer`.
        learns: whether the readout learns; that of answers never does.
    """
    if task.readout == "answer":
        return AnswerReadout(backbone)
    if task.readout == "head":
        return LinearReadout(task, backbone.info.hidden_size, learns=learns)
    assert task.verbalizer is not None
    return ClozeReadout(backbone, task.verbalizer, learns=learns)
