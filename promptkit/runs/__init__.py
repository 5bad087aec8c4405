"""What a run leaves on disk: its record, its prompt, its predictions; and the store that lists the runs."""

from promptkit.runs.artifact import load_artifact, save_artifact
from promptkit.runs.baseline import BaselineRecord
from promptkit.runs.card import Card, load_prompt
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
from promptkit.runs.stored import (
    ARTIFACT_NAME,
    ComparisonSummary,
    Entry,
    PlannedCell,
    Shots,
    StoredComparison,
    StoredRun,
)
from promptkit.runs.tables import STORE_VERSION

__all__ = [
    "ARTIFACT_NAME",
    "STORE_NAME",
    "STORE_VERSION",
    "BackboneInfo",
    "BaselineRecord",
    "Card",
    "ComparisonSummary",
    "Cost",
    "Entry",
    "Epoch",
    "LearntParameters",
    "PlannedCell",
    "RunDirectory",
    "RunOptions",
    "RunRecord",
    "Scores",
    "Seconds",
    "Shots",
    "Store",
    "StoredComparison",
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
