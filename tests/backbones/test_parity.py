"""The engine against PyTorch: logits, hidden states and gradients of small odd-shaped checkpoints.

The goldens and the script that wrote them are in tests/goldens.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

ms = pytest.importorskip("mindspore")

from mindspore import Tensor, ops
from models import GOLDENS, load

from promptkit.backbones.face import Backbone, Inputs
from promptkit.nn import packed

CHECKPOINTS = [
    "bert-odd", "bert-onehead", "bert-onelayer", "bert-unusual", "roberta-odd", "roberta-untied", "roberta-unusual",
]  # fmt: skip
TOLERANCE = 1e-4


class Case:
    """A checkpoint with its golden arrays as tensors, one example a row."""

    def __init__(self, name: str) -> None:
        self.backbone = load(name)
        self.golden: dict[str, Any] = dict(np.load(GOLDENS / name / "golden.npz"))
        self.real = self.golden["attention_mask"][..., None] > 0
        self.input_ids = Tensor(self.golden["input_ids"].astype(np.int32))
        self.rows = Tensor(self.golden["rows"].astype(np.int32))
        self.labels = Tensor(self.golden["labels"].astype(np.int32))

    def inputs(self, read: Any = None, more: int = 0) -> Inputs:
        """The rows as they are packed, read at the golden positions or at `read`, (B, M); `more` positions wider."""
        mask = np.pad(self.golden["attention_mask"], ((0, 0), (0, more)))
        count, length = mask.shape
        read = self.golden["positions"][:, None] if read is None else read
        arrays = (
            np.pad(self.golden["input_ids"], ((0, 0), (0, more))),
            mask,
            np.arange(length) * mask,
            np.full((count, length), -1),
            read[:, None],
        )
        return packed(*(Tensor(array.astype(np.int32)) for array in arrays))

    def everywhere(self) -> Inputs:
        """Read at every position of every row."""
        count, length = self.input_ids.shape
        return self.inputs(np.tile(np.arange(length), (count, 1)))

    def loss(self, backbone: Backbone, embeddings: Any, inputs: Inputs) -> Any:
        """The goldens' scalar."""
        hidden = backbone.run(embeddings, inputs)
        return ops.cross_entropy(backbone.logits(hidden, self.rows)[:, 0], self.labels)


@pytest.fixture(params=CHECKPOINTS, scope="module")
def case(request: pytest.FixtureRequest) -> Case:
    return Case(request.param)


def test_hidden_states_and_logits_agree_with_pytorch(case: Case) -> None:
    hidden = case.backbone.run(case.backbone.embed(case.input_ids), case.everywhere())
    logits = case.backbone.logits(hidden)
    assert np.abs((hidden.asnumpy() - case.golden["hidden"]) * case.real).max() < TOLERANCE
    assert np.abs((logits.asnumpy() - case.golden["logits"]) * case.real).max() < TOLERANCE


@pytest.mark.parametrize("mode", ["pynative", "graph"])
def test_gradient_of_the_input_embeddings_agrees_with_pytorch(case: Case, mode: str) -> None:
    def loss(embeddings: Any, *arrays: Any) -> Any:
        return case.loss(case.backbone, embeddings, packed(*arrays))

    function = ms.value_and_grad(loss)
    if mode == "graph":
        function = ms.jit(function)
    value, gradient = function(case.backbone.embed(case.input_ids), *case.inputs().values())
    assert abs(float(value) - float(case.golden["loss"])) < TOLERANCE
    assert np.abs(gradient.asnumpy() - case.golden["grad_inputs_embeds"]).max() < TOLERANCE


def test_only_the_asked_positions_are_read(case: Case) -> None:
    embeddings = case.backbone.embed(case.input_ids)
    every = case.backbone.run(embeddings, case.everywhere()).asnumpy()
    some = case.backbone.run(embeddings, case.inputs()).asnumpy()
    rows = np.arange(len(every))
    assert np.abs(some[:, 0] - every[rows, case.golden["positions"]]).max() < 1e-5


def test_padding_changes_nothing(case: Case) -> None:
    short = case.backbone.run(case.backbone.embed(case.input_ids), case.inputs()).asnumpy()
    wide = case.inputs(more=5)
    long = case.backbone.run(case.backbone.embed(wide["token_ids"]), wide).asnumpy()
    assert np.abs(short - long).max() < 1e-5


# What the engine calls the weights of the goldens' gradients; some stand there as parts of one array.
EMBEDDINGS = {
    "embeddings.word_embeddings.weight": "encoder.word",
    "embeddings.LayerNorm.weight": "encoder.norm.weight",
    "embeddings.LayerNorm.bias": "encoder.norm.bias",
}
LAYER = {
    "attention.output.dense": "output",
    "attention.output.LayerNorm": "attention_norm",
    "intermediate.dense": "up",
    "output.dense": "down",
    "output.LayerNorm": "output_norm",
}
HEADS = {
    "bert": ("cls.predictions.bias", "cls.predictions.transform.dense", "cls.predictions.transform.LayerNorm"),
    "roberta": ("lm_head.bias", "lm_head.dense", "lm_head.layer_norm"),
}


