"""`finetune`: a copy of the model learns, with dropout that a seed repeats, and scores without it."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from models import GOLDENS, load, prompt_task

pytest.importorskip("mindspore")

import mindspore as ms
from promptkit_finetune.model import FineTuned

import promptkit
from promptkit import UserError
from promptkit.nn import ClozePrompt, count_parameters, tensors

Run = Callable[..., Any]


def test_it_learns_a_separable_task_and_its_artifact_predicts_the_same(
    tiny_run: Run, tiny_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[weakref.ref[FineTuned]] = []
    initialise = FineTuned.__init__

    def noted(self: FineTuned, *given: Any, **more: Any) -> None:
        initialise(self, *given, **more)
        made.append(weakref.ref(self))

    monkeypatch.setattr(FineTuned, "__init__", noted)
    result = tiny_run(
        "finetune", model=str(GOLDENS / "bert-odd"), epochs=8, lr=3e-3, patience=0, out=tmp_path / "run"
    )
    record = result.record
    losses = [epoch.loss for epoch in record.history]
    assert min(losses) < 0.6 * losses[0]
    assert record.test.accuracy > record.test.majority + 0.3
    assert record.parameters.head == 2 * 24 + 2
    assert record.parameters.backbone > 10_000
    assert (record.options.mode, record.options.readout) == ("graph", "head")
    texts = [line.split("\t")[1] for line in (tiny_data / "test.tsv").read_text().splitlines()[1:]]
    loaded = promptkit.load(tmp_path / "run").probabilities(texts)
    assert np.abs(loaded - result.probabilities).max() < 1e-6
    del result, record
    gc.collect()
    assert made
    assert not [each for each in made if each() is not None], "it stays in memory"


def test_a_seed_repeats_dropout_whatever_was_drawn_before_and_in_both_modes(tiny_run: Run) -> None:
    def run(mode: str, **options: float) -> tuple[Any, float]:
        result = tiny_run("finetune", mode=mode, epochs=1, lr=1e-3, shots=6, options=options)
        return result.probabilities, result.record.history[-1].loss

    once, loss = run("pynative")
    np.random.seed(5)
    np.random.random(3)
    ms.ops.standard_normal((3,))
    again, same_loss = run("pynative")
    assert np.array_equal(once, again)
    assert loss == same_loss
    assert loss != run("pynative", dropout=0.0)[1], "nothing was drawn"
    compiled, near = run("graph")
    assert np.abs(compiled - once).max() < 1e-4
    assert near == pytest.approx(loss, abs=1e-4)


def test_scoring_drops_nothing_and_the_shared_model_stays_frozen() -> None:
    backbone = load("bert-odd")
    task = prompt_task(backbone.tokenizer)
    model = FineTuned(backbone, task, 0.5)
    batch = tensors(task.encode(["the film is good", "bad"]).inputs)
    plain = ClozePrompt(backbone, task)(batch).asnumpy()
    assert np.abs(model(batch).asnumpy() - plain).max() < 1e-5
    noise = model.noise({name: value.asnumpy() for name, value in batch.items()}, np.random.default_rng(0))
    dropped = model.learning(batch, *(ms.Tensor(array) for array in noise)).asnumpy()
    assert np.abs(dropped - plain).max() > 1e-2
    assert count_parameters(model)["backbone"] > 10_000
    assert not backbone.trainable_params()
    assert FineTuned(backbone, task, 0.0).noise({}, np.random.default_rng(0)) == ()


def test_a_template_with_virtual_tokens_and_too_much_dropout_are_refused(tiny_run: Run) -> None:
    with pytest.raises(UserError, match="virtual tokens"):
        tiny_run("finetune", templates=("{soft:3}{text}",))
    with pytest.raises(UserError, match="dropout"):
        tiny_run("finetune", options={"dropout": 0.95})


def test_a_head_reads_what_dropout_has_left_and_that_is_scaled() -> None:
    backbone = load("bert-short")
    task = prompt_task(backbone.tokenizer, "{text}", readout="head")
    model = FineTuned(backbone, task, 0.5)
    batch = tensors(task.encode(["the film is good", "bad"]).inputs)
    noise = model.noise({name: value.asnumpy() for name, value in batch.items()}, np.random.default_rng(0))
    hidden, attention, read = (ms.Tensor(array) for array in noise)
    dropout = {"hidden": hidden, "attention": attention, "rate": 0.5}
    states = model.backbone.run(model.backbone.embed(batch["token_ids"]), batch, None, dropout)
    assert 0 < noise[2].mean() < 1
    expected = model.head(states * (read.astype(ms.float32) * 2.0)).asnumpy()
    assert np.abs(model.learning(batch, hidden, attention, read).asnumpy() - expected).max() < 1e-5
