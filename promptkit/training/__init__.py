"""The one training loop: execution in graph mode, optimiser, schedule, early stop."""

from __future__ import annotations

from promptkit.training.execution import Executor
from promptkit.training.executors import Executors
from promptkit.training.loop import Checkpoint, OnEpoch, TrainingResult, train
from promptkit.training.objective import Classification, NextTokens, Objective, SoftClassification
from promptkit.training.optimiser import TrainingSettings
from promptkit.training.search import search
from promptkit.training.sources import BatchSource, FeatureSource, PackedSource

__all__ = [
    "BatchSource", "Checkpoint", "Classification", "Executor", "Executors", "FeatureSource", "NextTokens",
    "Objective", "OnEpoch", "PackedSource", "SoftClassification", "TrainingResult", "TrainingSettings",
    "search", "train",
]  # fmt: skip
