"""What rows and shots are called, in every table, plot and sentence alike."""

from __future__ import annotations

from promptkit.runs.stored import Shots

_BASELINE_LABELS = {
    "majority": "majority class",
    "tfidf": "TF-IDF + logistic regression",
    "hard": "hard (zero-shot)",
    "probe": "linear probe",
}


def row_label(role: str, strategy: str, variant: str) -> str:
    """Return what a row is called, e.g. `soft, tokens=20`; baselines have names that say what they are."""
    name = _BASELINE_LABELS.get(strategy, strategy) if role == "baseline" else strategy
    return f"{name}, {variant}" if variant else name


def with_shots(label: str, shots: Shots) -> str:
    """Return a row's label with its shots, e.g. `soft (16 shots)`, `soft (full)`."""
    if shots is None:
        return label
    return f"{label} (full)" if shots == "full" else f"{label} ({shots} shots)"


def shots_name(shots: Shots) -> str:
    """Return what shots are called where there is little room: `16`, `full` or `none`."""
    return "none" if shots is None else str(shots)


def shots_phrase(shots: Shots) -> str:
    """Return shots as part of a sentence: `with 16 examples a class`."""
    if shots is None:
        return "without learning"
    if shots == "full":
        return "with all training examples"
    return f"with {shots} example{'s' * (shots > 1)} a class"
