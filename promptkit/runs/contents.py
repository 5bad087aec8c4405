"""What is in a run directory that was written earlier."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from promptkit.errors import UserError
from promptkit.runs.artifact import load_artifact
from promptkit.runs.card import Card
from promptkit.runs.predictions import PREDICTIONS_NAME, read_predictions
from promptkit.runs.record import RECORD_NAME, RunRecord
from promptkit.runs.stored import ARTIFACT_NAME, StoredRun


def read_contents(directory: Path) -> tuple[RunRecord, NDArray[np.int64], NDArray[np.int64]] | None:
    """Return a run's record, true classes (N,) and predicted classes (N,) of the test split.

    Returns:
        None if the directory is not there or not whole: record, predictions for every test example, prompt.
    """
    if not (directory / RECORD_NAME).is_file() or not (directory / ARTIFACT_NAME).is_file():
        return None
    try:
        record = RunRecord.read(directory)
        truth, predicted = _classes(directory, record)
    except UserError:
        return None
    whole = len(truth) == record.task.test or record.options.objective == "text"
    return (record, truth, predicted) if whole else None


def holds_run(directory: Path, run: StoredRun) -> bool:
    """Return whether the directory holds this run, and not another one or something else.

    An edited or damaged `run.json` makes no other run of it: what was asked for, when, and what it predicted are what
    a run is known by. A run that writes texts predicts no classes; without its record it is known by its prompt.
    """
    if not isinstance(run.record, RunRecord):
        return False
    try:
        found = RunRecord.read(directory)
    except UserError:
        found = None
    if found == run.record:
        return True
    if found is not None and (found.options, found.created) != (run.record.options, run.record.created):
        return False
    if run.record.options.objective == "text":
        return found is not None or _has_card_of(directory, run.record)
    try:
        truth, predicted = _classes(directory, run.record)
    except UserError:
        return False
    return np.array_equal(truth, run.truth) and np.array_equal(predicted, run.predicted)


def _has_card_of(directory: Path, record: RunRecord) -> bool:
    """Return whether there is a prompt, and its card names what a run was asked to do and its model."""
    try:
        _, card = load_artifact(directory / ARTIFACT_NAME)
    except UserError:
        return False
    asked = record.options.model_dump(mode="json")
    asked["options"] = asked.pop("strategy_options")
    alike = all(card.get(name) == value for name, value in asked.items() if name in Card.model_fields)
    backbone = card.get("backbone")
    return alike and isinstance(backbone, dict) and backbone.get("fingerprint") == record.backbone.fingerprint


def _classes(directory: Path, record: RunRecord) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return true and predicted classes; none of a run that writes texts."""
    if record.options.objective == "text":
        none = np.zeros(0, np.int64)
        return none, none
    return read_predictions(directory / PREDICTIONS_NAME, record.task.labels)
