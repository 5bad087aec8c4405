"""The plugins for MLflow and SwanLab: with the packages themselves where they are installed, else with stand-ins.

What is asked of the stand-ins was tried against MLflow 3.17 with a store in SQLite, and against SwanLab 0.10.
"""

from __future__ import annotations

import importlib.util
import json
import re
import sys
from pathlib import Path
from types import MappingProxyType, ModuleType, SimpleNamespace
from typing import Any

import pytest
from fake_runs import fake_record

from promptkit import EpochInfo, RunInfo, RunOutcome
from promptkit.hooks import PluginHost
from promptkit.runs import RunRecord

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGE = (DOCS / "hooks.md").read_text(encoding="utf-8")
EXAMPLE = DOCS / "examples" / "promptkit-mlflow"
RECORD = fake_record()
SETTINGS = RECORD.options.model_dump(mode="json")


def about(*, resumed: bool = False, key: str = "0123456789abcdef") -> RunInfo:
    return RunInfo(key, "soft", "reviews-en", "promptkit-mini", 16, 0, MappingProxyType(SETTINGS), resumed)


def passes() -> list[EpochInfo]:
    """Two passes; dev is scored after the second."""
    return [EpochInfo(1, 0, 0.75, None, None, 0.3, 1.0), EpochInfo(2, 0, 0.5, 0.625, 0.65, 0.15, 2.0)]


def module_of(source: str, name: str) -> ModuleType:
    module = ModuleType(name)
    exec(compile(source, name, "exec"), vars(module))
    return module


class FakeMlflow(ModuleType):
    """MLflow as far as the plugin uses it, in memory."""

    def __init__(self) -> None:
        super().__init__("mlflow")
        self.runs: dict[str, Any] = {}
        self._files: dict[str, list[str]] = {}
        self.MlflowClient = lambda: self

    def set_experiment(self, name: str) -> Any:
        return SimpleNamespace(experiment_id=name)

    def get_experiment_by_name(self, name: str) -> Any:
        return SimpleNamespace(experiment_id=name)

    def create_run(self, experiment_id: str, *, tags: dict[str, str], run_name: str) -> Any:
        info = SimpleNamespace(run_id=str(len(self.runs)), status="RUNNING", run_name=run_name)
        run = SimpleNamespace(info=info, data=SimpleNamespace(params={}, metrics={}, tags=dict(tags)))
        self.runs[info.run_id], self._files[info.run_id] = run, []
        return run

    def search_runs(self, experiment_ids: list[str], filter_string: str = "", *, max_results: int = 10) -> list[Any]:
        wanted = re.search(r"tags.key = '(\w+)'", filter_string)
        found = [run for run in self.runs.values() if wanted is None or run.data.tags["key"] == wanted[1]]
        return found[:max_results]

    def update_run(self, run_id: str, *, status: str) -> None:
        self.runs[run_id].info.status = status

    def set_terminated(self, run_id: str, status: str) -> None:
        self.update_run(run_id, status=status)

    def set_tag(self, run_id: str, key: str, value: str) -> None:
        self.runs[run_id].data.tags[key] = value

    def log_params(self, params: dict[str, Any], *, run_id: str) -> None:
        self.runs[run_id].data.params |= {key: str(value) for key, value in params.items()}

    def log_metrics(self, metrics: dict[str, float], step: int = 0, *, run_id: str) -> None:
        assert all(isinstance(value, int | float) for value in metrics.values())
        self.runs[run_id].data.metrics |= metrics

    def log_artifact(self, run_id: str, local_path: str) -> None:
        self._files[run_id].append(Path(local_path).name)

    def list_artifacts(self, run_id: str) -> list[Any]:
        return [SimpleNamespace(path=name) for name in self._files[run_id]]


@pytest.fixture
def mlflow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    if importlib.util.find_spec("mlflow") is None:
        monkeypatch.setitem(sys.modules, "mlflow", FakeMlflow())
    import mlflow

    return mlflow


@pytest.fixture
def plugin() -> Any:
    module = module_of((EXAMPLE / "promptkit_mlflow.py").read_text(encoding="utf-8"), "promptkit_mlflow")
    assert PluginHost.from_plugins({"mlflow": module}).refusals == []
    return module


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A run's directory."""
    place = tmp_path / "run"
    place.mkdir()
    for name in ("run.json", "prompt.safetensors", "predictions.tsv"):
        (place / name).write_text("{}", encoding="utf-8")
    return place


@pytest.mark.parametrize(("file", "kind"), [("promptkit_mlflow.py", "python"), ("pyproject.toml", "toml")])
def test_the_page_shows_the_example_word_for_word(file: str, kind: str) -> None:
    assert f"```{kind}\n{(EXAMPLE / file).read_text(encoding='utf-8')}```\n" in PAGE


