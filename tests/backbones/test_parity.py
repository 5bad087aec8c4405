"""The engine against PyTorch: logits, hidden states and gradients of small odd-shaped checkpoints.

The goldens and the script that wrote them are in tests/goldens.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

ms = pytest.importorskip("mindspore")

from mindspore import Tensor, ops

from promptkit.backbones.device import set_device
from promptkit.backbones.native.loading import load_backbone
from promptkit.backbones.native.model import Backbone

GOLDENS = Path(__file__).resolve().parents[1] / "goldens"
CHECKPOINTS = ["bert-odd", "bert-onehead", "bert-onelayer", "roberta-odd", "roberta-untied"]
TOLERANCE = 1e-4

set_device("CPU")


class Case:
    """A checkpoint with its golden arrays as tensors."""

    def __init__(self, name: str) -> None:
        self.backbone = load_backbone(GOLDENS / name)
        self.golden: dict[str, Any] = dict(np.load(GOLDENS / name / "golden.npz"))
        self.real = self.golden["attention_mask"][..., None] > 0
        self.input_ids = Tensor(self.golden["input_ids"].astype(np.int32))
        self.mask = Tensor(self.golden["attention_mask"].astype(np.float32))
        self.positions = Tensor(self.golden["positions"].reshape(-1, 1).astype(np.int32))
        self.rows = Tensor(self.golden["rows"].astype(np.int32))
        self.labels = Tensor(self.golden["labels"].astype(np.int32))

    def everywhere(self) -> Any:
        """Every position of every row."""
        count, length = self.input_ids.shape
        return Tensor(np.tile(np.arange(length, dtype=np.int32), (count, 1)))

    def loss(self, backbone: Backbone, embeddings: Any) -> Any:
        """The goldens' scalar."""
        hidden = backbone.encode(embeddings, self.mask, self.positions)
        return ops.cross_entropy(backbone.score(hidden, self.rows)[:, 0], self.labels)


@pytest.fixture(params=CHECKPOINTS, scope="module")
def case(request: pytest.FixtureRequest) -> Case:
    return Case(request.param)


def test_hidden_states_and_logits_agree_with_pytorch(case: Case) -> None:
    hidden = case.backbone.encode(case.backbone.embed(case.input_ids), case.mask, case.everywhere())
    vocabulary = Tensor(np.arange(case.backbone.config.vocab_size, dtype=np.int32))
    logits = case.backbone.score(hidden, vocabulary)
    assert np.abs((hidden.asnumpy() - case.golden["hidden"]) * case.real).max() < TOLERANCE
    assert np.abs((logits.asnumpy() - case.golden["logits"]) * case.real).max() < TOLERANCE


@pytest.mark.parametrize("mode", ["pynative", "graph"])
def test_gradient_of_the_input_embeddings_agrees_with_pytorch(case: Case, mode: str) -> None:
    def loss(embeddings: Any) -> Any:
        return case.loss(case.backbone, embeddings)

    function = ms.value_and_grad(loss)
    if mode == "graph":
        function = ms.jit(function)
    value, gradient = function(case.backbone.embed(case.input_ids))
    assert abs(float(value) - float(case.golden["loss"])) < TOLERANCE
    assert np.abs(gradient.asnumpy() - case.golden["grad_inputs_embeds"]).max() < TOLERANCE


def test_only_the_asked_positions_are_read(case: Case) -> None:
    embeddings = case.backbone.embed(case.input_ids)
    every = case.backbone.encode(embeddings, case.mask, case.everywhere()).asnumpy()
    some = case.backbone.encode(embeddings, case.mask, case.positions).asnumpy()
    rows = np.arange(len(every))
    assert np.abs(some[:, 0] - every[rows, case.golden["positions"]]).max() < 1e-5


def test_padding_changes_nothing(case: Case) -> None:
    count, _ = case.input_ids.shape
    more = 5
    ids = np.concatenate([case.input_ids.asnumpy(), np.zeros((count, more), np.int32)], 1)
    mask = np.concatenate([case.mask.asnumpy(), np.zeros((count, more), np.float32)], 1)
    short = case.backbone.encode(case.backbone.embed(case.input_ids), case.mask, case.positions).asnumpy()
    long = case.backbone.encode(case.backbone.embed(Tensor(ids)), Tensor(mask), case.positions).asnumpy()
    assert np.abs(short - long).max() < 1e-5


@pytest.mark.parametrize("name", ["bert-odd", "roberta-odd"])
def test_every_weight_gradient_of_a_learning_copy_agrees_with_pytorch(name: str) -> None:
    case = Case(name)
    model = case.backbone.trainable_copy()
    weights = {path: p for path, p in model.parameters_and_names() if p.requires_grad}

    def loss(input_ids: Any) -> Any:
        return case.loss(model, model.embed(input_ids))

    _, gradients = ms.value_and_grad(loss, None, list(weights.values()))(case.input_ids)
    found = {path: g.asnumpy() for path, g in zip(weights, gradients, strict=True)}
    stem = name.split("-")[0]
    layer = f"grad::{stem}.encoder.layer.1."
    hidden = case.backbone.config.hidden_size
    fused = found["layers.1.qkv_weight"]
    for number, part in enumerate(("query", "key", "value")):
        expected = case.golden[f"{layer}attention.self.{part}.weight"]
        assert np.abs(fused[number * hidden : (number + 1) * hidden] - expected).max() < TOLERANCE, part
    pairs = {
        "layers.1.output_weight": f"{layer}attention.output.dense.weight",
        "layers.1.attention_norm_weight": f"{layer}attention.output.LayerNorm.weight",
        "layers.1.up_weight": f"{layer}intermediate.dense.weight",
        "layers.1.up_bias": f"{layer}intermediate.dense.bias",
        "layers.1.down_weight": f"{layer}output.dense.weight",
        "layers.1.output_norm_bias": f"{layer}output.LayerNorm.bias",
        "word": f"grad::{stem}.embeddings.word_embeddings.weight",
        "norm.weight": f"grad::{stem}.embeddings.LayerNorm.weight",
    }
    head = {"bert": "cls.predictions.transform.dense.weight", "roberta": "lm_head.dense.weight"}
    pairs["lm_head.weight"] = f"grad::{head[stem]}"
    for ours, theirs in pairs.items():
        assert np.abs(found[ours] - case.golden[theirs]).max() < TOLERANCE, ours


def test_the_frozen_model_stays_frozen_beside_its_learning_copy() -> None:
    backbone = load_backbone(GOLDENS / "bert-odd")
    before = backbone.word.asnumpy().copy()
    copy = backbone.trainable_copy()
    copy.word.set_data(Tensor(before + 1))
    assert not backbone.trainable_params()
    assert np.array_equal(backbone.word.asnumpy(), before)
    assert len(copy.trainable_params()) == len(list(copy.get_parameters()))


def test_the_log_normaliser_is_that_of_the_whole_vocabulary(case: Case) -> None:
    hidden = case.backbone.encode(case.backbone.embed(case.input_ids), case.mask, case.positions)
    flat = hidden.reshape(hidden.shape[0], -1)
    found = case.backbone.log_normaliser(case.backbone.lm_head(flat)).asnumpy()[:, 0]
    rows = np.arange(len(flat))
    logits = case.golden["logits"][rows, case.golden["positions"]].astype(np.float64)
    assert np.abs(found - np.log(np.exp(logits).sum(-1))).max() < TOLERANCE
