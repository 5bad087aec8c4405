"""Decoders against PyTorch: states, scores and gradients of small odd-shaped checkpoints, plain and behind a prefix.

The goldens and the script that wrote them are in tests/goldens.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

ms = pytest.importorskip("mindspore")

from decoders import CHECKPOINTS, TOLERANCE, Case, Places, far, stored_weights
from mindspore import Tensor, ops
from packs import tokens_by_example

from promptkit.data import Rows
from promptkit.nn import Backbone, Inputs, packed, tensors

PLAIN, WHOLE, LAST = "plain", "behind a prefix", "behind a prefix of the last layers"


@pytest.fixture(params=CHECKPOINTS, scope="module")
def case(request: pytest.FixtureRequest) -> Case:
    return Case(request.param)


def states(case: Case, inputs: Inputs, prefix: Any = None, front: Any = None) -> Any:
    """Last hidden states at what is read, as an array."""
    return case.backbone.run(case.backbone.embed(inputs["token_ids"]), inputs, prefix, None, front).asnumpy()


def loss_and_gradients(
    case: Case, inputs: Inputs, prefix: Any = None, *, model: Backbone | None = None, graph: bool = False
) -> tuple[Any, Any, Any]:
    """The goldens' scalar and its gradients by embeddings and prefix."""
    backbone = case.backbone if model is None else model

    def plain(embeddings: Any, *arrays: Any) -> Any:
        return score(backbone.run(embeddings, packed(*arrays)))

    def behind(embeddings: Any, prefix: Any, *arrays: Any) -> Any:
        return score(backbone.run(embeddings, packed(*arrays), prefix))

    def score(hidden: Any) -> Any:
        logits = backbone.logits(hidden, case.rows)
        return ops.cross_entropy(logits.reshape(-1, logits.shape[-1]), case.labels.reshape(-1))

    function = ms.value_and_grad(plain) if prefix is None else ms.value_and_grad(behind, (0, 1))
    if graph:
        function = ms.jit(function)
    embeddings = backbone.embed(inputs["token_ids"])
    if prefix is None:
        value, by_embedding = function(embeddings, *inputs.values())
        return value.asnumpy(), by_embedding.asnumpy(), None
    value, (by_embedding, by_prefix) = function(embeddings, prefix, *inputs.values())
    return value.asnumpy(), by_embedding.asnumpy(), by_prefix.asnumpy()


def expected_of(case: Case, front: str) -> tuple[dict[str, Any], Any]:
    """PyTorch's arrays, and the prefix that they are behind."""
    if front == PLAIN:
        return case.golden, None
    if front == WHOLE:
        return case.behind, case.prefix
    if case.backbone.info.layers == 1:
        pytest.skip("one layer")
    return {name[6:]: array for name, array in case.behind.items() if name[:6] == "last::"}, case.prefix[1:]


def test_hidden_states_and_logits_agree_with_pytorch(case: Case) -> None:
    inputs = case.inputs(read=case.everywhere())
    hidden = states(case, inputs)
    logits = case.backbone.logits(Tensor(hidden)).asnumpy()
    assert far(hidden[case.real], case.golden["hidden"][case.real]) < TOLERANCE
    assert far(logits[case.real], case.golden["logits"][case.real]) < TOLERANCE
    assert np.isfinite(hidden).all(), "at padding"


@pytest.mark.parametrize("front", [WHOLE, LAST])
def test_hidden_states_behind_a_prefix_agree_with_pytorch(case: Case, front: str) -> None:
    expected, prefix = expected_of(case, front)
    hidden = states(case, case.inputs(read=case.everywhere()), prefix)
    assert far(hidden[case.real], expected["hidden"][case.real]) < TOLERANCE
    assert np.isfinite(hidden).all(), "at padding"


@pytest.mark.parametrize(("front", "learns"), [(PLAIN, False), (WHOLE, False), (WHOLE, True), (LAST, False)])
def test_gradients_agree_with_pytorch(case: Case, front: str, learns: bool) -> None:
    model = case.backbone.trainable("all") if learns else case.backbone
    expected, prefix = expected_of(case, front)
    value, by_embedding, by_prefix = loss_and_gradients(case, case.inputs(), prefix, model=model)
    assert far(value, expected["loss"]) < TOLERANCE
    assert far(by_embedding, expected["grad_inputs_embeds"]) < TOLERANCE
    assert not by_embedding[~case.real].any()
    if prefix is not None:
        assert far(by_prefix, expected["grad_prefix"]) < TOLERANCE