def test_mlflow_has_settings_passes_scores_and_the_prompt(mlflow: Any, plugin: Any, directory: Path) -> None:
    run, outcome = about(), RunOutcome("finished", RECORD, directory)
    plugin.promptkit_run_started(run)
    for epoch in passes():
        plugin.promptkit_epoch_ended(run, epoch)
    plugin.promptkit_run_ended(run, outcome)
    client = mlflow.MlflowClient()
    (found,) = client.search_runs([client.get_experiment_by_name("promptkit").experiment_id])
    assert (found.info.status, found.info.run_name) == ("FINISHED", "soft, 16, seed 0")
    # A strategy may have an option of the name of a setting, as lmbff has `templates`.
    options = {f"option.{name}": value for name, value in SETTINGS["strategy_options"].items()}
    told = {**{name: value for name, value in SETTINGS.items() if name != "strategy_options"}, **options}
    assert found.data.params == {name: str(value) for name, value in told.items()}
    assert found.data.metrics == {
        "template0.loss": 0.5, "template0.dev_accuracy": 0.625, "template0.dev_loss": 0.65, "template0.lr": 0.15,
        "dev.accuracy": 0.625, "test.accuracy": 0.75, "seconds": 12.5, "parameters": 3840,
    }  # fmt: skip
    assert {file.path for file in client.list_artifacts(found.info.run_id)} == {"run.json", "prompt.safetensors"}
    assert plugin.opened == {}


def test_a_run_of_texts_is_closed_with_its_perplexity(mlflow: Any, plugin: Any, directory: Path) -> None:
    texts = {"accuracy": None, "f1": None, "majority": None, "n": 4, "perplexity": 3.5}
    record = RunRecord.from_json(json.dumps({**json.loads(RECORD.to_json()), "dev": texts, "test": texts}))
    plugin.promptkit_run_started(about())
    plugin.promptkit_epoch_ended(about(), EpochInfo(1, 0, 0.75, None, None, 0.3, 1.0, 2))
    plugin.promptkit_run_ended(about(), RunOutcome("finished", record, directory))
    (found,) = mlflow.MlflowClient().search_runs(
        [mlflow.MlflowClient().get_experiment_by_name("promptkit").experiment_id]
    )
    assert found.info.status == "FINISHED"
    assert found.data.metrics["test.perplexity"] == 3.5
    assert found.data.metrics["round2.template0.loss"] == 0.75


def test_mlflow_goes_on_with_a_run_that_was_interrupted(mlflow: Any, plugin: Any, directory: Path) -> None:
    def found() -> Any:
        client = mlflow.MlflowClient()
        experiment = client.get_experiment_by_name("promptkit").experiment_id
        return client.search_runs([experiment], "tags.key = '0123456789abcdef'")

    plugin.promptkit_run_started(about(key="another"))
    plugin.promptkit_run_started(about())
    plugin.promptkit_run_ended(about(), RunOutcome("interrupted"))
    assert [run.info.status for run in found()] == ["KILLED"]
    plugin.promptkit_run_started(about(resumed=True))
    assert [run.info.status for run in found()] == ["RUNNING"]
    plugin.promptkit_run_ended(about(resumed=True), RunOutcome("failed", failure="training diverged; lower --lr."))
    (run,) = found()
    assert (run.info.status, run.data.tags["failure"]) == ("FAILED", "training diverged; lower --lr.")
    # As it is told where its own start failed: there is nothing to close.
    plugin.promptkit_run_ended(about(), RunOutcome("finished", RECORD, directory))
    assert len(found()) == 1


class FakeSwanlab(ModuleType):
    """SwanLab as far as the page uses it; it knows what was logged, and how it ended."""

    def __init__(self) -> None:
        super().__init__("swanlab")
        self.told: list[Any] = []

    def init(self, *, project: str, name: str, config: dict[str, Any], mode: str) -> None:
        self.told.append((project, name, config["lr"], mode))

    def log(self, data: dict[str, Any], step: int | None = None) -> None:
        self.told.append((data, step))

    def finish(self, *, state: str, error: str | None) -> None:
        self.told.append((state, error))


@pytest.mark.parametrize(
    ("outcome", "last"),
    [
        (RunOutcome("finished", RECORD), [({"test_accuracy": 0.75}, None), ("success", None)]),
        (RunOutcome("failed", failure="no."), [("crashed", "no.")]),
        (RunOutcome("interrupted"), [("aborted", None)]),
    ],
    ids=["finished", "failed", "interrupted"],
)
def test_swanlab_is_told_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, outcome: RunOutcome, last: list[Any]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SWANLAB_MODE", raising=False)
    real = importlib.util.find_spec("swanlab") is not None
    fake = FakeSwanlab()
    if not real:
        monkeypatch.setitem(sys.modules, "swanlab", fake)
    (code,) = re.findall(r"^```python\n(.*?)^```", PAGE.split("\n## Runs in SwanLab\n")[1], re.M | re.S)
    module = module_of(code, "promptkit_swanlab")
    assert PluginHost.from_plugins({"swanlab": module}).refusals == []
    module.promptkit_run_started(about())
    for epoch in passes():
        module.promptkit_epoch_ended(about(), epoch)
    module.promptkit_run_ended(about(), outcome)
    if real:
        assert list((tmp_path / "swanlog").iterdir())
        return
    begun, *rest = fake.told
    assert begun == ("promptkit", "soft, seed 0", SETTINGS["lr"], "offline")
    dev = {"template0/dev_accuracy": 0.625, "template0/dev_loss": 0.65}
    assert rest[:2] == [({"template0/loss": 0.75}, 1), ({"template0/loss": 0.5, **dev}, 2)]
    assert rest[2:] == last
