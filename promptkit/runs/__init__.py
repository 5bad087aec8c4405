"""What a run leaves on disk: its record, its prompt, its predictions."""

from promptkit.runs.artifact import load_artifact, save_artifact
from promptkit.runs.directory import RunDirectory
from promptkit.runs.predictions import write_predictions
from promptkit.runs.record import (
    BackboneInfo,
    Cost,
    Epoch,
    LearntParameters,
    RunOptions,
    RunRecord,
    Scores,
    Seconds,
    TaskInfo,
    Versions,
)

__all__ = [
    "BackboneInfo",
    "Cost",
    "Epoch",
    "LearntParameters",
    "RunDirectory",
    "RunOptions",
    "RunRecord",
    "Scores",
    "Seconds",
    "TaskInfo",
    "Versions",
    "load_artifact",
    "save_artifact",
    "write_predictions",
]
