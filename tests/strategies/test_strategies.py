"""The built-in strategies, through the same door a user takes; some have a file of their own beside this one."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from models import load, prompt_task

pytest.importorskip("mindspore")

import promptkit
from promptkit import UserError
from promptkit.hooks import get_host
from promptkit.running.aims import _warn_if_no_better
from promptkit.runs import Scores

Run = Callable[..., Any]
REPO = Path(__file__).resolve().parents[2]
SOFT = "{soft:4}{text} it was {mask} ."
HARD = "{text} it was {mask} ."
# For what any run shows: one step, eagerly, where compiling would take most of the time.
BRIEF: dict[str, Any] = {"mode": "pynative", "shots": 2, "limit": 4}


def test_a_strategy_learns_a_separable_task_and_test_shows_it(tiny_run: Run) -> None:
    """That losses fall, and what learns, is asked of every strategy by the kit (test_kit.py)."""
    settings: dict[str, Any] = {"readout": "head", "epochs": 15, "lr": 0.1, "patience": 0}
    record = tiny_run("soft", templates=("{soft:4}{text}",), **settings).record
    assert record.test.accuracy > record.test.majority + 0.3


def test_parameters_are_counted_apart(tiny_run: Run) -> None:
    hidden = 24
    soft = tiny_run("soft", templates=("{soft:4}{text}",), readout="head", epochs=1, **BRIEF).record.parameters
    assert (soft.prompt, soft.encoder, soft.head) == (4 * hidden, 0, 2 * hidden + 2)
    cloze = tiny_run("soft", templates=(SOFT,), epochs=1, **BRIEF).record.parameters
    assert (cloze.prompt, cloze.head) == (4 * hidden, 0)
    pet = tiny_run("pet", templates=(HARD,), epochs=1, **BRIEF).record.parameters
    assert pet.head == hidden * hidden + hidden + 2 * hidden + 2
    hard = tiny_run("hard", templates=(HARD,), **BRIEF).record.parameters
    assert hard.total == 0


@pytest.mark.parametrize(
    ("strategy", "settings"),
    [
        ("hard", {"templates": ("{text}",), "readout": "head"}),
        ("pet", {"templates": (HARD, "{text} all in all {mask}"), "epochs": 2}),
        ("pet", {"templates": (HARD,), "epochs": 1, "options": {"tune": "all"}}),
        ("soft", {"templates": ("{soft:4}{text}",), "readout": "head", "epochs": 2}),
    ],
)
def test_a_loaded_prompt_predicts_what_the_run_predicted(
    tiny_run: Run, tiny_data: Path, tmp_path: Path, strategy: str, settings: dict[str, Any]
) -> None:
    result = tiny_run(strategy, out=tmp_path / "run", **settings)
    texts = [line.split("\t")[1] for line in (tiny_data / "test.tsv").read_text().splitlines()[1:]]
    loaded = promptkit.load(tmp_path / "run").probabilities(texts)
    assert np.abs(loaded - result.probabilities).max() < 1e-6


def test_p_tuning_folds_without_a_change_and_keeps_only_vectors(tiny_run: Run, tmp_path: Path) -> None:
    from promptkit.nn import count_parameters, tensors

    backbone = load("bert-odd")
    task = prompt_task(backbone.tokenizer, SOFT)
    strategy = get_host().strategy("ptuning").cls()
    model = strategy.build(backbone, task)
    folded = strategy.fold(model)
    batch = tensors(task.encode(["the film is good", "bad"]).inputs)
    assert np.array_equal(model(batch).asnumpy(), folded(batch).asnumpy())
    assert count_parameters(model)["encoder"] > 0
    assert {path: p.shape for path, p in folded.own_parameters().items()} == {"prompt.vectors": (4, 24)}


def test_tuning_the_whole_model_leaves_the_shared_backbone_alone() -> None:
    from promptkit.nn import count_parameters
    from promptkit.strategies.contract import parse_options

    backbone = load("bert-odd")
    task = prompt_task(backbone.tokenizer, HARD)
    pet = get_host().strategy("pet").cls
    model = pet(parse_options(pet, {"tune": "all"})).build(backbone, task)
    assert count_parameters(model)["backbone"] > 10_000
    assert not backbone.trainable_params()


def test_calibration_divides_by_what_content_free_texts_score(tiny_run: Run) -> None:
    """Zhao et al. 2021: p / p_cf, normalised. Calibrated content-free text is undecided on average."""
    plain = tiny_run("hard", templates=(HARD,), mode="pynative").probabilities
    options = {"calibrate": "content-free"}
    calibrated = tiny_run("hard", templates=(HARD,), mode="pynative", options=options).probabilities
    ratio = calibrated / plain
    odds = ratio[:, 0] / ratio[:, 1]
    assert np.allclose(odds, odds[0], rtol=1e-4)
    assert abs(np.log(odds[0])) > 1e-3


def test_several_templates_are_averaged(tiny_run: Run) -> None:
    one, two = "{text} it was {mask} .", "{mask} ! {text}"
    logs = [np.log(tiny_run("hard", templates=(t,), mode="pynative").probabilities) for t in (one, two)]
    mean = np.exp(np.mean(logs, axis=0))
    both = tiny_run("hard", templates=(one, two), mode="pynative").probabilities
    assert np.allclose(both, mean / mean.sum(-1, keepdims=True), atol=1e-6)


def test_soft_tokens_go_in_front_of_a_template_that_names_none(tiny_run: Run) -> None:
    options = tiny_run("soft", templates=(HARD,), epochs=1, options={"tokens": 3}, **BRIEF).record.options
    assert options.templates == ("{soft:3}" + HARD,)


@pytest.mark.parametrize(
    "template", ["{soft:3}{text} {mask}", "{text} {soft:3} {mask}", "{soft:1}{text}{soft:2}{mask}"]
)
def test_virtual_tokens_learn_wherever_they_stand(tiny_run: Run, template: str) -> None:
    record = tiny_run("soft", templates=(template,), epochs=6, lr=0.1).record
    assert record.parameters.prompt == 3 * 24
    assert min(e.loss for e in record.history) < record.history[0].loss


def test_graph_mode_and_pynative_mode_give_the_same_run(tiny_run: Run) -> None:
    runs = [tiny_run("soft", templates=(SOFT,), epochs=2, mode=mode) for mode in ("graph", "pynative")]
    assert runs[0].record.options.mode == "graph"
    assert np.abs(runs[0].probabilities - runs[1].probabilities).max() < 1e-4


def test_no_training_for_zero_epochs(tiny_run: Run) -> None:
    record = tiny_run("soft", templates=(SOFT,), epochs=0).record
    assert record.parameters.total == 0
    assert record.epochs_run == 0


def test_a_prompt_no_better_than_the_majority_is_warned_of(tiny_run: Run) -> None:
    warnings = tiny_run("soft", templates=(SOFT,), epochs=1, lr=1e-9).record.warnings
    assert any("the majority class" in warning for warning in warnings)


@pytest.mark.parametrize(
    ("strategy", "settings", "hinted"),
    [
        ("soft", {"templates": (SOFT,), "epochs": 1, "lr": 1e-9}, True),
        ("hard", {"options": {"calibrate": "median"}}, False),
        ("probe", {}, False),
        ("autoprompt", {"options": {"tokens": 1, "iterations": 1}}, False),
    ],
)
def test_other_training_settings_are_advised_only_where_they_change_something(
    tiny_run: Run, strategy: str, settings: dict[str, Any], hinted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    import promptkit.evaluation

    verdicts = iter((True, False))  # of what it answered, and of all answers being right
    monkeypatch.setattr(promptkit.evaluation, "no_better_than_majority", lambda *_: next(verdicts))
    warnings = tiny_run(strategy, **BRIEF, **settings).record.warnings
    (warning,) = (each for each in warnings if "the majority class" in each)
    assert warning.endswith("Try another --lr or more --epochs.") == hinted


@pytest.mark.parametrize(
    ("right", "n", "majority", "fold", "said"),
    [
        (50, 100, 0.5, None, "0.500 on 100 test examples is no better than always .* more --epochs.$"),
        (55, 100, 0.5, None, "0.550 on 100 test examples cannot be told from always .* more --epochs.$"),
        (
            11,
            11,
            10 / 11,
            None,
            "1.000 on 11 test examples cannot be told from .* by --folds of 'promptkit compare'.$",
        ),
        (3, 4, 0.75, (1, 3), None),
        (80, 100, 0.5, None, None),
    ],
)
def test_a_score_that_is_higher_is_not_called_no_better(
    right: int, n: int, majority: float, fold: Any, said: str | None
) -> None:
    told: list[str] = []
    plan: Any = SimpleNamespace(config=SimpleNamespace(fold=fold), warn=told.append)
    _warn_if_no_better(plan, Scores(accuracy=right / n, f1=0.5, n=n, majority=majority), learnt=True)
    assert [bool(re.search(said, text)) for text in told] == ([True] if said else [])


def test_a_fixed_template_strategy_refuses_virtual_tokens(tiny_run: Run) -> None:
    with pytest.raises(UserError, match="virtual tokens"):
        tiny_run("hard", templates=(SOFT,))


@pytest.mark.parametrize("name", sorted(get_host().strategies))
def test_built_in_strategies_import_only_public_names(name: str) -> None:
    """They are shaped like a third party's: `promptkit`, `promptkit.nn`, themselves, and libraries."""
    plugin = get_host().strategies[name].cls.__module__.removeprefix("promptkit_")
    paths = sorted((REPO / "plugins" / f"promptkit_{plugin}").glob("*.py"))
    assert paths
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
                if node.module == "promptkit":
                    assert {alias.name for alias in node.names} <= set(promptkit.__all__), path
            for name in names:
                if name.startswith("promptkit") and not name.startswith(f"promptkit_{plugin}"):
                    assert name in {"promptkit", "promptkit.nn"}, f"{path.name} imports {name}"