def under_their_names(found: dict[str, Any], stem: str, hidden: int, places: int) -> dict[str, Any]:
    """The gradients of the embeddings, of layer 1 and of the head, by Hugging Face's names."""
    named = {f"{stem}.{theirs}": found.get(ours) for theirs, ours in EMBEDDINGS.items()}
    bias, dense, norm = HEADS[stem]
    named[bias] = found.get("encoder.output_bias")
    layer = f"{stem}.encoder.layer.1"
    for kind in ("weight", "bias"):
        named |= {f"{layer}.{t}.{kind}": found.get(f"encoder.layers.1.{o}_{kind}") for t, o in LAYER.items()}
        named |= {f"{dense}.{kind}": found[f"transform.{kind}"], f"{norm}.{kind}": found[f"transform.norm.{kind}"]}
        fused = found.get(f"encoder.layers.1.qkv_{kind}")
        for number, part in enumerate(("query", "key", "value") if fused is not None else ()):
            named[f"{layer}.attention.self.{part}.{kind}"] = fused[number * hidden : (number + 1) * hidden]
    if (position := found.get("encoder.position")) is not None:
        # RoBERTa's first places are for padding, which has no gradient. Texts are of the first type, and its
        # embedding is a part of that of every position.
        position = np.pad(position, ((places - len(position), 0), (0, 0)))
        named[f"{stem}.embeddings.position_embeddings.weight"] = position
        named[f"{stem}.embeddings.token_type_embeddings.weight"] = position.sum(0)
    return {name: values for name, values in named.items() if values is not None}


@pytest.mark.parametrize("part", ["all", "head"])
@pytest.mark.parametrize("name", ["bert-odd", "roberta-odd"])
def test_every_weight_gradient_of_a_learning_copy_agrees_with_pytorch(name: str, part: Any) -> None:
    case = Case(name)
    model = case.backbone.trainable(part)
    weights = {path: p for path, p in model.parameters_and_names() if p.requires_grad}

    def loss(input_ids: Any) -> Any:
        return case.loss(model, model.embed(input_ids), case.inputs())

    _, gradients = ms.value_and_grad(loss, None, list(weights.values()))(case.input_ids)
    found = {path: g.asnumpy() for path, g in zip(weights, gradients, strict=True)}
    stem = name.split("-")[0]
    expected = {key.removeprefix("grad::"): array for key, array in case.golden.items() if key.startswith("grad::")}
    types = f"{stem}.embeddings.token_type_embeddings.weight"
    assert not expected[types][1:].any()
    expected[types] = expected[types][0]
    places = len(expected[f"{stem}.embeddings.position_embeddings.weight"])
    named = under_their_names(found, stem, case.backbone.info.hidden_size, places)
    of_head = {it for it in expected if it.startswith(HEADS[stem][1:])}
    assert set(named) == (of_head if part == "head" else set(expected))
    for theirs, ours in named.items():
        assert ours.shape == expected[theirs].shape, theirs
        assert np.abs(ours - expected[theirs]).max() < TOLERANCE, theirs


def test_gradients_of_biases_that_learn_alone_agree_with_pytorch() -> None:
    """They come from the backward pass that is written by hand, layer 1 not being the last."""
    case = Case("bert-odd")
    model = case.backbone.trainable("biases")
    biases = {path: p for path, p in model.parameters_and_names() if p.requires_grad}
    assert len(biases) == 6 * case.backbone.info.layers + 1
    assert all(path.endswith("bias") for path in biases)

    def loss(input_ids: Any) -> Any:
        return case.loss(model, model.embed(input_ids), case.inputs())

    _, gradients = ms.value_and_grad(loss, None, list(biases.values()))(case.input_ids)
    found = {path: g.asnumpy() for path, g in zip(biases, gradients, strict=True)}
    layer = "grad::bert.encoder.layer.1."
    fused = [case.golden[f"{layer}attention.self.{part}.bias"] for part in ("query", "key", "value")]
    expected = {
        "encoder.layers.1.qkv_bias": np.concatenate(fused),
        "encoder.layers.1.output_bias": case.golden[f"{layer}attention.output.dense.bias"],
        "encoder.layers.1.attention_norm_bias": case.golden[f"{layer}attention.output.LayerNorm.bias"],
        "encoder.layers.1.up_bias": case.golden[f"{layer}intermediate.dense.bias"],
        "encoder.layers.1.down_bias": case.golden[f"{layer}output.dense.bias"],
        "encoder.layers.1.output_norm_bias": case.golden[f"{layer}output.LayerNorm.bias"],
        "encoder.norm.bias": case.golden["grad::bert.embeddings.LayerNorm.bias"],
    }
    for path, values in expected.items():
        assert np.abs(found[path] - values).max() < TOLERANCE, path
        assert np.abs(values).max() > 10 * TOLERANCE, path


@pytest.mark.parametrize("part", ["all", "head", "biases"])
def test_the_frozen_model_stays_frozen_beside_its_learning_copy(part: Any) -> None:
    backbone = load("bert-odd")
    before = [p.asnumpy().copy() for p in backbone.get_parameters()]
    copy = backbone.trainable(part)
    for weight in copy.trainable_params():
        weight.set_data(weight + 1)
    assert not backbone.trainable_params()
    assert all(np.array_equal(p.asnumpy(), b) for p, b in zip(backbone.get_parameters(), before, strict=True))
    learning = {path.split(".")[0] for path, p in copy.parameters_and_names() if p.requires_grad}
    assert learning == {"all": {"encoder", "transform"}, "head": {"transform"}, "biases": {"encoder"}}[part]


@pytest.mark.parametrize("whole", [True, False])
def test_normalised_logits_are_log_probabilities_over_the_whole_vocabulary(case: Case, whole: bool) -> None:
    hidden = case.backbone.run(case.backbone.embed(case.input_ids), case.inputs())
    found = case.backbone.logits(hidden, None if whole else case.rows, True).asnumpy()[:, 0]
    rows = np.arange(len(found))
    logits = case.golden["logits"][rows, case.golden["positions"]].astype(np.float64)
    expected = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    assert np.abs(found - (expected if whole else expected[:, case.golden["rows"]])).max() < TOLERANCE
