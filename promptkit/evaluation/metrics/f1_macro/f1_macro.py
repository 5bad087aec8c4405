"""Macro F1: the plain mean of the classes' F1 scores, between 0 and 1.

A class counts if it occurs in the references or in the predictions. One that is never predicted, or predicted
and never true, has an F1 of 0.

Args:
    predictions: predicted class indices, (N,).
    references: true class indices, (N,).

Returns:
    f1: float.

Examples:
    Class 0 has F1 0.8 (precision 2/2, recall 2/3), class 1 has 2/3 (precision 1/2, recall 1/1).

    >>> from promptkit.evaluation import load_metric
    >>> f1 = load_metric("f1")
    >>> result = f1.compute(predictions=[0, 1, 1, 0], references=[0, 1, 0, 0])
    >>> round(result["f1"], 6)
    0.733333

    Always predicting the majority class gives an accuracy of 0.75, but a macro F1 of half of 6/7.

    >>> result = f1.compute(predictions=[0, 0, 0, 0], references=[0, 0, 0, 1])
    >>> round(result["f1"], 6)
    0.428571
"""

from __future__ import annotations

from typing import Any

import datasets
import evaluate
import sklearn.metrics


class F1Macro(evaluate.Metric):  # type: ignore[misc]
    """Macro F1 as an `evaluate` metric."""

    def _info(self) -> Any:
        index = datasets.Value("int64")
        return evaluate.MetricInfo(
            description="The plain mean of the classes' F1 scores.",
            citation="",
            inputs_description=__doc__ or "",
            features=datasets.Features({"predictions": index, "references": index}),
        )

    def _compute(self, predictions: list[int], references: list[int]) -> dict[str, float]:
        score = sklearn.metrics.f1_score(references, predictions, average="macro", zero_division=0)
        return {"f1": float(score)}
