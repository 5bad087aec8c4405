"""Keys and values in front of every layer: against PyTorch, padded and packed, frozen and learning."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest

ms = pytest.importorskip("mindspore")

from mindspore import Tensor, ops
from models import GOLDENS, load
from packs import alone, by_example, one_batch, random_texts, tokens_by_example

from promptkit.data import Batch, Rows
from promptkit.nn import Backbone, Inputs, packed, tensors

TOLERANCE = 1e-4  # of the largest value that PyTorch has
NAMES = ["bert-odd", "roberta-odd"]
WORDS = Tensor(np.array([6, 9, 14], np.int32))

backbone_of = cache(load)


class Case:
    """A checkpoint with what PyTorch makes of it behind a prefix."""

    def __init__(self, name: str) -> None:
        self.backbone = backbone_of(name)
        given = dict(np.load(GOLDENS / name / "golden.npz"))
        self.golden: dict[str, Any] = dict(np.load(GOLDENS / name / "golden-prefix.npz"))
        self.real = given["attention_mask"] > 0
        self.rows, self.labels = (Tensor(given[key].astype(np.int32)) for key in ("rows", "labels"))
        self.prefix = Tensor(self.golden["prefix"])
        self._ids, self._positions = given["input_ids"], given["positions"]

    def inputs(self, *, everywhere: bool = False, more: int = 0) -> Inputs:
        """One example a row, read at the mask or everywhere; `more` positions of padding."""
        mask = np.pad(self.real, ((0, 0), (0, more))).astype(np.int32)
        count, length = mask.shape
        read = np.tile(np.arange(length), (count, 1)) if everywhere else self._positions[:, None]
        arrays = (
            np.pad(self._ids, ((0, 0), (0, more))), mask, np.arange(length) * mask,
            np.full((count, length), -1), read[:, None],
        )  # fmt: skip
        return packed(*(Tensor(array.astype(np.int32)) for array in arrays))

    def gradients(self, backbone: Backbone, inputs: Inputs, *, graph: bool, weights: Any = None) -> Any:
        """Loss, and its gradients by embeddings, prefix, and `weights`."""

        def loss(embeddings: Any, prefix: Any, *arrays: Any) -> Any:
            hidden = backbone.run(embeddings, packed(*arrays), prefix)
            return ops.cross_entropy(backbone.logits(hidden, self.rows)[:, 0], self.labels)

        function = ms.value_and_grad(loss, (0, 1), weights)
        if graph:
            function = ms.jit(function)
        return function(backbone.embed(inputs["token_ids"]), self.prefix, *inputs.values())

    def agrees(self, found: Any, name: str) -> bool:
        """Whether an array is PyTorch's, within 1e-4 of its largest value."""
        expected = self.golden[name]
        assert found.shape == expected.shape
        return bool(np.abs(found.asnumpy() - expected).max() < TOLERANCE * np.abs(expected).max())


@pytest.fixture(params=NAMES, scope="module")
def case(request: pytest.FixtureRequest) -> Case:
    return Case(request.param)


def test_logits_behind_a_prefix_agree_with_pytorch(case: Case) -> None:
    inputs = case.inputs(everywhere=True)
    hidden = case.backbone.run(case.backbone.embed(inputs["token_ids"]), inputs, case.prefix)
    found, expected = case.backbone.logits(hidden).asnumpy(), case.golden["logits"]
    assert np.abs(found - expected)[case.real].max() < TOLERANCE * np.abs(expected[case.real]).max()


# The learning copy in PyNative mode is the next test's.
@pytest.mark.parametrize(
    ("learns", "graph"),
    [(False, False), (False, True), (True, True)],
    ids=["frozen", "frozen in graph mode", "learning in graph mode"],
)
def test_gradients_of_embeddings_and_prefix_agree_with_pytorch(case: Case, learns: bool, graph: bool) -> None:
    backbone = case.backbone.trainable("all") if learns else case.backbone
    value, (by_embedding, by_prefix) = case.gradients(backbone, case.inputs(), graph=graph)
    assert case.agrees(value, "loss")
    assert case.agrees(by_embedding, "grad_inputs_embeds")
    assert case.agrees(by_prefix, "grad_prefix")


def test_weights_that_learn_behind_a_prefix_have_pytorchs_gradients(case: Case) -> None:
    backbone = case.backbone.trainable("all")
    weight = dict(backbone.parameters_and_names())["encoder.layers.0.qkv_weight"]  # type: ignore[attr-defined]
    value, ((by_embedding, by_prefix), by_weight) = case.gradients(
        backbone, case.inputs(), graph=False, weights=[weight]
    )
    assert case.agrees(value, "loss")
    assert case.agrees(by_embedding, "grad_inputs_embeds")
    assert case.agrees(by_prefix, "grad_prefix")
    parts = ops.split(by_weight[0], case.backbone.info.hidden_size)
    for name, part in zip(("query", "key", "value"), parts, strict=True):
        assert case.agrees(part, f"grad::{name}"), name


def test_biases_that_learn_alone_behind_a_prefix_have_the_gradients_of_the_whole(case: Case) -> None:
    """By hand, against automatic differentiation of a model in which everything learns."""
    found = []
    for part in ("biases", "all"):
        backbone = case.backbone.trainable(part)
        weights = dict(backbone.parameters_and_names())  # type: ignore[attr-defined]
        biases = [weights[f"encoder.layers.0.{name}_bias"] for name in ("qkv", "output", "up", "output_norm")]
        found.append(case.gradients(backbone, case.inputs(), graph=False, weights=biases)[1][1])
    for one, other in zip(*found, strict=True):
        assert np.abs(one.asnumpy() - other.asnumpy()).max() < 1e-5
        assert np.abs(other.asnumpy()).max() > 1e-3


