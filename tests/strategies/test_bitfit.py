"""`bitfit`: the biases learn and are kept, and nothing else of the model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from models import GOLDENS, load, prompt_task

pytest.importorskip("mindspore")

import promptkit
from promptkit import UserError
from promptkit.hooks import get_host
from promptkit.nn import ClozePrompt, count_parameters, tensors
from promptkit.runs import load_artifact

Run = Callable[..., Any]
TEMPLATE = "{text} it was {mask} ."
L, H, INNER = 3, 24, 40  # of the tiny BERT
BIASES = H + L * (3 * H + H + H + INNER + H + H)


def test_it_learns_a_separable_task_and_its_artifact_holds_biases_alone(
    tiny_run: Run, tiny_data: Path, tmp_path: Path
) -> None:
    settings = {"model": str(GOLDENS / "bert-odd"), "templates": (TEMPLATE,), "epochs": 30, "lr": 0.03, "patience": 0}
    result = tiny_run("bitfit", out=tmp_path / "run", **settings)
    record = result.record
    losses = [epoch.loss for epoch in record.history]
    assert min(losses) < 0.6 * losses[0]
    assert record.test.accuracy > record.test.majority + 0.3
    assert (record.parameters.backbone, record.parameters.total) == (BIASES, BIASES)
    assert (record.options.mode, record.options.readout) == ("graph", "cloze")
    kept, _ = load_artifact(tmp_path / "run" / "prompt.safetensors")
    assert sum(array.size for array in kept.values()) == BIASES
    assert all(name.endswith("bias") for name in kept)
    texts = [line.split("\t")[1] for line in (tiny_data / "test.tsv").read_text().splitlines()[1:]]
    loaded = promptkit.load(tmp_path / "run").probabilities(texts)
    assert np.abs(loaded - result.probabilities).max() < 1e-6


def test_before_it_learns_it_is_the_frozen_model_which_it_leaves_alone() -> None:
    backbone = load("bert-odd")
    strategy = get_host().strategy("bitfit").cls()
    task = prompt_task(backbone.tokenizer)
    model, plain = strategy.build(backbone, task), ClozePrompt(backbone, task)
    batch = tensors(task.encode(["the film is good", "bad"]).inputs)
    assert np.abs(model(batch).asnumpy() - plain(batch).asnumpy()).max() < 1e-5
    assert not backbone.trainable_params()
    headed = strategy.build(backbone, prompt_task(backbone.tokenizer, readout="head"))
    assert count_parameters(headed) == {"prompt": 0, "encoder": 0, "head": 2 * H + 2, "backbone": BIASES}


def test_a_template_with_virtual_tokens_is_refused(tiny_run: Run) -> None:
    with pytest.raises(UserError, match="virtual tokens"):
        tiny_run("bitfit", templates=("{soft:3}{text} {mask}",))
