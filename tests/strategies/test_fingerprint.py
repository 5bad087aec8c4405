"""An artifact belongs to one model: its weights, its configuration and its tokenizer."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from models import GOLDENS

pytest.importorskip("mindspore")

from promptkit.backbones.native.engine import NativeEngine
from promptkit.cli import main
from promptkit.running.config import make_config
from promptkit.running.plan import make_plan

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


def test_another_tokenizer_is_refused_at_prediction_and_is_another_run(
    tiny_run: Run, tiny_data: Path, tmp_path: Path, capsys: Any
) -> None:
    model = Path(shutil.copytree(GOLDENS / "bert-odd", tmp_path / "model"))

    def key() -> str:
        own = {"strategy": "soft", "data": str(tiny_data), "model": str(model)}
        return make_plan(make_config(verbalizer="positive=great; negative=terrible", **own)).key

    tiny_run("soft", epochs=0, mode="pynative", model=str(model), out=tmp_path / "run")
    before = key()
    swap_in_vocab(model)
    assert main(["predict", str(tmp_path / "run"), "the film is good"]) == 2
    error = capsys.readouterr().err
    assert "was made with another model than" in error
    assert "weights, configuration or tokenizer differ" in error
    assert error.count("\n") == 1
    # What compare looks for in the store.
    assert key() != before
