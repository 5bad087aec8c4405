"""The comparison: a grid of runs over the same draws of the same data, kept so that a kill loses nothing."""

from promptkit.comparison.coordinator import ComparisonResult, compare
from promptkit.comparison.experiment import Experiment, list_presets, make_experiment, read_experiment

__all__ = [
    "ComparisonResult",
    "Experiment",
    "compare",
    "list_presets",
    "make_experiment",
    "read_experiment",
]