def test_the_record_says_how_full_the_rows_were_and_how_many_tokens_went_through(tiny_run: Run) -> None:
    cost = tiny_run("soft", templates=(SOFT,), epochs=1, mode="pynative").record.cost
    assert cost.tokens_per_second > 0
    assert 0.0 <= cost.padded_share < 0.5


def test_a_metric_that_fails_does_not_throw_the_run_away(tiny_run: Run, tmp_path: Path, capsys: Any) -> None:
    """It loads, so it passes the check before the training; what it does with answers shows only behind it."""
    from promptkit.reports import result_table
    from promptkit.runs import RunRecord

    (tmp_path / "fails.py").write_text(
        "import datasets, evaluate\n"
        "class Fails(evaluate.Metric):\n"
        "    def _info(self):\n"
        "        kinds = {name: datasets.Value('int64') for name in ('predictions', 'references')}\n"
        "        return evaluate.MetricInfo(\n"
        "            description='', citation='', inputs_description='', features=datasets.Features(kinds)\n"
        "        )\n"
        "    def _compute(self, predictions, references):\n"
        "        raise ValueError('pos_label=1 is not a valid label')\n",
        encoding="utf-8",
    )
    settings = {"templates": (SOFT,), "epochs": 1, "out": tmp_path / "run", **BRIEF}
    result = tiny_run("soft", metrics=(str(tmp_path / "fails.py"),), **settings)
    assert result.directory == tmp_path / "run"
    record = RunRecord.read(tmp_path / "run")
    assert record.test.__pydantic_extra__ == {"fails": None} == record.dev.__pydantic_extra__
    assert record.test.accuracy is not None
    (warning,) = [each for each in record.warnings if "metric" in each]
    assert warning.endswith("failed: ValueError: pos_label=1 is not a valid label; its value is missing")
    headers, _, row = result_table([record]).splitlines()
    assert "fails" in headers
    assert " - " in row


