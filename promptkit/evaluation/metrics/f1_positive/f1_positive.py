"""F1 of the positive class of two, between 0 and 1: what GLUE reports for MRPC and QQP (Wang et al. 2018).

The positive class is index 1, the second of the data's labels: `1` of `0` and `1`, `positive` of `negative` and
`positive`. It is 0 where the class is never predicted, or never true.

Args:
    predictions: predicted class indices, (N,), each 0 or 1.
    references: true class indices, (N,), each 0 or 1.

Returns:
    f1_positive: float.

Examples:
    Precision 1/2, recall 1/1.

    >>> from promptkit.evaluation import load_metric
    >>> f1 = load_metric("f1_positive")
    >>> result = f1.compute(predictions=[0, 1, 1, 0], references=[0, 1, 0, 0])
    >>> round(result["f1_positive"], 6)
    0.666667

    Always answering the positive class of data in which two of three are positive: precision 2/3, recall 1.

    >>> f1.compute(predictions=[1, 1, 1], references=[1, 1, 0])
    {'f1_positive': 0.8}

    Always answering the other one.

    >>> f1.compute(predictions=[0, 0, 0], references=[1, 1, 0])
    {'f1_positive': 0.0}
"""

from __future__ import annotations

from typing import Any

import datasets
import evaluate
import sklearn.metrics


class F1Positive(evaluate.Metric):  # type: ignore[misc]
    """F1 of the positive class as an `evaluate` metric."""

    def _info(self) -> Any:
        index = datasets.Value("int64")
        return evaluate.MetricInfo(
            description="F1 of the second of two classes.",
            citation="",
            inputs_description=__doc__ or "",
            features=datasets.Features({"predictions": index, "references": index}),
        )

    def _compute(self, predictions: list[int], references: list[int]) -> dict[str, float]:
        score = sklearn.metrics.f1_score(references, predictions, average="binary", pos_label=1, zero_division=0)
        return {"f1_positive": float(score)}
