"""A baseline that knows words and nothing of language: TF-IDF and logistic regression, with nothing tuned."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from promptkit.checking import is_mark

# Languages written without spaces between words.
_UNSPACED = frozenset({"zh", "ja", "th", "lo", "km", "my"})
_MAX_ITERATIONS = 1000


@dataclass(frozen=True)
class LexicalResult:
    """What the baseline answered and what it cost.

    Attributes:
        dev_predicted: class indices, (N_dev,).
        test_predicted: class indices, (N_test,).
        parameters: coefficients and intercepts of the classifier; 0 if nothing was there to learn.
        train_seconds: wall-clock time of weighting the words and fitting.
        predict_seconds: wall-clock time of predicting dev and test.
        settings: what it was fitted with, as JSON values.
    """

    dev_predicted: NDArray[np.int64]
    test_predicted: NDArray[np.int64]
    parameters: int
    train_seconds: float
    predict_seconds: float
    settings: dict[str, Any] = field(default_factory=dict)


def tfidf_baseline(
    train_texts: Sequence[str],
    train_labels: Sequence[int],
    dev_texts: Sequence[str],
    test_texts: Sequence[str],
    *,
    language: str,
) -> LexicalResult:
    """Fit on train and predict dev and test.

    Words and pairs of neighbouring words, for languages written without spaces characters and pairs of them, are
    weighted by TF-IDF (Spärck Jones 1972; logarithmic term frequencies) and classified by logistic regression with
    an L2 penalty (C = 1). The same input gives the same answers. If train has one class only, or no word at all,
    everything is given the most frequent class of train, of equals the first.

    Args:
        train_texts: one string an example; the two texts of a pair are joined by the caller.
        train_labels: class indices, (N_train,).
        dev_texts: as for train.
        test_texts: as for train.
        language: ISO 639-1 code.

    Raises:
        ValueError: for no training texts, or another number of labels.
    """
    labels = np.asarray(train_labels, dtype=np.int64)
    if not len(train_texts) or labels.shape != (len(train_texts),):
        raise ValueError(f"{len(train_texts)} training texts with labels of shape {labels.shape}")
    settings = _settings(language)
    started = time.perf_counter()
    model = _fit(train_texts, labels, settings)
    fitted = time.perf_counter()
    dev, test = _predict(model, dev_texts, labels), _predict(model, test_texts, labels)
    return LexicalResult(
        dev_predicted=dev,
        test_predicted=test,
        parameters=0 if model is None else int(model[-1].coef_.size + model[-1].intercept_.size),
        train_seconds=fitted - started,
        predict_seconds=time.perf_counter() - fitted,
        settings=settings,
    )


def _settings(language: str) -> dict[str, Any]:
    return {
        "analyzer": "char" if language in _UNSPACED else "word",
        "ngram_range": [1, 2],
        "sublinear_tf": True,
        "lowercase": True,
        "C": 1.0,
        "max_iter": _MAX_ITERATIONS,
    }


def _word() -> str:
    """Return what a word is; it takes hundredths of a second, which importing this file shall not.

    One letter can be one; scikit-learn's own pattern wants two, and knows no signs of vowels and accents.
    """
    signs = "".join(filter(is_mark, map(chr, range(0x300, 0x1F000))))
    return rf"\w[\w{signs}]*"


def _fit(texts: Sequence[str], labels: NDArray[np.int64], settings: dict[str, Any]) -> Any:
    """Return the fitted pipeline, or None if there is nothing to learn."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    words = TfidfVectorizer(
        analyzer=settings["analyzer"],
        ngram_range=tuple(settings["ngram_range"]),
        sublinear_tf=settings["sublinear_tf"],
        lowercase=settings["lowercase"],
        token_pattern=_word() if settings["analyzer"] == "word" else None,
    )
    analyse = words.build_analyzer()
    if len(np.unique(labels)) < 2 or not any(analyse(text) for text in texts):
        return None
    return make_pipeline(words, LogisticRegression(C=settings["C"], max_iter=settings["max_iter"])).fit(texts, labels)


def _predict(model: Any, texts: Sequence[str], labels: NDArray[np.int64]) -> NDArray[np.int64]:
    if model is None or not len(texts):
        return np.full(len(texts), np.bincount(labels).argmax(), dtype=np.int64)
    return np.asarray(model.predict(texts), dtype=np.int64)
