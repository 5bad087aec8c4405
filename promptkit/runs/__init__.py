"""What a run leaves on disk: its record, its prompt, its predictions; and the store that lists the runs."""

from promptkit.runs.artifact import load_artifact, save_artifact
from promptkit.runs.card import load_prompt
from promptkit.runs.directory import RunDirectory
from promptkit.runs.export import export_runs
from promptkit.runs.predictions import read_predictions, write_answers, write_predictions
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
from promptkit.runs.references import resolve_run
from promptkit.runs.store import STORE_NAME, Store
from promptkit.runs.stored import ARTIFACT_NAME, StoredRun

__all__ = [
    "ARTIFACT_NAME",
    "STORE_NAME",
    "BackboneInfo",
    "Cost",
    "Epoch",
    "LearntParameters",
    "RunDirectory",
    "RunOptions",
    "RunRecord",
    "Scores",
    "Seconds",
    "Store",
    "StoredRun",
    "TaskInfo",
    "Versions",
    "export_runs",
    "load_artifact",
    "load_prompt",
    "read_predictions",
    "resolve_run",
    "save_artifact",
    "write_answers",
    "write_predictions",
]
