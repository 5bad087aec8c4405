"""The keys of runs and baselines: they change with what a metric computes, and with nothing else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from models import GOLDENS

from promptkit.comparison import Experiment, compare
from promptkit.comparison.baselines import plan_baselines
from promptkit.evaluation.sources import metric_digest
from promptkit.running import metrics
from promptkit.running.loader import Loader
from promptkit.running.metrics import metric_marks
from promptkit.running.plan import Plan, make_plan

Make = Callable[..., Experiment]
CONSTANT = """
import datasets
import evaluate

from .figure import VALUE


class Constant(evaluate.Metric):
    def _info(self):
        value = datasets.Value("int64")
        features = datasets.Features({"predictions": value, "references": value})
        return evaluate.MetricInfo(description="", citation="", features=features)

    def _compute(self, predictions, references):
        return {"constant": VALUE}
"""


def write_constant(folder: Path, value: float) -> str:
    (folder / "figure.py").write_text(f"VALUE = {value}\n")
    (folder / "constant.py").write_text(CONSTANT)
    return str(folder / "constant.py")


def plan(experiment: Experiment, strategy: str = "hard") -> Plan:
    return make_plan(experiment.run_config(strategy, None, 4, 0), Loader())


def keys(experiment: Experiment) -> list[str]:
    return [plan(experiment).key, *(baseline.place.key for baseline in plan_baselines(experiment, Loader()))]


def test_without_metrics_the_keys_are_those_of_stores_there_are(tiny: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    for place in ("running.plan.__version__", "comparison.baselines.__version__"):
        monkeypatch.setattr(f"promptkit.{place}", "0.1.0")
    monkeypatch.setattr("promptkit.comparison.baselines._library_version", lambda: "1.9.1")
    experiment = tiny(model=str(GOLDENS / "bert-odd"), shots=[4], seeds=1, settings={"epochs": 1, "lr": 0.01})
    found = {strategy: plan(experiment, strategy) for strategy in ("hard", "soft")}
    for each in found.values():
        each.strategy_version = "0.1.0"
    runs = {strategy: each.key for strategy, each in found.items()}
    assert runs == {"hard": "974b496619cd2f5a", "soft": "9a7bd8f4a6e75770"}
    baselines = {it.place.strategy: it.place.key for it in plan_baselines(experiment, Loader())}
    assert baselines == {"majority": "81ea999f08cfb612", "tfidf": "7e389cbba00da4e5"}


def test_a_metric_in_a_file_counts_with_what_it_and_its_siblings_hold(tiny: Make, tmp_path: Path) -> None:
    experiment = tiny(settings={"metrics": [write_constant(tmp_path, 1.0)]}, seeds=1)
    before = keys(experiment)
    assert keys(experiment) == before
    assert not set(before) & set(keys(tiny(seeds=1)))
    write_constant(tmp_path, 2.0)
    assert not set(before) & set(keys(experiment))
    write_constant(tmp_path, 1.0)
    assert keys(experiment) == before


def test_a_folder_counts_as_the_module_in_it(tmp_path: Path) -> None:
    (tmp_path / "constant").mkdir()
    file = write_constant(tmp_path / "constant", 1.0)
    (mark,) = metric_marks([str(tmp_path / "constant")])
    assert mark == [str(tmp_path / "constant"), metric_digest(Path(file))]


def test_what_a_plugin_registers_counts_with_its_version(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = SimpleNamespace(origin=SimpleNamespace(version="1.0"))
    known: dict[str, Any] = {"kappa": entry, "f1": entry}
    monkeypatch.setattr(metrics, "get_host", lambda: SimpleNamespace(metrics=known))
    assert metric_marks(["kappa", "f1", "f1:good", "hub:mcc"]) == [["kappa", "1.0"], "f1", "f1:good", "hub:mcc"]


def test_baselines_have_the_metrics_that_are_asked_for_later(tiny: Make, tmp_path: Path) -> None:
    def figures(**settings: Any) -> list[dict[str, float | None]]:
        experiment = tiny(strategies=[], shots=["full"], settings=settings)
        entries = compare(experiment, store=tmp_path / "store").comparison.entries
        return [entry.run.record.test.__pydantic_extra__ for entry in entries if entry.run]

    assert figures() == [{}, {}]
    assert [set(each) for each in figures(metrics=["f1:positive"])] == [{"f1:positive"}] * 2
    for value in (1.0, 20.5):
        assert figures(metrics=[write_constant(tmp_path, value)]) == [{"constant": value}] * 2
