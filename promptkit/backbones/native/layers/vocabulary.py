"""Scores of vocabulary entries from states."""

from __future__ import annotations

from typing import Any

from mindspore import nn, ops


class VocabularyScores(nn.Cell):
    """Products with the output rows, and a bias where a model has one; of the rows that are asked for only."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = ops.MatMul(transpose_b=True)

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
