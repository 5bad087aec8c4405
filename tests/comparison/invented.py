"""Cells that nobody runs: a pool that invents the files of a run, fails or dies."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from promptkit.comparison.orders import Order, Outcome
from promptkit.running.config import RunConfig
from promptkit.running.plan import make_plan
from promptkit.runs import (
    BackboneInfo,
    Cost,
    LearntParameters,
    RunOptions,
    RunRecord,
    Scores,
    Seconds,
    TaskInfo,
    save_artifact,
    write_predictions,
)


class DiedError(BaseException):
    """Stands in for a kill."""


def result_of(order: Order, folder: Path) -> str:
    """Write a run that nobody trained, and return where it is."""
    config = RunConfig.model_validate_json(order.config)
    plan = make_plan(config)
    task = plan.task
    truth = [task.label_index(example.label) for example in task.test]
    scores = Scores(accuracy=0.5, f1=0.5, n=len(truth), majority=0.5)
    record = RunRecord(
        options=RunOptions(
            strategy=config.strategy, data=config.data, model=config.model, templates=("{text} {mask}",),
            verbalizer=None, readout="cloze", slots="same", shots=config.shots, seed=config.seed, epochs=1, lr=0.1,
            batch_size=4, weight_decay=0.0, max_length=40, device="CPU", mode="graph", fold=config.fold,
        ),
        task=TaskInfo(
            name=task.name, fingerprint=task.fingerprint, labels=task.labels, language="en", train=1, dev=1,
            test=len(truth),
        ),
        backbone=BackboneInfo(name="m", fingerprint="f", architecture="bert", parameters=1),
        dev=scores, test=scores, parameters=LearntParameters(),
        cost=Cost(artifact_bytes=1, seconds=Seconds(total=1.0)),
    )  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "run.json").write_text(record.to_json(), encoding="utf-8")
    save_artifact(folder / "prompt.safetensors", {"prompt.vectors": np.zeros((1, 2), np.float32)}, {"format": 1})
    chances = np.full((len(truth), 2), 0.5)
    write_predictions(folder / "predictions.tsv", task.labels, truth, [0] * len(truth), chances, task.test)
    return str(folder)


class Pool:
    """Carries out orders by inventing their files; may fail or die."""

    def __init__(self, tmp_path: Path, *, die_after: int = 10**6, fail: str = "", bug: str = "") -> None:
        self._place, self._left, self._fail, self._bug = tmp_path / "pool", die_after, fail, bug
        self.seen: list[str] = []
        self.orders: list[Order] = []

    def __call__(self, orders: list[Order], jobs: int) -> Iterator[Outcome]:
        for order in orders:
            if self._left == 0:
                raise DiedError
            self._left -= 1
            self.seen.append(order.key)
            self.orders.append(order)
            strategy = json.loads(order.config)["strategy"]
            if strategy == self._fail:
                yield Outcome(order.key, "", "training diverged; lower --lr.", bad_input=True)
            elif strategy == self._bug:
                yield Outcome(order.key, "", "its process ended with code 1\nTraceback")
            else:
                yield Outcome(order.key, result_of(order, self._place / order.key))