# Together they have every way a graph can take: rotary, learnt and linear positions, grouped queries, norms of heads.
@pytest.mark.parametrize(
    ("name", "front"), [("llama-odd", PLAIN), ("qwen3-odd", LAST), ("gpt2-odd", WHOLE), ("bloom-odd", LAST)]
)
def test_gradients_in_graph_mode_agree_with_pytorch(name: str, front: str) -> None:
    case = Case(name)
    expected, prefix = expected_of(case, front)
    value, by_embedding, by_prefix = loss_and_gradients(case, case.inputs(), prefix, graph=True)
    assert far(value, expected["loss"]) < TOLERANCE
    assert far(by_embedding, expected["grad_inputs_embeds"]) < TOLERANCE
    if prefix is not None:
        assert far(by_prefix, expected["grad_prefix"]) < TOLERANCE


def test_several_texts_in_a_row_give_what_each_gives_alone(case: Case) -> None:
    batch = case.batch(Rows(2, case.real.shape[1] + 5, 2))
    assert batch.index.tolist() == [0, 1, 2, 3]
    inputs = tensors(batch.inputs)
    read = np.take_along_axis(case.golden["hidden"], case.golden["positions"][..., None], 1)
    assert far(states(case, inputs), read) < TOLERANCE
    value, by_embedding, by_prefix = loss_and_gradients(case, inputs, case.prefix)
    assert far(value, case.behind["loss"]) < TOLERANCE
    assert far(by_prefix, case.behind["grad_prefix"]) < TOLERANCE
    wanted = case.behind["grad_inputs_embeds"]
    for number, mine in enumerate(tokens_by_example(batch, by_embedding)):
        assert far(mine, wanted[number][case.real[number]]) < TOLERANCE
    assert not by_embedding[np.asarray(batch.inputs["segment_ids"]) == 0].any()


@pytest.mark.parametrize("front", [PLAIN, WHOLE])
def test_later_tokens_do_not_influence_earlier_states(case: Case, front: str) -> None:
    _, prefix = expected_of(case, front)
    inputs = case.inputs(read=case.everywhere())
    before = states(case, inputs, prefix)
    middle = case.golden["positions"][:, :1]
    later = (case.everywhere() > middle) & case.real
    ids = case.golden["input_ids"]
    others = np.roll(np.arange(case.backbone.info.vocab_size), 7)[ids]
    inputs["token_ids"] = Tensor(np.where(later, others, ids).astype(np.int32))
    after = states(case, inputs, prefix)
    earlier = case.real & ~later
    assert np.abs(before - after)[earlier].max() < 1e-6
    assert np.abs(before - after).max(-1)[later].min() > 1e-3


@pytest.mark.parametrize("name", ["qwen3-odd", "bloom-odd"])
def test_padding_changes_nothing(name: str) -> None:
    case = Case(name)
    wide = case.inputs(more=5)
    assert far(states(case, wide, case.prefix), states(case, case.inputs(), case.prefix)) < 1e-5


@pytest.mark.parametrize("name", ["qwen3-odd", "bloom-odd"])
def test_only_the_asked_positions_are_read(name: str) -> None:
    case = Case(name)
    every = states(case, case.inputs(read=case.everywhere()), case.prefix)
    some = states(case, case.inputs(), case.prefix)
    assert far(some, np.take_along_axis(every, case.golden["positions"][..., None], 1)) < 1e-5


def test_keys_and_values_of_a_text_agree_with_pytorch(case: Case) -> None:
    found = case.backbone.keys_and_values(case.backbone.embed(Tensor(case.golden["text"].astype(np.int32))))
    assert far(found, case.golden["keys_and_values"]) < TOLERANCE


def test_a_text_behind_the_keys_and_values_of_its_beginning_is_the_whole_text(case: Case) -> None:
    """Where its positions go on from theirs."""
    front, ids = 3, case.golden["input_ids"]
    long = case.real.sum(1) > front
    whole = np.where(case.real, ids, 0)
    whole[:, :front] = ids[0, :front]
    begun = case.backbone.keys_and_values(case.backbone.embed(Tensor(whole[0, :front].astype(np.int32))))
    inputs, rest = case.inputs(read=case.everywhere()), case.inputs(read=case.everywhere()[:, :-front])
    inputs["token_ids"] = Tensor(whole.astype(np.int32))
    expected = states(case, inputs)[:, front:]
    for key in ("token_ids", "segment_ids", "position_ids", "virtual_ids"):
        rest[key] = inputs[key][:, front:]  # type: ignore[literal-required]
    real = case.real[:, front:] & long[:, None]
    assert far(states(case, rest, begun)[real], expected[real]) < 1e-5
    assert far(states(case, rest, front=begun)[real], expected[real]) < 1e-5
    # An example that begins at 0 stands there whole, and sees nothing of a front beside it.
    assert far(states(case, inputs, front=begun)[case.real], states(case, inputs)[case.real]) < 1e-5


