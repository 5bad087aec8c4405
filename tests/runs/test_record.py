"""`run.json` comes back as it was, keeps its names, and never holds NaN."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from promptkit.errors import UserError
from promptkit.runs import Cost, Epoch, LearntParameters, RunRecord, Scores, Seconds

NAN, INFINITY = float("nan"), float("inf")


def record(**changes: Any) -> RunRecord:
    parts: dict[str, Any] = {
        "command": ("promptkit", "run", "--strategy", "soft"),
        "options": {
            "strategy": "soft",
            "data": "reviews-zh",
            "model": "promptkit-mini",
            "templates": ["{soft:10}{text} 总之很{mask}。"],
            "verbalizer": "positive=好; negative=差",
            "readout": "cloze",
            "slots": "same",
            "shots": None,
            "seed": 0,
            "epochs": 3,
            "lr": 1e-3,
            "batch_size": 32,
            "weight_decay": 0.0,
            "max_length": 128,
            "device": "CPU",
            "mode": "graph",
            "strategy_options": {"tokens": 10, "init": "vocab"},
        },
        "task": {
            "name": "reviews-zh",
            "fingerprint": "0123456789abcdef",
            "labels": ("negative", "positive"),
            "language": "zh",
            "train": 150,
            "dev": 50,
            "test": 100,
        },
        "backbone": {
            "name": "promptkit-mini",
            "fingerprint": "fedcba9876543210",
            "architecture": "bert",
            "parameters": 22_000_000,
        },
        "dev": Scores(accuracy=0.8, f1=0.79, n=50, majority=0.5),
        "test": {"accuracy": 0.75, "f1": 0.74, "n": 100, "majority": 0.5, "kappa": 0.5},
        "parameters": LearntParameters(prompt=3840, head=2),
        "cost": Cost(artifact_bytes=15_500, seconds=Seconds(total=12.5, train=10.0, predict=1.5)),
        "history": (Epoch(epoch=1, loss=0.7, dev_accuracy=0.6, lr=1e-3),),
        "warnings": ("dev has fewer examples than asked for",),
        "epochs_run": 3,
        "best_epoch": 2,
    }
    return RunRecord.model_validate({**parts, **changes})


def test_round_trip_keeps_everything_and_the_text_itself() -> None:
    original = record()
    text = original.to_json()
    again = RunRecord.from_json(text)
    assert again == original
    assert again.to_json() == text
    assert "总之很" in text
    assert text.endswith("}\n")


def test_the_names_scripts_rely_on() -> None:
    data = json.loads(record().to_json())
    assert data["schema"] == 1
    assert data["test"] == {"accuracy": 0.75, "f1": 0.74, "n": 100, "majority": 0.5, "kappa": 0.5}
    assert data["dev"]["accuracy"] == 0.8
    assert data["dev"]["f1"] == 0.79
    assert data["options"]["strategy"] == "soft"
    assert data["options"]["strategy_options"]["tokens"] == 10
    assert data["parameters"] == {"prompt": 3840, "encoder": 0, "head": 2, "backbone": 0, "total": 3842}
    assert data["cost"]["seconds"]["total"] == 12.5
    assert data["cost"]["artifact_bytes"] == 15_500
    assert data["history"][0]["dev_accuracy"] == 0.6
    assert data["task"]["labels"] == ["negative", "positive"]


def test_the_keys_come_in_one_order_and_none_may_vanish() -> None:
    assert list(json.loads(record().to_json())) == [
        "schema",
        "promptkit",
        "created",
        "command",
        "options",
        "task",
        "backbone",
        "versions",
        "dev",
        "test",
        "parameters",
        "cost",
        "depends_on",
        "epochs_run",
        "best_epoch",
        "history",
        "dev_scores",
        "found",
        "warnings",
    ]


def test_created_is_utc_and_versions_are_filled_in() -> None:
    original = record()
    assert original.created.endswith("+00:00")
    assert original.versions.numpy == np.__version__
    assert all(original.versions.model_dump().values())


def test_what_is_not_finite_is_written_as_null() -> None:
    options = record().options.model_copy(update={"strategy_options": {"a": [NAN, {"b": -INFINITY}], "c": 1.5}})
    diverged = record(
        options=options,
        history=[{"epoch": 1, "loss": np.float32("nan"), "lr": INFINITY}],
        test={"accuracy": 0.5, "f1": NAN, "n": 1, "majority": 0.5, "mcc": NAN},
    )

    def forbidden(constant: str) -> None:
        raise AssertionError(f"{constant} was written")

    data = json.loads(diverged.to_json(), parse_constant=forbidden)
    assert data["history"][0]["loss"] is None
    assert data["history"][0]["lr"] is None
    assert data["test"]["f1"] is None
    assert data["test"]["mcc"] is None
    assert data["options"]["strategy_options"] == {"a": [None, {"b": None}], "c": 1.5}


def test_numbers_of_numpy_become_plain_ones() -> None:
    options = record().options.model_dump() | {"strategy_options": {"count": np.int64(3), "share": np.float32(0.5)}}
    data = json.loads(
        record(options=options, dev=Scores(accuracy=np.float32(0.5), f1=0.5, n=1, majority=1)).to_json()
    )
    assert data["options"]["strategy_options"] == {"count": 3, "share": 0.5}
    assert data["dev"]["accuracy"] == 0.5


def test_a_total_that_does_not_add_up_is_refused() -> None:
    assert LearntParameters(prompt=1, encoder=2, head=3, backbone=4).total == 10
    with pytest.raises(ValidationError, match="add up to 3"):
        LearntParameters(prompt=1, encoder=2, total=4)


def test_an_unknown_field_is_a_programming_error() -> None:
    with pytest.raises(ValidationError, match="Extra inputs"):
        record(speed=3)


def test_reading_takes_a_run_directory_or_a_file(tmp_path: Path) -> None:
    file = tmp_path / "run.json"
    file.write_text(record().to_json(), encoding="utf-8")
    assert RunRecord.read(tmp_path) == RunRecord.read(file)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "not valid JSON"),
        ("[]", "not a run record of schema 1"),
        ('{"schema": 2}', r"its schema is 2"),
        ('{"schema": 1}', "options: Field required"),
    ],
)
def test_what_is_no_record_is_refused_in_one_line(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "run.json").write_text(text)
    with pytest.raises(UserError, match=said) as caught:
        RunRecord.read(tmp_path)
    assert "run.json" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_run_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is no run"):
        RunRecord.read(tmp_path / "absent")
    with pytest.raises(UserError, match="there is no run"):
        RunRecord.read(tmp_path)
