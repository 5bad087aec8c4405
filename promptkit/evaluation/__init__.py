"""Metrics and the baselines of a result. Nothing heavy is imported until it is computed with."""

from promptkit.evaluation.baselines import majority_label, no_better_than_majority, share_of
from promptkit.evaluation.lexical import LexicalResult, tfidf_baseline
from promptkit.evaluation.scoring import (
    check_metric,
    check_text_metric,
    compute,
    compute_texts,
    load_metric,
)
from promptkit.evaluation.sources import BUILT_IN_METRICS

__all__ = [
    "BUILT_IN_METRICS", "LexicalResult", "check_metric", "check_text_metric", "compute", "compute_texts",
    "load_metric", "majority_label", "no_better_than_majority", "share_of", "tfidf_baseline",
]  # fmt: skip
