"""The metrics are right, run without the network, and refuse in one line."""

from __future__ import annotations

import doctest
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import sklearn.metrics

from promptkit.errors import UserError
from promptkit.evaluation import BUILT_IN_METRICS, check_metric, compute, compute_texts, load_metric
from promptkit.hooks.entries import MetricEntry, Origin

LABELS = ("bad", "good", "mixed")

KAPPA = """
import datasets
import evaluate

from .helper import KEY


class Kappa(evaluate.Metric):
    def _info(self):
        value = datasets.Value("{dtype}")
        features = datasets.Features({{"predictions": value, "references": value}})
        return evaluate.MetricInfo(description="", citation="", features=features)

    def _compute(self, predictions, references):
        return {returned}
"""


def write_metric(
    folder: Path, result: str = "0.5", dtype: str = "int64", key: str = "kappa", returned: str | None = None
) -> Path:
    path = folder / "kappa.py"
    path.write_text(KAPPA.format(returned=returned or f"{{KEY: {result}}}", dtype=dtype))
    (folder / "helper.py").write_text(f"KEY = {key!r}\n")
    return path


def registered(path: Path) -> dict[str, MetricEntry]:
    return {"mine": MetricEntry("mine", Origin("own", "own-dist", "1.2"), path)}


@pytest.mark.parametrize("size", [1, 7, 300])
def test_f1_of_one_class_is_that_of_scikit_learn(size: int) -> None:
    rng = np.random.default_rng(size)
    true, guess = rng.integers(0, 3, size).tolist(), rng.integers(0, 3, size).tolist()
    values = compute([f"f1:{label}" for label in LABELS], guess, true, LABELS)
    expected = sklearn.metrics.f1_score(true, guess, average=None, labels=[0, 1, 2], zero_division=0)
    assert list(values) == ["f1:bad", "f1:good", "f1:mixed"]
    assert list(values.values()) == pytest.approx(expected.tolist(), abs=1e-12)


def test_f1_of_always_yes_on_mrpc_is_what_glue_reports() -> None:
    """1,147 of the 1,725 test pairs are paraphrases: 66.5 % and an F1 of 79.9."""
    true = [1] * 1147 + [0] * 578
    values = compute(["accuracy", "f1:1"], [1] * 1725, true, ("0", "1"))
    assert values == {
        "accuracy": pytest.approx(0.6649275),
        "f1:1": pytest.approx(2 * 1147 / (1147 + 1725)),
    }
    assert round(100 * values["f1:1"], 1) == 79.9


def test_f1_of_a_class_that_is_none() -> None:
    said = "^metric 'f1:goood': unknown label 'goood'. Did you mean 'good'. Known: bad, good, mixed"
    with pytest.raises(UserError, match=said):
        check_metric("f1:goood", LABELS)
    warned: list[str] = []
    assert compute(["f1:goood"], [0], [0], LABELS, warn=warned.append) == {"f1:goood": None}
    assert "unknown label 'goood'" in warned[0]


@pytest.mark.parametrize("name", sorted(BUILT_IN_METRICS))
def test_golden_numbers_of_the_docstring(name: str) -> None:
    module = sys.modules[type(load_metric(name)).__module__]
    result = doctest.testmod(module)
    assert result.attempted >= 4
    assert result.failed == 0


@pytest.mark.usefixtures("no_network")
def test_built_in_metrics_need_no_network() -> None:
    assert compute(["accuracy", "f1"], [0, 1, 1, 0], [0, 1, 0, 0], LABELS) == {
        "accuracy": 0.75,
        "f1": pytest.approx(11 / 15),
    }


