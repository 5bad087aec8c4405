"""How likely a model finds the tokens that come next: what a written answer is scored by."""

from __future__ import annotations

from typing import Any

from mindspore import nn, ops

from promptkit.backbones.constants import rows_read
from promptkit.backbones.face import Backbone, Likelihoods


class AnswerReadout(nn.Cell):
    """Log-probabilities of the tokens behind the positions read.

    Where the backbone offers `likelihoods`, the vocabulary's scores are never there for all positions at once.

    Args:
        backbone: scores the vocabulary.
    """

    def __init__(self, backbone: Backbone) -> None:
        super().__init__()
        self.backbone: Any = backbone
        self.in_parts = isinstance(backbone, Likelihoods)

    def construct(self, hidden: Any, inputs: Any) -> Any:
        """Hidden states at the positions read, (R, Q, H), and the batch -> log p of the tokens there, (R, Q)."""
        rows, count, width = hidden.shape
        token_ids = inputs["token_ids"]
        behind = rows_read(inputs["read"], token_ids.shape[1]) + 1
        targets = ops.gather(token_ids.reshape(-1), behind, 0)
        if self.in_parts:
            found = self.backbone.likelihoods(hidden.reshape(rows * count, width), targets)
        else:
            scores = self.backbone.logits(hidden, None, True).reshape(rows * count, -1)
            found = ops.gather_elements(scores, 1, targets.reshape(-1, 1))
        return found.reshape(rows, count)
