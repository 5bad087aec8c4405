"""Causal models of PyTorch's transformers at work, for `decoders.py`: plain, behind a prefix, and as a prefix."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import numpy as np
import torch
from torch import nn
from transformers import DynamicCache, PreTrainedModel
from transformers.models.bloom.modeling_bloom import _get_alibi_slopes

Arrays = dict[str, np.ndarray]
ATTENTION = ("self_attn", "attn", "self_attention")


def run(model: PreTrainedModel, inputs: Arrays) -> dict[str, torch.Tensor]:
    """What the model computes left to itself, told only which positions are padding; README.md names the values.

    The gradients of its weights are left in them.
    """
    ids, attention = (torch.from_numpy(inputs[name]) for name in ("input_ids", "attention_mask"))
    embeds = model.get_input_embeddings()(ids)
    embeds.retain_grad()
    found = model(inputs_embeds=embeds, attention_mask=attention, use_cache=False)
    lost = loss(found.logits, inputs)
    lost.backward()
    with torch.no_grad():
        hidden = model.base_model(inputs_embeds=embeds, attention_mask=attention, use_cache=False).last_hidden_state
    return {"logits": found.logits, "hidden": hidden, "loss": lost, "grad_inputs_embeds": embeds.grad}


def run_behind(
    model: PreTrainedModel, inputs: Arrays, prefix: np.ndarray, *, our_masks: bool = True
) -> dict[str, torch.Tensor]:
    """What the model computes with a prefix, (K, 2, A_kv, P, D), in front of its last K layers.

    The texts keep the positions that they have without it. Keys of the prefix are looked at as they are, nothing
    rotates them; to BLOOM they are the P positions in front of the text. Left to its own masks transformers computes
    the same, but knows only prefixes of all layers.
    """
    ids, position_ids = (torch.from_numpy(inputs[name]) for name in ("input_ids", "position_ids"))
    batch, layers = len(ids), model.config.num_hidden_layers
    given = torch.from_numpy(prefix).requires_grad_()
    # A layer without a prefix has one of no length, so that the cache knows every layer.
    fronts = [given[0, :, :, :0]] * (layers - len(prefix)) + list(given)
    cache = DynamicCache()
    for layer, (keys, values) in enumerate(fronts):
        cache.update(keys.expand(batch, *keys.shape), values.expand(batch, *values.shape), layer)
    embeds = model.get_input_embeddings()(ids)
    embeds.retain_grad()
    told: dict[str, Any] = {} if model.config.model_type == "bloom" else {"position_ids": position_ids}
    lengths = [keys.shape[1] for keys, _ in fronts]
    if not our_masks:
        ones = torch.ones(batch, prefix.shape[3], dtype=torch.int64)
        told["attention_mask"] = torch.cat((ones, torch.from_numpy(inputs["attention_mask"])), 1)
    with masks_of_our_own(model, inputs, lengths) if our_masks else nullcontext():
        hidden = model.base_model(inputs_embeds=embeds, cache=cache, use_cache=True, **told).last_hidden_state
    lost = loss(model.get_output_embeddings()(hidden), inputs)
    lost.backward()
    return {"hidden": hidden, "loss": lost, "grad_inputs_embeds": embeds.grad, "grad_prefix": given.grad}


def keys_and_values(model: PreTrainedModel, ids: np.ndarray) -> torch.Tensor:
    """Keys, rotated where the model rotates, and values of a text that stands alone: (L, 2, A_kv, P, D)."""
    cache = DynamicCache()
    with torch.no_grad():
        model(input_ids=torch.from_numpy(ids)[None], cache=cache, use_cache=True)
    return torch.stack([torch.stack((layer.keys[0], layer.values[0])) for layer in cache.layers])


def loss(logits: torch.Tensor, inputs: Arrays) -> torch.Tensor:
    """Mean cross entropy over the rows at every position read of every text."""
    positions, rows, labels = (torch.from_numpy(inputs[name]) for name in ("positions", "rows", "labels"))
    chosen = logits[torch.arange(len(positions))[:, None], positions][..., rows]
    return nn.functional.cross_entropy(chosen.flatten(0, 1), labels.flatten())


@contextmanager
def masks_of_our_own(
    model: PreTrainedModel, inputs: Arrays, lengths: list[int], *, causal: bool = True
) -> Iterator[None]:
    """Have layer I attend to a prefix of `lengths[I]` and, of the text, to what is real and not later.

    transformers has one mask for all layers. Press et al. 2022 (section 3) add slope * (key - query) to a score,
    with the places of both; a prefix has the places in front of the text.
    """
    real = torch.from_numpy(inputs["attention_mask"]) > 0
    batch, size = real.shape
    seen = real[:, None, None, :] & (torch.ones(size, size).tril() if causal else torch.ones(size, size)).bool()
    steps = torch.arange(size)
    slopes = _get_alibi_slopes(model.config.num_attention_heads, torch.device("cpu"))

    def hook(layer: int) -> Any:
        mask = nn.functional.pad(seen, (lengths[layer], 0), value=True)
        apart = torch.arange(-lengths[layer], size)[None] - steps[:, None]
        bias = (slopes[:, None, None] * apart).repeat(batch, 1, 1)

        def change(module: nn.Module, arguments: tuple[Any, ...], named: dict[str, Any]) -> Any:
            assert "attention_mask" in named
            named["attention_mask"] = torch.where(mask, 0.0, torch.finfo(torch.float32).min)
            if "alibi" in named:
                named["alibi"] = bias
            return arguments, named

        return change

    blocks = [module for name, module in model.named_modules() if name.split(".")[-1] in ATTENTION]
    assert len(blocks) == len(lengths)
    hooks = [block.register_forward_pre_hook(hook(n), with_kwargs=True) for n, block in enumerate(blocks)]
    try:
        yield
    finally:
        for each in hooks:
            each.remove()
