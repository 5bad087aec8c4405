"""Scores of vocabulary entries from states."""

from __future__ import annotations

from typing import Any

import mindspore as ms
from mindspore import nn, ops

from promptkit.backbones.native.layers.arithmetic import Arithmetic

_MOST = 1 << 23  # scores of a part that are computed at a time


class VocabularyScores(nn.Cell):
    """Products with the output rows, and a bias where a model has one; of the rows that are asked for only."""

    def __init__(self, arithmetic: Arithmetic) -> None:
        super().__init__()
        self.linear = arithmetic.product(transpose_b=True)

    def construct(self, x: Any, table: Any, bias: Any, rows: Any, normalised: Any) -> Any:
        """Return scores, (N, W), of states (N, H).

        Args:
            x: (N, H).
            table: the output rows, (V, H).
            bias: (V,), or None.
            rows: (W,) vocabulary ids; None for all V.
            normalised: whether to return log-probabilities over the whole vocabulary.
        """
        if rows is None:
            scores = self.scores(x, table, bias)
            return ops.log_softmax(scores, -1) if normalised else scores
        own = None if bias is None else ops.gather(bias, rows, 0)
        scores = self.scores(x, ops.gather(table, rows, 0), own)
        if normalised:
            scores = scores - ops.logsumexp(self.scores(x, table, bias), -1, True)
        return scores

    def scores(self, x: Any, table: Any, bias: Any) -> Any:
        """Scores of every row of a table."""
        scores = self.linear(x, table)
        return scores if bias is None else scores + bias


class TokenLikelihoods(nn.Cell):
    """Log-probabilities of one vocabulary entry a state, part by part, with a backward pass of its own.

    Scores of all V entries are computed for a part of the states at a time, and are not kept for the gradient: what
    it needs of each state is one vector, e_target - sum_v p_v e_v, computed on the way and dropped where nobody asks
    for a gradient. When a part's memory serves the next is up to MindSpore; on the CPU (2.10) it does not at once.

    Args:
        arithmetic: of the device.
    """

    def __init__(self, arithmetic: Arithmetic) -> None:
        super().__init__()
        self.most = _MOST
        self.linear = arithmetic.product(transpose_b=True)
        self.matmul = arithmetic.product()
        self.after = ops.Depend()

    def construct(self, x: Any, table: Any, targets: Any) -> Any:
        """Return log p of the targets, (N,), and its gradients by the states, (N, H).

        Args:
            x: states, (N, H).
            table: the output rows, (V, H); they do not learn.
            targets: (N,) int32 vocabulary ids.
        """
        count, entries = x.shape[0], table.shape[0]
        size = min(count, max(1, self.most // entries))
        found: list[Any] = []
        slopes: list[Any] = []
        for start in range(0, count, size):
            part, wanted = x[start : start + size], targets[start : start + size]
            if start > 0:
                # Without it all parts might be under way at once.
                part = self.after(part, found[-1])
            scores = self.linear(part, table)
            every = ops.logsumexp(scores, -1, True)
            found.append(ops.gather_elements(scores, 1, wanted.reshape(-1, 1)) - every)
            own = ops.gather(table, wanted, 0).astype(ms.float32)
            slopes.append(own - self.matmul(ops.exp(scores - every), table))
        if len(found) == 1:
            return found[0].reshape(-1), slopes[0]
        return ops.concat(found, 0).reshape(-1), ops.concat(slopes, 0)

    def bprop(self, x: Any, table: Any, targets: Any, out: Any, dout: Any) -> Any:
        """Gradient of the states."""
        return dout[0].reshape(-1, 1) * out[1], ops.zeros_like(table), ops.zeros_like(targets)
