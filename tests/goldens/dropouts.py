"""Golden numbers of a training step with dropout (Devlin et al. 2019) at given places, for `make_goldens.py`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import nn
from transformers import PreTrainedModel

Arrays = dict[str, np.ndarray]


def dropout_golden(load: Callable[[], PreTrainedModel], inputs: Arrays, rate: float, seed: int) -> Arrays:
    """What a model computes when dropout keeps what was drawn for it; README.md says what the arrays are.

    Raises AssertionError unless the numbers are finite, equal in two runs, and other than without dropout.
    """
    config = load().config
    layers, heads, width = config.num_hidden_layers, config.num_attention_heads, config.hidden_size
    rows, length = inputs["input_ids"].shape
    rng = np.random.default_rng(seed)
    keep = {
        "hidden": rng.random((2 * layers + 1, rows, length, width)) >= rate,
        "attention": rng.random((layers, rows, heads, length, length)) >= rate,
    }
    golden, again = (step(load(), inputs, keep, rate) for _ in range(2))
    for name, value in golden.items():
        assert np.isfinite(value).all(), f"{name} is not finite"
        assert np.array_equal(value, again[name]), f"{name} differs between two runs"
        assert np.abs(value).max() > 1e-3, f"{name} is all but zero"
    whole = step(load(), inputs, {name: np.ones_like(array) for name, array in keep.items()}, 0.0)
    assert abs(whole["loss"] - golden["loss"]) > 1e-2, "the loss does not notice dropout"
    return {**keep, "rate": np.float64(rate), **golden}


def step(model: PreTrainedModel, inputs: Arrays, keep: Arrays, rate: float) -> Arrays:
    """Loss and gradients of one training step."""
    ids, attention, position_ids, positions, rows, labels = (torch.from_numpy(array) for array in inputs.values())
    model.train()
    order = [keep["hidden"][0]]
    for layer in range(len(keep["attention"])):
        order += [keep["attention"][layer], keep["hidden"][2 * layer + 1], keep["hidden"][2 * layer + 2]]
    with dropout_in(order, rate):
        logits = model(input_ids=ids, attention_mask=attention, position_ids=position_ids).logits
    loss = nn.functional.cross_entropy(logits[torch.arange(len(ids)), positions][:, rows], labels)
    loss.backward()
    golden = {"loss": loss}
    layer = next(value for name, value in model.named_modules() if name.endswith("encoder.layer.0"))
    for name in ("query", "key", "value"):
        golden[f"grad::{name}"] = getattr(layer.attention.self, name).weight.grad
    golden["grad::word"] = model.get_input_embeddings().weight.grad
    return {name: value.detach().numpy() for name, value in golden.items()}


@contextmanager
def dropout_in(order: list[np.ndarray], rate: float) -> Iterator[None]:
    """Let dropout keep what is given, in the order in which the model calls it; all of it must be used."""
    left, real = iter(order), nn.functional.dropout

    def dropout(x: torch.Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> torch.Tensor:
        mask = torch.from_numpy(next(left))
        assert mask.shape == x.shape, f"{tuple(x.shape)} is not what was drawn, {tuple(mask.shape)}"
        return x * mask / (1.0 - rate)

    nn.functional.dropout = dropout
    try:
        yield
    finally:
        nn.functional.dropout = real
    assert next(left, None) is None, "dropout was called less often than was drawn for"