@pytest.fixture(scope="module")
def predictor(tiny_run: Run, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A hard prompt, loaded."""
    folder = tmp_path_factory.mktemp("hard") / "run"
    tiny_run("hard", templates=(HARD,), out=folder, **BRIEF)
    return promptkit.load(folder)


@pytest.mark.parametrize("text", ["Great.", {"text": "Great."}])
def test_a_single_text_is_not_taken_for_texts(predictor: Any, text: Any) -> None:
    """The characters of a text are no texts, nor are the keys of a mapping."""
    for ask in (predictor.predict, predictor.probabilities):
        with pytest.raises(UserError, match=r"put a single one into a list: \[text\]"):
            ask(text)
    assert predictor.predict([]) == []
    assert len(predictor.predict([text])) == 1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (float("nan"), r"text 2 is a float, and no text"),
        ({"text": None}, r"text 2: \{text\} is nothing, and no text"),
        ("a\ud800", r"text 2: \{text\} holds half a surrogate pair"),
    ],
)
def test_what_is_no_text_is_refused_in_one_line(predictor: Any, text: Any, said: str) -> None:
    with pytest.raises(UserError, match=said):
        predictor.predict(["fine", text])
    with pytest.raises(UserError, match="batch_size is 0"):
        predictor.predict(["fine"], batch_size=0)
