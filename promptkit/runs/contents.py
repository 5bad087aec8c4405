"""What is in a run directory that was written earlier."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from promptkit.errors import UserError
from promptkit.runs.predictions import PREDICTIONS_NAME, read_predictions
from promptkit.runs.record import RECORD_NAME, RunRecord
from promptkit.runs.stored import ARTIFACT_NAME


def read_contents(directory: Path) -> tuple[RunRecord, NDArray[np.int64], NDArray[np.int64]] | None:
    """Return a run's record, true classes (N,) and predicted classes (N,) of the test split.

    Returns:
        None if the directory is not there or not whole: record, predictions for every test example, prompt.
    """
    if not (directory / RECORD_NAME).is_file() or not (directory / ARTIFACT_NAME).is_file():
        return None
    try:
        record = RunRecord.read(directory)
        truth, predicted = read_predictions(directory / PREDICTIONS_NAME, record.task.labels)
    except UserError:
        return None
    return (record, truth, predicted) if len(truth) == record.task.test else None


def holds_run(directory: Path, record: object) -> bool:
    """Return whether the directory holds the run of this record, and not another one or something else."""
    try:
        return RunRecord.read(directory) == record
    except UserError:
        return False
