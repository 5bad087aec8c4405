"""An artifact belongs to one model: its weights, its configuration and its tokenizer."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from models import GOLDENS

pytest.importorskip("mindspore")

import promptkit
from promptkit import UserError
from promptkit.backbones.native.engine import NativeEngine
from promptkit.cli import main
from promptkit.running.config import make_config
from promptkit.running.plan import make_plan
from promptkit.runs import load_artifact, save_artifact

Run = Callable[..., Any]


def swap_in_vocab(folder: Path) -> None:
    path = folder / "vocab.txt"
    path.write_text(
        path.read_text(encoding="utf-8").replace("\ngreat\n", "\n#\n").replace("\nbad\n", "\ngreat\n")
        .replace("\n#\n", "\nbad\n"),
        encoding="utf-8",
    )  # fmt: skip


def swap_in_json(folder: Path) -> None:
    path = folder / "tokenizer.json"
    whole = json.loads(path.read_text(encoding="utf-8"))
    vocabulary = whole["model"]["vocab"]
    one, two = [piece for piece in vocabulary if piece.startswith("Ġ")][:2]
    vocabulary[one], vocabulary[two] = vocabulary[two], vocabulary[one]
    path.write_text(json.dumps(whole, ensure_ascii=False), encoding="utf-8")


def change_config(folder: Path) -> None:
    values = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    (folder / "config.json").write_text(json.dumps({**values, "layer_norm_eps": 1e-3}), encoding="utf-8")


def change_settings(folder: Path) -> None:
    (folder / "tokenizer_config.json").write_text('{"do_lower_case": false}', encoding="utf-8")


@pytest.mark.parametrize(
    ("golden", "change"),
    [
        ("bert-odd", swap_in_vocab),
        ("bert-odd", change_settings),
        ("bert-odd", change_config),
        ("roberta-odd", swap_in_json),
        ("roberta-odd", change_config),
    ],
)
def test_whatever_changes_numbers_changes_the_fingerprint(golden: str, change: Any, tmp_path: Path) -> None:
    model = Path(shutil.copytree(GOLDENS / golden, tmp_path / "model"))
    before = NativeEngine().describe(model)
    assert NativeEngine().describe(GOLDENS / golden).fingerprint == before.fingerprint
    change(model)
    after = NativeEngine().describe(model)
    assert after.fingerprint != before.fingerprint
    # What a checkpoint was known by before leaves the tokenizer out.
    assert (after.old_fingerprint != before.old_fingerprint) == (change is change_config)


@pytest.fixture
def learnt(tiny_run: Run, tmp_path: Path) -> Callable[..., Any]:
    """Run a strategy on a copy of the tiny model; returns the result."""

    def run(strategy: str, **settings: Any) -> Any:
        shutil.copytree(GOLDENS / "bert-odd", tmp_path / "model", dirs_exist_ok=True)
        own = {"epochs": 0, "mode": "pynative", "model": str(tmp_path / "model"), "out": tmp_path / "run"}
        return tiny_run(strategy, **{**own, **settings})

    return run


def test_another_tokenizer_is_refused_at_prediction_and_is_another_run(
    learnt: Any, tiny_data: Path, tmp_path: Path, capsys: Any
) -> None:
    def key() -> str:
        own = {"strategy": "soft", "data": str(tiny_data), "model": str(tmp_path / "model")}
        return make_plan(make_config(verbalizer="positive=great; negative=terrible", **own)).key

    learnt("soft")
    before = key()
    swap_in_vocab(tmp_path / "model")
    assert main(["predict", str(tmp_path / "run"), "the film is good"]) == 2
    error = capsys.readouterr().err
    assert "was made with another model than" in error
    assert "weights, configuration or tokenizer differ" in error
    assert error.count("\n") == 1
    # What compare looks for in the store.
    assert key() != before


def as_format_1(run: Path, model: Path) -> None:
    """Make an artifact what it was before the tokenizer counted and engines had names."""
    tensors, card = load_artifact(run / "prompt.safetensors")
    backbone = {**card["backbone"], "fingerprint": NativeEngine().describe(model).old_fingerprint}
    del backbone["engine"]
    save_artifact(run / "prompt.safetensors", tensors, {**card, "format": 1, "backbone": backbone})


@pytest.mark.parametrize(
    "settings", [{"strategy": "soft"}, {"strategy": "pet", "readout": "head", "templates": ("{text}",)}]
)
def test_an_artifact_of_format_1_answers_as_it_did_and_warns(
    learnt: Any, tiny_data: Path, tmp_path: Path, capsys: Any, settings: dict[str, Any]
) -> None:
    result = learnt(**settings)
    as_format_1(tmp_path / "run", tmp_path / "model")
    texts = [line.split("\t")[1] for line in (tiny_data / "test.tsv").read_text().splitlines()[1:]]
    found = promptkit.load(tmp_path / "run").probabilities(texts)
    assert np.abs(found - result.probabilities).max() < 1e-6
    error = capsys.readouterr().err
    assert error.startswith(f"warning: '{tmp_path / 'run'}' was made before the tokenizer counted")
    assert error.count("\n") == 1
    change_config(tmp_path / "model")
    with pytest.raises(UserError, match="was made with another model"):
        promptkit.load(tmp_path / "run")


@pytest.mark.parametrize("tune", ["head", "all"])
def test_weights_under_the_names_of_format_1_are_refused_in_one_line(
    learnt: Any, tmp_path: Path, capsys: Any, tune: str
) -> None:
    """Then the head held the label words' biases, `0.head.bias`, and the model's layers other names."""
    learnt("pet", options={"tune": tune}, templates=("{text} it was {mask} .",))
    as_format_1(tmp_path / "run", tmp_path / "model")
    assert main(["predict", str(tmp_path / "run"), "the film is good"]) == 2
    error = capsys.readouterr().err
    assert "weights of the language model as an older promptkit named them" in error
    assert error.count("\n") == 1
