"""Dropout: what is drawn, and a training step with it against PyTorch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

ms = pytest.importorskip("mindspore")

from mindspore import Tensor, ops
from models import GOLDENS, load

from promptkit.nn import kept, kept_within, packed
from promptkit.strategies.models import tensors

TOLERANCE = 1e-4  # of the largest value that PyTorch has


def test_a_training_step_with_dropout_has_pytorchs_loss_and_gradients() -> None:
    given = dict(np.load(GOLDENS / "bert-odd" / "golden.npz"))
    golden = dict(np.load(GOLDENS / "bert-odd" / "golden-dropout.npz"))
    backbone = load("bert-odd").trainable("all")
    ids, mask = given["input_ids"].astype(np.int32), (given["attention_mask"] > 0).astype(np.int32)
    count, length = ids.shape
    read = given["positions"].astype(np.int32)
    inputs = packed(ids, mask, np.arange(length, dtype=np.int32) * mask, np.full_like(ids, -1), read[:, None, None])
    attention = golden["attention"].copy()
    # The last layer computes only what is read, and takes the first place of every row for it.
    attention[-1, :, :, 0] = np.take_along_axis(attention[-1], read[:, None, None, None], 2)[:, :, 0]
    hidden = golden["hidden"].reshape(len(golden["hidden"]), count * length, -1)
    rate = float(golden["rate"])
    words, labels = Tensor(given["rows"].astype(np.int32)), Tensor(given["labels"].astype(np.int32))
    weights = dict(backbone.parameters_and_names())

    def loss(hidden: Any, attention: Any, *arrays: Any) -> Any:
        told = packed(*arrays)
        dropout = {"hidden": hidden, "attention": attention, "rate": rate}
        states = backbone.run(backbone.embed(told["token_ids"]), told, None, dropout)
        return ops.cross_entropy(backbone.logits(states, words)[:, 0], labels)

    learning = [weights["encoder.layers.0.qkv_weight"], weights["encoder.word"]]
    value, (fused, by_word) = ms.value_and_grad(loss, None, learning)(
        Tensor(hidden), Tensor(attention), *tensors(inputs).values()
    )
    found = dict(zip(("query", "key", "value"), ops.split(fused, backbone.info.hidden_size), strict=True))
    for name, gradient in {**found, "word": by_word}.items():
        expected = golden[f"grad::{name}"]
        assert np.abs(gradient.asnumpy() - expected).max() < TOLERANCE * np.abs(expected).max(), name
    assert abs(float(value.asnumpy()) - float(golden["loss"])) < TOLERANCE


@pytest.mark.parametrize("name", ["bert-odd", "llama-odd", "gpt2-odd"])
def test_a_frozen_model_drops_what_a_learning_one_does(name: str) -> None:
    backbone, rng = load(name), np.random.default_rng(0)
    info, ids, count, prefix = backbone.info, rng.integers(5, 40, (2, 7)).astype(np.int32), 7, 3
    places = np.tile(np.arange(count, dtype=np.int32), (2, 1))
    inputs = tensors(packed(ids, 0 * ids + 1, places, 0 * ids - 1, np.full((2, 1, 1), count - 1, np.int32)))
    hidden, attention = kept_within(info, packed(*(a.asnumpy() for a in inputs.values())), 0.3, rng)
    front = kept((info.layers, 2, info.heads, count, prefix), 0.3, rng)
    dropout = {"hidden": Tensor(hidden), "attention": Tensor(np.concatenate((front, attention), -1)), "rate": 0.3}
    values = rng.normal(0, 0.3, (info.layers, 2, info.kv_heads, prefix, info.head_width)).astype(np.float32)

    def state(model: Any, values: Any, dropped: Any) -> Any:
        return model.run(model.embed(inputs["token_ids"]), inputs, values, dropped).sum()

    found = []
    for model in (backbone, backbone.trainable("all")):
        value, gradient = ms.value_and_grad(lambda at, model=model: state(model, at, dropout))(Tensor(values))
        found.append((value.asnumpy(), gradient.asnumpy()))
    for frozen, learning in zip(*found, strict=True):
        assert np.abs(frozen - learning).max() < 1e-4
    assert np.abs(found[0][0] - state(backbone, Tensor(values), None).asnumpy()) > 1e-2


def test_as_much_is_dropped_as_is_said_and_a_generator_repeats_it() -> None:
    one, again, other = (kept((200, 300), 0.1, np.random.default_rng(seed)) for seed in (0, 0, 1))
    assert one.dtype == bool
    assert (~one).mean() == pytest.approx(0.1, abs=0.005)
    assert np.array_equal(one, again)
    assert (one != other).mean() == pytest.approx(2 * 0.1 * 0.9, abs=0.01)
    assert kept((50,), 0.0, np.random.default_rng(0)).all()


def test_it_is_drawn_for_every_place_that_has_it() -> None:
    info = load("bert-odd").info
    zeros = np.zeros((2, 7), np.int32)
    inputs = packed(zeros, zeros, zeros, zeros, np.zeros((2, 3, 1), np.int32))
    hidden, attention = kept_within(info, inputs, 0.5, np.random.default_rng(0))
    assert hidden.shape == (2 * info.layers + 1, 2 * 7, info.hidden_size)
    assert attention.shape == (info.layers, 2, info.heads, 7, 7)