def test_built_in_metrics_need_no_home(tmp_path: Path) -> None:
    script = (
        "import sys; from promptkit.evaluation import compute\n"
        "assert not {'evaluate', 'datasets', 'sklearn', 'scipy', 'mindspore'} & set(sys.modules)\n"
        "print(compute(['accuracy'], [0, 1], [0, 0], ('a', 'b')))"
    )
    environment = {"HOME": "/dev/null", "PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        env=environment,
        cwd=tmp_path,
        check=False,
    )
    assert done.stdout == "{'accuracy': 0.5}\n", done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("classes", "predicted"), [(2, 2), (3, 3), (5, 5), (3, 2), (5, 1)])
def test_agreement_with_scikit_learn_also_when_a_class_is_never_predicted(classes: int, predicted: int) -> None:
    rng = np.random.default_rng(classes * 10 + predicted)
    true = rng.integers(0, classes, 200).tolist()
    guess = rng.integers(0, predicted, 200).tolist()
    values = compute(["accuracy", "f1"], guess, true, [f"class {index}" for index in range(classes)])
    assert set(true) == set(range(classes))
    assert set(guess) == set(range(predicted))
    expected_f1 = sklearn.metrics.f1_score(true, guess, average="macro", labels=range(classes), zero_division=0)
    assert values["accuracy"] == pytest.approx(sklearn.metrics.accuracy_score(true, guess), abs=1e-12)
    assert values["f1"] == pytest.approx(expected_f1, abs=1e-12)


def test_built_in_modules_also_load_by_evaluate_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_network: None
) -> None:
    import evaluate

    monkeypatch.setattr("evaluate.config.HF_MODULES_CACHE", tmp_path / "modules")
    monkeypatch.setattr("datasets.config.HF_MODULES_CACHE", tmp_path / "modules")
    metric = evaluate.load(str(BUILT_IN_METRICS["f1"].parent), keep_in_memory=True, cache_dir=str(tmp_path))
    assert metric.compute(predictions=[0, 1, 1, 0], references=[0, 1, 0, 0])["f1"] == pytest.approx(11 / 15)


@pytest.mark.usefixtures("no_network")
def test_a_metric_by_path_by_folder_and_by_registered_name(tmp_path: Path) -> None:
    folder = tmp_path / "kappa"
    folder.mkdir()
    path = write_metric(folder)
    assert compute([str(path)], [0], [0], LABELS) == {"kappa": 0.5}
    assert compute([str(folder)], [0], [0], LABELS) == {"kappa": 0.5}
    assert compute(["mine"], [0], [0], LABELS, registry=registered(path)) == {"kappa": 0.5}


def test_an_edited_metric_file_is_read_again(tmp_path: Path) -> None:
    path = write_metric(tmp_path)
    compute([str(path)], [0], [0], LABELS)
    write_metric(tmp_path, result="0.25")
    assert compute([str(path)], [0], [0], LABELS) == {"kappa": 0.25}


def test_a_metric_on_strings_gets_the_class_names(tmp_path: Path) -> None:
    path = write_metric(tmp_path, dtype="string", result="float(predictions == ['good', 'mixed'])")
    assert compute([str(path)], [1, 2], [0, 0], LABELS) == {"kappa": 1.0}


def test_a_value_name_that_is_taken_is_written_with_the_metrics(tmp_path: Path) -> None:
    path = write_metric(tmp_path, key="accuracy")
    assert compute(["accuracy", str(path)], [0], [0], LABELS) == {"accuracy": 1.0, "kappa_accuracy": 0.5}


def test_a_metric_that_is_asked_for_again_is_computed_once() -> None:
    values = compute(["accuracy", "f1", "f1", "accuracy"], [0, 1, 1, 0], [0, 1, 0, 0], LABELS)
    assert list(values) == ["accuracy", "f1"]


def test_no_value_takes_the_place_of_another(tmp_path: Path) -> None:
    paths = []
    for folder in ("one", "two", "three"):
        (tmp_path / folder).mkdir()
        paths.append(str(write_metric(tmp_path / folder)))
    assert list(compute(paths, [0], [0], LABELS)) == ["kappa", "kappa_kappa", "kappa_kappa_2"]


