"""Metrics and baselines. Nothing heavy is imported until a metric is computed."""

from promptkit.evaluation.baselines import majority_accuracy, no_better_than_majority
from promptkit.evaluation.scoring import BUILT_IN_METRICS, compute, load_metric

__all__ = [
    "BUILT_IN_METRICS",
    "compute",
    "load_metric",
    "majority_accuracy",
    "no_better_than_majority",
]
