"""Metrics, baselines, and what a difference is worth. Nothing heavy is imported until it is computed with."""

from promptkit.evaluation.baselines import majority_accuracy, no_better_than_majority
from promptkit.evaluation.lexical import LexicalResult, tfidf_baseline
from promptkit.evaluation.scoring import BUILT_IN_METRICS, compute, load_metric
from promptkit.evaluation.statistics import Difference, Spread, holm, mcnemar, paired_bootstrap, spread

__all__ = [
    "BUILT_IN_METRICS",
    "Difference",
    "LexicalResult",
    "Spread",
    "compute",
    "holm",
    "load_metric",
    "majority_accuracy",
    "mcnemar",
    "no_better_than_majority",
    "paired_bootstrap",
    "spread",
    "tfidf_baseline",
]