@pytest.mark.parametrize("key", ["n", "majority", "perplexity"])
def test_a_value_is_not_called_what_a_record_says_of_a_split(tmp_path: Path, key: str) -> None:
    assert compute([str(write_metric(tmp_path, key=key))], [0], [0], LABELS) == {f"kappa_{key}": 0.5}


@pytest.mark.parametrize(
    ("result", "said"),
    [
        ("float('nan')", "gave nan for 'kappa'"),
        ("[1, 2]", r"gave \[1, 2\] for 'kappa', which is no number"),
        ("1 / 0", "failed: ZeroDivisionError"),
    ],
)
def test_a_metric_that_gives_no_numbers_is_refused(tmp_path: Path, result: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        compute([str(write_metric(tmp_path, result=result))], [0], [0], LABELS)


@pytest.mark.parametrize("returned", ["0.5", "__import__('numpy').float32(0.5)", "__import__('numpy').array(0.5)"])
def test_a_number_without_a_name_goes_by_the_metrics(tmp_path: Path, returned: str) -> None:
    path = write_metric(tmp_path, returned=returned)
    assert compute([str(path)], [0], [0], LABELS) == {"kappa": 0.5}
    assert compute(["mine"], [0], [0], LABELS, registered(path)) == {"mine": 0.5}


@pytest.mark.parametrize(
    ("returned", "said"),
    [
        ("None", "gave None for 'mine', which is no number"),
        ("(0.5, 0.7)", "gave (0.5, 0.7) for 'mine', which is no number"),
        ("{KEY: {'macro': 0.5}}", "gave {'macro': 0.5} for 'kappa', which is no number"),
        ("{KEY: float('inf')}", "gave inf for 'kappa'"),
        ("{}", "gave no value"),
        ("1 / 0", "failed: ZeroDivisionError: division by zero"),
    ],
)
def test_of_a_metric_that_a_plugin_registered_the_plugin_is_named(tmp_path: Path, returned: str, said: str) -> None:
    path = write_metric(tmp_path, returned=returned)
    with pytest.raises(UserError) as caught:
        compute(["mine"], [0], [0], LABELS, registered(path))
    assert str(caught.value) == f"metric 'mine' (plugin 'own' of own-dist 1.2) {said}"


def test_a_registered_metric_that_cannot_be_used_names_its_plugin(tmp_path: Path) -> None:
    path = write_metric(tmp_path)
    with pytest.raises(UserError, match=r"^metric 'mine' \(plugin 'own' of own-dist 1\.2\) is for classes; "):
        compute_texts(["mine"], ["a"], ["b"], registered(path))
    path.write_text("import no_such_module\n")
    with pytest.raises(UserError, match=r"^metric 'mine' \(plugin 'own' of own-dist 1\.2\) cannot be imported: "):
        check_metric("mine", LABELS, registered(path))


@pytest.mark.usefixtures("no_network")
def test_unknown_metric_is_refused_with_the_nearest_name_and_no_look_at_the_network() -> None:
    with pytest.raises(UserError, match=r"unknown metric 'acuracy'\. Did you mean 'accuracy'"):
        load_metric("acuracy")


def test_missing_broken_and_empty_metric_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is no file"):
        load_metric(str(tmp_path / "absent.py"))
    (tmp_path / "broken.py").write_text("import no_such_module\n")
    with pytest.raises(UserError, match="cannot be imported: ModuleNotFoundError"):
        load_metric(str(tmp_path / "broken.py"))
    (tmp_path / "empty.py").write_text("import evaluate\n")
    with pytest.raises(UserError, match=r"defines no subclass of evaluate\.Metric"):
        load_metric(str(tmp_path / "empty.py"))


def test_a_hub_metric_that_cannot_be_had_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str, **_: object) -> None:
        raise ConnectionError(f"no\nway to {name}")

    monkeypatch.setattr("evaluate.load", absent)
    with pytest.raises(UserError, match=r"'mcc' could not be had .*: ConnectionError: no way to mcc"):
        load_metric("hub:mcc")


