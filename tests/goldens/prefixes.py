"""Golden numbers of keys and values in front of every layer (Li & Liang 2021), for `make_goldens.py`."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import nn
from transformers import DynamicCache, PreTrainedModel

Arrays = dict[str, np.ndarray]


def prefix_golden(load: Callable[[], PreTrainedModel], inputs: Arrays, count: int, seed: int) -> Arrays:
    """What a model computes with a prefix of `count` random keys and values; README.md says what the arrays are.

    Raises AssertionError unless the numbers are finite, equal in two runs, and other than without the prefix.
    """
    model = load()
    config = model.config
    width = config.hidden_size // config.num_attention_heads
    shape = (config.num_hidden_layers, 2, config.num_attention_heads, count, width)
    # Large enough that the texts look at it a good deal.
    prefix = (1.5 * np.random.default_rng(seed).standard_normal(shape)).astype(np.float32)
    golden, again = (run_with_prefix(load(), inputs, prefix) for _ in range(2))
    for name, value in golden.items():
        assert np.isfinite(value).all(), f"{name} is not finite"
        assert np.array_equal(value, again[name]), f"{name} differs between two runs"
        assert np.abs(value).max() > 1e-3, f"{name} is all but zero"
    assert np.abs(golden["grad_prefix"]).max((2, 3, 4)).min() > 1e-4, "a layer's keys or values have no gradient"
    without = run_with_prefix(load(), inputs, prefix[:, :, :, :0])
    real = inputs["attention_mask"] > 0
    assert np.abs(without["logits"] - golden["logits"])[real].max() > 0.1, "the logits do not notice the prefix"
    return {"prefix": prefix, **golden}


def run_with_prefix(model: PreTrainedModel, inputs: Arrays, prefix: np.ndarray) -> Arrays:
    """Logits, loss and gradients, the prefix handed to the layers as keys and values seen before.

    The texts keep the positions they have without it. transformers makes no mask for an encoder with a cache, so it
    gets one of its own: every position sees the prefix and the real positions of its text.
    """
    ids, attention, position_ids, positions, rows, labels = (torch.from_numpy(array) for array in inputs.values())
    batch, length = ids.shape
    keys_and_values = torch.from_numpy(prefix).requires_grad_()
    cache = DynamicCache()
    for layer, (keys, values) in enumerate(keys_and_values):
        cache.update(keys.expand(batch, *keys.shape), values.expand(batch, *values.shape), layer)
    seen = torch.cat((torch.ones(batch, prefix.shape[3]), attention.float()), 1)
    mask = ((1.0 - seen) * torch.finfo(torch.float32).min)[:, None, None].expand(-1, 1, length, -1)
    embeds = model.get_input_embeddings()(ids)
    embeds.retain_grad()
    logits = model(inputs_embeds=embeds, attention_mask=mask, position_ids=position_ids, cache=cache).logits
    loss = nn.functional.cross_entropy(logits[torch.arange(batch), positions][:, rows], labels)
    loss.backward()
    golden = {"logits": logits, "loss": loss, "grad_inputs_embeds": embeds.grad, "grad_prefix": keys_and_values.grad}
    layer = next(value for name, value in model.named_modules() if name.endswith("encoder.layer.0"))
    for name in ("query", "key", "value"):
        golden[f"grad::{name}"] = getattr(layer.attention.self, name).weight.grad
    return {name: value.detach().numpy() for name, value in golden.items()}
