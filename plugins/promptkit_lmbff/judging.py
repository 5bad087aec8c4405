"""Which examples a search looks at, and how candidates are judged on them. N examples, C classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.special import log_softmax

from promptkit import Example

EACH = 32  # examples of a class that a search looks at; the paper has 16


def some_of(examples: Sequence[Example], labels: Sequence[str], rng: np.random.Generator) -> list[Example]:
    """Return at most `EACH` examples of every class, drawn where there are more, in their order."""
    kept: list[int] = []
    for label in labels:
        own = [number for number, example in enumerate(examples) if example.label == label]
        kept += own if len(own) <= EACH else [int(n) for n in rng.choice(own, EACH, replace=False)]
    return [examples[number] for number in sorted(kept)]


def classes_of(examples: Sequence[Example], labels: Sequence[str]) -> Any:
    """Return class indices, (N,)."""
    return np.array([list(labels).index(example.label) for example in examples])


def judge(scores: Any, truth: Any) -> tuple[Any, Any]:
    """Return accuracies and mean cross entropies of (..., N, C) scores against (N,) classes, each (...)."""
    scores = np.asarray(scores, np.float64)
    log_p, classes = log_softmax(scores, axis=-1), np.broadcast_to(truth, scores.shape[:-1])[..., None]
    right = (scores.argmax(-1) == truth).mean(-1)
    return right, -np.take_along_axis(log_p, classes, -1)[..., 0].mean(-1)


def ranked(scores: Any, truth: Any) -> list[int]:
    """Return K candidates by their scores, (K, N, C): the most accurate first, of equals the one of lower loss."""
    accuracy, loss = judge(scores, truth)
    return [int(n) for n in np.lexsort((np.arange(len(loss)), loss, -accuracy))]
