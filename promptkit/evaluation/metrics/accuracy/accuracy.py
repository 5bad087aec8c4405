"""Accuracy: the share of examples whose predicted class is the reference class, between 0 and 1.

Args:
    predictions: predicted class indices, (N,).
    references: true class indices, (N,).

Returns:
    accuracy: float.

Examples:
    Three of four are right.

    >>> from promptkit.evaluation import load_metric
    >>> accuracy = load_metric("accuracy")
    >>> accuracy.compute(predictions=[0, 1, 1, 0], references=[0, 1, 0, 0])
    {'accuracy': 0.75}

    It works for any number of classes.

    >>> accuracy.compute(predictions=[0, 2, 1, 3, 4], references=[4, 3, 1, 3, 0])
    {'accuracy': 0.4}
"""

from __future__ import annotations

from typing import Any

import datasets
import evaluate
import sklearn.metrics


class Accuracy(evaluate.Metric):  # type: ignore[misc]
    """Accuracy as an `evaluate` metric."""

    def _info(self) -> Any:
        index = datasets.Value("int64")
        return evaluate.MetricInfo(
            description="The share of examples whose predicted class is the reference class.",
            citation="",
            inputs_description=__doc__ or "",
            features=datasets.Features({"predictions": index, "references": index}),
        )

    def _compute(self, predictions: list[int], references: list[int]) -> dict[str, float]:
        return {"accuracy": float(sklearn.metrics.accuracy_score(references, predictions))}
