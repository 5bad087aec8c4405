"""The store is written by one process only, and whatever it was doing when it died, it goes on."""

from __future__ import annotations

import errno
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from promptkit import UserError
from promptkit.comparison import Experiment, compare
from promptkit.comparison.orders import Order, Outcome
from promptkit.config import RunConfig
from promptkit.plan import make_plan
from promptkit.runs import (
    BackboneInfo,
    Cost,
    LearntParameters,
    RunOptions,
    RunRecord,
    Scores,
    Seconds,
    Store,
    TaskInfo,
    save_artifact,
    write_predictions,
)

Make = Callable[..., Experiment]


class DiedError(BaseException):
    """Stands in for a kill."""


def files_of(order: Order, folder: Path) -> dict[str, bytes]:
    """The files of a run that nobody trained."""
    config = RunConfig.model_validate_json(order.config)
    plan = make_plan(config)
    task = plan.task
    truth = [task.label_index(example.label) for example in task.test]
    scores = Scores(accuracy=0.5, f1=0.5, n=len(truth), majority=0.5)
    record = RunRecord(
        options=RunOptions(
            strategy=config.strategy, data=config.data, model=config.model, templates=("{text} {mask}",),
            verbalizer=None, readout="cloze", slots="same", shots=config.shots, seed=config.seed, epochs=1, lr=0.1,
            batch_size=4, weight_decay=0.0, max_length=40, device="CPU", mode="graph",
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
    return {path.name: path.read_bytes() for path in folder.iterdir()}


class Pool:
    """Carries out orders by inventing their files; may fail or die."""

    def __init__(self, tmp_path: Path, *, die_after: int = 10**6, fail: str = "", bug: str = "") -> None:
        self._place, self._left, self._fail, self._bug = tmp_path / "pool", die_after, fail, bug
        self.seen: list[str] = []

    def __call__(self, orders: list[Order], jobs: int) -> Iterator[Outcome]:
        for order in orders:
            if self._left == 0:
                raise DiedError
            self._left -= 1
            self.seen.append(order.key)
            strategy = json.loads(order.config)["strategy"]
            if strategy == self._fail:
                yield Outcome(order.key, {}, "training diverged; lower --lr.", bad_input=True)
            elif strategy == self._bug:
                yield Outcome(order.key, {}, "its process ended with code 1\nTraceback")
            else:
                yield Outcome(order.key, files_of(order, self._place / order.key))


@pytest.fixture
def pool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Pool]:
    def use(**how: Any) -> Pool:
        made = Pool(tmp_path, **how)
        monkeypatch.setattr("promptkit.comparison.coordinator.run_here", made)
        return made

    return use


def test_finished_cells_are_not_run_again(tiny: Make, tmp_path: Path, pool: Callable[..., Pool]) -> None:
    experiment, store = tiny(strategies=["pet", "soft"]), tmp_path / "s"
    first = pool(die_after=3)
    with pytest.raises(DiedError):
        compare(experiment, store=store)
    second = pool()
    result = compare(experiment, store=store)
    assert len(first.seen) == 3
    assert (result.ran, result.found, result.comparison.missing) == (2, 3, 0)
    assert not set(first.seen) & set(second.seen)
    third = pool()
    assert compare(experiment, store=store).ran == 0
    assert third.seen == []


def test_another_comparison_takes_over_the_cells_it_shares(
    tiny: Make, tmp_path: Path, pool: Callable[..., Pool]
) -> None:
    pool()
    compare(tiny(strategies=["pet"], seeds=2), store=tmp_path / "s")
    result = compare(tiny(strategies=["pet", "soft"], seeds=3), store=tmp_path / "s")
    assert (result.found, result.ran) == (3, 4)
    with Store.open(tmp_path / "s") as store:
        assert len(store.comparisons()) == 2


@pytest.mark.parametrize("moment", ["before the directory", "before the row", "before the state is cleared"])
def test_a_death_while_a_run_is_stored_loses_and_doubles_nothing(
    tiny: Make, tmp_path: Path, pool: Callable[..., Pool], monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    def die(*_: Any, **__: Any) -> Any:
        raise DiedError

    target = {
        "before the directory": "promptkit.comparison.coordinator.RunDirectory.create",
        "before the row": "promptkit.comparison.coordinator.read_predictions",
        "before the state is cleared": "promptkit.comparison.coordinator.clear",
    }[moment]
    experiment = tiny(strategies=["soft"], seeds=1)
    pool()
    with monkeypatch.context() as patch:
        patch.setattr(target, die)
        with pytest.raises(DiedError):
            compare(experiment, store=tmp_path / "s")
    again = pool()
    result = compare(experiment, store=tmp_path / "s")
    assert result.comparison.missing == 0
    # Once the directory is in place the run counts as finished.
    assert len(again.seen) == (2 if moment == "before the directory" else 1)
    with Store.open(tmp_path / "s") as store:
        keys = [run.key for run in store.runs()]
        assert len(keys) == len(set(keys))
        directories = [run.directory for run in store.runs() if run.directory]
    assert all((d / "run.json").is_file() for d in directories)
    assert sorted(p.name for p in (tmp_path / "s").iterdir() if p.name.startswith(".")) == []


def test_a_cell_that_fails_takes_no_other_with_it(tiny: Make, tmp_path: Path, pool: Callable[..., Pool]) -> None:
    pool(fail="pet")
    said: list[str] = []
    result = compare(tiny(strategies=["pet", "soft"], seeds=1), store=tmp_path / "s", announce=said.append)
    assert result.failures == {"pet, 4 shots, seed 0": "training diverged; lower --lr."}
    assert (result.ran, result.bugs, result.comparison.missing) == (2, (), 1)
    assert any("failed: training diverged" in line for line in said)
    pool()
    assert compare(tiny(strategies=["pet", "soft"], seeds=1), store=tmp_path / "s").comparison.missing == 0


def test_a_bug_is_told_from_bad_input(tiny: Make, tmp_path: Path, pool: Callable[..., Pool]) -> None:
    pool(bug="soft")
    assert compare(tiny(strategies=["soft"], seeds=1), store=tmp_path / "s").bugs


def test_two_comparisons_at_once_do_not_write_to_one_store(
    tiny: Make, tmp_path: Path, pool: Callable[..., Pool], monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment = tiny(strategies=["soft"], seeds=1)
    inner = pool()

    def meanwhile(orders: list[Order], jobs: int) -> Iterator[Outcome]:
        with pytest.raises(UserError, match="another comparison is writing"):
            compare(experiment, store=tmp_path / "s")
        yield from inner(orders, jobs)

    monkeypatch.setattr("promptkit.comparison.coordinator.run_here", meanwhile)
    assert compare(experiment, store=tmp_path / "s").comparison.missing == 0


def test_a_full_disk_leaves_what_was_finished(
    tiny: Make, tmp_path: Path, pool: Callable[..., Pool], monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment = tiny(strategies=["soft"], seeds=2)
    pool()
    real, left = Path.write_bytes, [4]

    def fills_up(self: Path, data: bytes) -> int:
        left[0] -= 1
        if left[0] < 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(self, data)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", fills_up)
        with pytest.raises(OSError, match="No space left"):
            compare(experiment, store=tmp_path / "s")
    result = compare(experiment, store=tmp_path / "s")
    assert result.found == 1
    assert result.comparison.missing == 0


def test_a_dry_run_writes_nothing(tiny: Make, tmp_path: Path, pool: Callable[..., Pool]) -> None:
    made = pool()
    result = compare(tiny(strategies=["soft"]), store=tmp_path / "s", dry=True)
    assert made.seen == []
    assert result.comparison.entries == ()
    assert not (tmp_path / "s").exists()


def test_baselines_alone_need_no_model(tiny: Make, tmp_path: Path, pool: Callable[..., Pool]) -> None:
    pool()
    result = compare(tiny(strategies=[], model="no-such-model"), store=tmp_path / "s")
    assert {entry.cell.strategy for entry in result.comparison.entries} == {"majority", "tfidf"}