@pytest.mark.parametrize(("predictions", "references"), [([], []), ([0], [0, 1]), ([3], [0]), ([0], [-1])])
def test_unfit_predictions_are_a_programming_error(predictions: list[int], references: list[int]) -> None:
    with pytest.raises(ValueError, match=r"cannot score|must lie between"):
        compute(["accuracy"], predictions, references, LABELS)


def test_a_metric_that_ends_the_process_is_one_line(tmp_path: Path) -> None:
    path = write_metric(tmp_path, result="__import__('sys').exit(0)")
    with pytest.raises(UserError, match=r"metric '.*' failed: SystemExit: 0"):
        compute([str(path)], [0], [0], LABELS)
    (tmp_path / "leaving.py").write_text("raise SystemExit(0)")
    with pytest.raises(UserError, match="cannot be imported: SystemExit: 0"):
        load_metric(str(tmp_path / "leaving.py"))


@pytest.mark.parametrize(
    ("result", "values", "said"),
    [
        ("1 / 0", {"kappa": None}, "failed: ZeroDivisionError: division by zero; its value is missing"),
        ("exec('raise SystemExit')", {"kappa": None}, "failed: SystemExit; its value is missing"),
        ("float('nan')", {"agreement": None}, "gave nan for 'agreement'; its value is missing"),
        ("'much'", {"kappa": None}, "gave 'much' for 'agreement', which is no number; its value is missing"),
    ],
)
def test_a_metric_that_fails_costs_its_own_value_where_somebody_is_told(
    tmp_path: Path, result: str, values: dict[str, None], said: str
) -> None:
    told: list[str] = []
    path = str(write_metric(tmp_path, result=result, key="agreement"))
    found = compute(["accuracy", path, "f1"], [0, 1], [0, 1], LABELS, warn=told.append)
    assert found == {"accuracy": 1.0, **values, "f1": 1.0}
    (line,) = told
    assert line.startswith(f"metric '{path}' ")
    assert line.endswith(said)


def test_a_metric_that_is_gone_by_the_end_of_the_training_costs_no_more() -> None:
    told: list[str] = []
    assert compute(["gone.py"], [0], [0], LABELS, warn=told.append) == {"gone": None}
    assert told == ["metric 'gone.py': there is no file 'gone.py'; its value is missing"]


def test_a_metric_that_takes_one_reference_or_several_is_one_on_strings(tmp_path: Path) -> None:
    """As BLEU, METEOR and chrF say what they take: a list of both."""
    source = KAPPA.format(returned="{KEY: float(predictions == references)}", dtype="string").replace(
        "features = datasets.Features(",
        'many = datasets.Features({"predictions": value, "references": datasets.Sequence(value)})\n'
        "        features = many, datasets.Features(",
    )
    (tmp_path / "kappa.py").write_text(source.replace("features=features", "features=list(features)"))
    (tmp_path / "helper.py").write_text("KEY = 'kappa'\n")
    assert compute([str(tmp_path / "kappa.py")], [0, 1], [0, 1], LABELS) == {"kappa": 1.0}
    assert compute_texts([str(tmp_path / "kappa.py")], ["a b"], ["a b"]) == {"kappa": 1.0}


@pytest.mark.parametrize("method", ["_info", "_download_and_prepare"])
def test_a_metric_that_cannot_be_made_is_one_line(tmp_path: Path, method: str) -> None:
    path = write_metric(tmp_path)
    broken = f"    def {method}(self, *_):\n        raise KeyError('a configuration')\n"
    path.write_text(
        path.read_text().replace("    def _info(self):", "    def _unused(self):") + "\n" + broken
        if method == "_info"
        else path.read_text() + "\n" + broken
    )
    with pytest.raises(UserError, match=r"^metric '.*kappa\.py' cannot be used: KeyError: 'a configuration'$"):
        check_metric(str(path), LABELS)