def test_activations_before_a_text_are_its_beginning(case: Case) -> None:
    """For a text whose own positions begin at 0, but where positions are learnt: there are none before 0."""
    if case.name.startswith("gpt2"):
        pytest.skip("learnt positions")
    front, ids = 3, case.golden["input_ids"][:1]
    words = case.backbone.embed(Tensor(ids[0, :front].astype(np.int32)))

    def of_one(ids: Any, start: int) -> Inputs:
        count = ids.shape[1]
        places, read = np.arange(count)[None], np.arange(start, count)[None, None]
        return tensors(packed(*(a.astype(np.int32) for a in (ids, 0 * ids + 1, places, 0 * ids - 1, read))))

    whole = states(case, of_one(ids, front))
    rest = of_one(ids[:, front:], 0)
    assert far(states(case, rest, case.backbone.keys_and_values(words, True)), whole) < 1e-5
    rotary = not case.name.startswith("bloom")
    assert (far(states(case, rest, case.backbone.keys_and_values(words)), whole) > 1e-3) is rotary


@pytest.mark.parametrize("whole", [True, False])
def test_normalised_logits_are_log_probabilities_over_the_whole_vocabulary(case: Case, whole: bool) -> None:
    hidden = Tensor(states(case, case.inputs()))
    found = case.backbone.logits(hidden, None if whole else case.rows, True)
    logits = np.take_along_axis(case.golden["logits"], case.golden["positions"][..., None], 1).astype(np.float64)
    expected = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    assert far(found, expected if whole else expected[..., case.golden["rows"]]) < TOLERANCE


@pytest.mark.parametrize("part", ["all", "biases"])
def test_gradients_of_weights_that_learn_agree_with_pytorch(case: Case, part: Any) -> None:
    """Those outside of layers and of the first layer, wherever the model keeps them."""
    biases = [name for name in case.golden if name.startswith("grad::") and name.endswith(".bias")]
    if part == "biases" and not biases:
        pytest.skip("no biases")
    model, inputs = case.backbone.trainable(part), case.inputs()
    learning = {path: p for path, p in model.parameters_and_names() if p.requires_grad}  # type: ignore[attr-defined]

    def loss(ids: Any) -> Any:
        logits = model.logits(model.run(model.embed(ids), inputs), case.rows)
        return ops.cross_entropy(logits.reshape(-1, logits.shape[-1]), case.labels.reshape(-1))

    _, gradients = ms.value_and_grad(loss, None, list(learning.values()))(inputs["token_ids"])
    found = {path: gradient.asnumpy() for path, gradient in zip(learning, gradients, strict=True)}
    places = Places({path: weight.asnumpy() for path, weight in learning.items()})
    weights, width = stored_weights(case.name), case.backbone.info.head_width
    names = biases if part == "biases" else [name for name in case.golden if name.startswith("grad::")]
    seen = dict.fromkeys(found, 0)
    for name in names:
        for index, path, place in places.of(weights[name.removeprefix("grad::")], width):
            largest = min(1.0, np.abs(case.golden[name]).max())
            missed = np.abs(found[path][place] - case.golden[name][index]).max()
            assert missed < TOLERANCE * largest, (name, index, path)
            seen[path] += found[path][place].size
    if part == "biases":
        assert all(value.ndim == 1 for value in found.values())
        assert all(seen[path] == found[path].size for path in found if seen[path]), seen


@pytest.mark.parametrize("part", ["all", "head", "biases"])
@pytest.mark.parametrize("name", ["qwen2-odd", "bloom-odd"])
def test_the_frozen_model_stays_frozen_beside_its_learning_copy(name: str, part: Any) -> None:
    backbone: Any = Case(name).backbone
    before = [p.asnumpy().copy() for p in backbone.get_parameters()]
    for weight in backbone.trainable(part).trainable_params():
        weight.set_data(weight + 1)
    assert not backbone.trainable_params()
    assert all(np.array_equal(p.asnumpy(), b) for p, b in zip(backbone.get_parameters(), before, strict=True))
