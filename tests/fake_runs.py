"""Runs that nobody trained: records, directories and places to fill a store with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from promptkit.data import Example
from promptkit.runs import RunDirectory, RunRecord, Store, StoredRun, save_artifact, write_predictions
from promptkit.runs.baseline import BaselineRecord
from promptkit.runs.stored import PlannedCell

LABELS = ("negative", "positive")
TRUTH = np.array([0, 1, 0, 1, 0, 1])


def Text(text: str, text_b: str | None = None) -> Example:  # noqa: N802
    return Example(text, "", text_b)


def parts() -> dict[str, Any]:
    """What records of runs and of baselines share."""
    return {
        "created": "2024-05-01T12:30:45+00:00",
        "task": {
            "name": "reviews-en",
            "fingerprint": "0123456789abcdef",
            "labels": LABELS,
            "language": "en",
            "train": 32,
            "dev": 32,
            "test": len(TRUTH),
            "notes": ("dev was carved from train",),
        },
        "dev": {"accuracy": 0.625, "f1": 0.6, "n": 32, "majority": 0.5},
        "test": {"accuracy": 0.75, "f1": 0.74, "n": len(TRUTH), "majority": 0.5},
        "parameters": {"prompt": 3840},
        "cost": {"artifact_bytes": 15_500, "seconds": {"total": 12.5, "train": 10.0, "predict": 1.5}},
    }


def fake_record(seed: int = 0, shots: int | None = 16, **changes: Any) -> RunRecord:
    """The record of a run."""
    options = {
        "strategy": "soft",
        "data": "reviews-en",
        "model": "promptkit-mini",
        "templates": ["{soft:10}{text} It was {mask}."],
        "verbalizer": "positive=great; negative=terrible",
        "readout": "cloze",
        "slots": "same",
        "shots": shots,
        "seed": seed,
        "epochs": 2,
        "lr": 1e-3,
        "batch_size": 32,
        "weight_decay": 0.0,
        "max_length": 128,
        "device": "CPU",
        "mode": "graph",
        "strategy_options": {"tokens": 10, "init": "vocab"},
    }
    backbone = {"name": "promptkit-mini", "fingerprint": "fe", "architecture": "bert", "parameters": 22_744_506}
    history = [
        {"epoch": 1, "loss": 0.7, "dev_accuracy": 0.5, "dev_loss": 0.6875, "lr": 1e-3},
        {"epoch": 2, "loss": 0.5, "dev_accuracy": 0.625, "dev_loss": 0.625, "lr": 0.0},
    ]
    own = {"command": ("promptkit", "run"), "options": options, "backbone": backbone, "history": history}
    ran = {"epochs_run": 2, "best_epoch": 2, "warnings": ("the first warning", "the second")}
    return RunRecord.model_validate({**parts(), **own, **ran, **changes})


def fake_baseline(seed: int = 0, shots: int | None = 16, **changes: Any) -> BaselineRecord:
    """The record of a baseline."""
    own = {"name": "majority", "summary": "the most frequent label", "data": "reviews-en"}
    return BaselineRecord.model_validate({**parts(), **own, "seed": seed, "shots": shots, **changes})


def write_directory(folder: Path, name: str, record: RunRecord, truth: Any = TRUTH, predicted: Any = TRUTH) -> Path:
    """Put a whole run directory into place, as a run does."""
    chances = np.eye(len(LABELS))[predicted]
    with RunDirectory.create(folder / name, name) as directory:
        save_artifact(directory.file("prompt.safetensors"), {"prompt": np.zeros(3, np.float32)}, {"format": 1})
        texts = [Text(f"text {number}\twith a tab") for number in range(len(truth))]
        write_predictions(directory.file("predictions.tsv"), LABELS, list(truth), list(predicted), chances, texts)
        directory.file("run.json").write_text(record.to_json(), encoding="utf-8")
        return directory.commit()


def add_run(store: Store, name: str, key: str | None = None, predicted: Any = TRUTH, **changes: Any) -> StoredRun:
    """Make a run with its directory, and list it."""
    record = fake_record(**changes)
    write_directory(store.folder, name, record, TRUTH, predicted)
    return store.add(record, TRUTH, predicted, name=name, key=key)


def add_baseline(store: Store, name: str, key: str | None = None, **changes: Any) -> StoredRun:
    """List a baseline."""
    return store.add(fake_baseline(**changes), TRUTH, np.zeros_like(TRUTH), name=name, key=key)


def cell(key: str, **changes: Any) -> PlannedCell:
    """A place of a comparison."""
    own: dict[str, Any] = {"strategy": "soft", "variant": "", "role": "strategy", "shots": 16, "seed": 0}
    return PlannedCell(**{**own, **changes}, key=key)