def test_padding_behind_a_prefix_changes_nothing(case: Case) -> None:
    value, (by_embedding, by_prefix) = case.gradients(case.backbone, case.inputs(more=5), graph=False)
    assert case.agrees(value, "loss")
    assert case.agrees(by_embedding[:, :-5], "grad_inputs_embeds")
    assert not by_embedding[:, -5:].asnumpy().any()
    assert case.agrees(by_prefix, "grad_prefix")


IDS = [7, 30, 12, 44, 9]


def one_text() -> Inputs:
    """Return a batch of one text, `IDS`."""
    (text,) = random_texts(np.random.default_rng(0), [len(IDS)], vocabulary=50)
    batch = alone([text])
    batch.inputs["token_ids"][:] = IDS
    return tensors(batch.inputs)


def test_a_prefix_that_repeats_the_text_has_no_effect(case: Case) -> None:
    """Attention to everything twice is attention to everything once, in every layer: so these are the model's own."""
    inputs = one_text()
    embeddings = case.backbone.embed(inputs["token_ids"])
    plain = case.backbone.run(embeddings, inputs).asnumpy()
    repeated = case.backbone.keys_and_values(case.backbone.embed(Tensor(np.array(IDS, np.int32))))
    assert np.abs(case.backbone.run(embeddings, inputs, repeated).asnumpy() - plain).max() < 1e-5
    louder = repeated * Tensor([1.0, 2.0]).reshape(1, 2, 1, 1, 1)
    assert np.abs(case.backbone.run(embeddings, inputs, louder).asnumpy() - plain).max() > 1e-2


def test_layers_before_those_with_a_prefix_see_none(case: Case) -> None:
    """Behind a prefix of the last K layers they compute what a prefix without effect leaves them to compute."""
    inputs, layers = one_text(), case.backbone.info.layers
    embeddings = case.backbone.embed(inputs["token_ids"])
    repeated = case.backbone.keys_and_values(case.backbone.embed(Tensor(np.array(IDS, np.int32))))

    def state(embeddings: Any, prefix: Any) -> Any:
        return case.backbone.run(embeddings, inputs, prefix).sum()

    gradients = ms.grad(state, (0, 1))
    for depth in range(1, layers):
        whole = ops.concat((repeated[: layers - depth], case.prefix[layers - depth :]))
        found, expected = (case.backbone.run(embeddings, inputs, p).asnumpy() for p in (whole[-depth:], whole))
        assert np.abs(found - expected).max() < 1e-5
        _, by_prefix = gradients(embeddings, whole[-depth:])
        _, by_whole = gradients(embeddings, whole)
        assert np.abs(by_prefix.asnumpy() - by_whole.asnumpy()[-depth:]).max() < 1e-4
        assert np.abs(expected - case.backbone.run(embeddings, inputs, case.prefix).asnumpy()).max() > 1e-3


def test_every_position_of_the_prefix_is_looked_at_in_any_order(case: Case) -> None:
    inputs = case.inputs()
    embeddings = case.backbone.embed(inputs["token_ids"])
    found = case.backbone.run(embeddings, inputs, case.prefix).asnumpy()
    turned = case.backbone.run(embeddings, inputs, case.prefix[:, :, :, ::-1]).asnumpy()
    assert np.abs(turned - found).max() < 1e-5
    shorter = case.backbone.run(embeddings, inputs, case.prefix[:, :, :, 1:]).asnumpy()
    assert np.abs(shorter - found).max() > 1e-3


def packed_gradients(case: Case, batch: Batch) -> tuple[Any, list[Any], Any]:
    """Scores of each example, gradients of their mean loss by its embeddings, and by the prefix."""

    def loss(embeddings: Any, prefix: Any, labels: Any, weights: Any, *arrays: Any) -> Any:
        inputs = packed(*arrays)
        logits = case.backbone.logits(case.backbone.run(embeddings, inputs, prefix), WORDS)
        lost = ops.cross_entropy(logits.sum(1), labels, reduction="none") * weights
        return lost.sum() / weights.sum(), logits

    inputs = tensors(batch.inputs)
    (_, logits), (by_embedding, by_prefix) = ms.value_and_grad(loss, (0, 1), has_aux=True)(
        case.backbone.embed(inputs["token_ids"]), case.prefix, Tensor(batch.labels), Tensor(batch.weights),
        *inputs.values(),
    )  # fmt: skip
    return (
        by_example(batch, logits.asnumpy()),
        tokens_by_example(batch, by_embedding.asnumpy()),
        by_prefix.asnumpy(),
    )


def test_packed_examples_share_a_prefix_and_nothing_else(case: Case) -> None:
    texts = random_texts(np.random.default_rng(3), [9, 3, 14, 5, 1, 12, 8], vocabulary=80, slots=2)
    expected, by_embedding_alone, by_prefix_alone = packed_gradients(case, alone(texts))
    scores, by_embedding, by_prefix = packed_gradients(case, one_batch(texts, Rows(3, 32, 4), shuffled=0))
    assert np.abs(scores - expected).max() < 1e-5
    for mine, other in zip(by_embedding, by_embedding_alone, strict=True):
        assert np.abs(mine - other).max() < 1e-5
    assert np.abs(by_prefix_alone).max() > 1e-3
    assert np.abs(by_prefix - by_prefix_alone).max() < 1e-5
