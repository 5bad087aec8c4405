"""The weights of one decoder layer, and which of `DecoderMath`'s ways to run it."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from mindspore import nn

from promptkit.backbones.native.checkpoint import Weights
from promptkit.backbones.native.decoder.shape import DecoderShape
from promptkit.backbones.native.layers.arithmetic import Arithmetic
from promptkit.backbones.native.layers.norms import parameter
from promptkit.backbones.native.layers.pre_norm import DecoderCore, DecoderForward, PrefixedDecoderCore

Parts = dict[str, npt.NDArray[np.float32]]
_MATRICES = ("qkv_weight", "output_weight", "up_weight", "down_weight")
_NONE = np.zeros(1, np.float32)  # in the place of a weight that the shape does not have


class DecoderCores(nn.Cell):
    """What all layers of a model share: the functions of weights, which are parsed once and not once a layer.

    Args:
        shape: of the model.
        arithmetic: of the device.
        learns: `all`, `biases` or None.
    """

    def __init__(self, shape: DecoderShape, arithmetic: Arithmetic, *, learns: str | None) -> None:
        super().__init__()
        self.arithmetic = arithmetic
        self.free = DecoderForward(shape, arithmetic, folded=learns is None)
        self.plain = DecoderCore(shape, arithmetic, folded=learns is None)
        self.prefixed = PrefixedDecoderCore(shape, arithmetic, folded=learns is None)


class DecoderLayer(nn.Cell):
    """One layer, frozen and folded, or learning.

    Args:
        cores: of the model.
        shape: of the model.
        weights: by the engine's names.
        index: which layer.
        learns: `all`, `biases` or None.
    """

    def __init__(
        self, cores: DecoderCores, shape: DecoderShape, weights: Weights, index: int, *, learns: str | None
    ) -> None:
        super().__init__()
        own = {name: weights[f"layers.{index}.{name}"] for name in _names(shape, index)}
        self.learns = learns is not None
        merged = _merged(own) if self.learns else _folded(_merged(own))
        self.core, self.prefixed, self.free = cores.plain, cores.prefixed, cores.free

        def made(name: str) -> Any:
            there = name in merged
            moves = there and (learns == "all" or (learns == "biases" and name.endswith("_bias")))
            made_of = cores.arithmetic.matrix if name in _MATRICES else parameter
            return made_of(name, merged.get(name, _NONE), moves)

        self.qkv_weight, self.qkv_bias = made("qkv_weight"), made("qkv_bias")
        self.output_weight, self.output_bias = made("output_weight"), made("output_bias")
        self.attention_norm_weight, self.attention_norm_bias = (
            made("attention_norm_weight"),
            made("attention_norm_bias"),
        )
        self.up_weight, self.up_bias = made("up_weight"), made("up_bias")
        self.down_weight, self.down_bias = made("down_weight"), made("down_bias")
        self.ffn_norm_weight, self.ffn_norm_bias = made("ffn_norm_weight"), made("ffn_norm_bias")
        self.query_norm_weight, self.key_norm_weight = made("query_norm_weight"), made("key_norm_weight")

    def own(self) -> Any:
        """The weights in the order `DecoderMath` takes them."""
        return (
            self.qkv_weight, self.qkv_bias, self.output_weight, self.output_bias,
            self.attention_norm_weight, self.attention_norm_bias, self.up_weight, self.up_bias,
            self.down_weight, self.down_bias, self.ffn_norm_weight, self.ffn_norm_bias,
            self.query_norm_weight, self.key_norm_weight,
        )  # fmt: skip

    def construct(self, x: Any, bias: Any, turn_q: Any, turn_k: Any, prefix: Any = None, left: Any = None) -> Any:
        """(N, H) -> (N, H); see `DecoderMath.forward`."""
        if self.learns or left is not None:
            return self.free(x, bias, turn_q, turn_k, prefix, self.own(), left)[0]
        if prefix is None:
            return self.core(x, bias, turn_q, turn_k, self.own())[0]
        return self.prefixed(x, bias, turn_q, turn_k, prefix, self.own())[0]

    def at(
        self, x: Any, bias: Any, chosen: Any, turn_q: Any, turn_k: Any, prefix: Any = None, left: Any = None
    ) -> Any:
        """Output at the chosen rows only, (R * Q, H)."""
        return self.core.pooled(x, bias, chosen, turn_q, turn_k, prefix, self.own(), left)


def _names(shape: DecoderShape, index: int) -> list[str]:
    stem = f"layers.{index}."
    return [name.removeprefix(stem) for name in shape.shapes() if name.startswith(stem)]


def _merged(own: Weights) -> Parts:
    """Put side by side what is multiplied with the same states: queries, keys and values; gate and up."""
    found: Parts = {}
    for name, parts in (("qkv", ("query", "key", "value")), ("up", ("gate", "up"))):
        for kind in ("weight", "bias"):
            there = [own[f"{part}.{kind}"] for part in parts if f"{part}.{kind}" in own]
            if there:
                found[f"{name}_{kind}"] = np.concatenate(there)
    for name, value in own.items():
        part, kind = name.split(".")
        if part not in ("query", "key", "value", "gate", "up"):
            found[f"{part}_{kind}"] = value
    return found


def _folded(merged: Parts) -> Parts:
    """Put the gains and biases of the two norms into the weights behind: W (g n + c) + b = (W g) n + (W c + b)."""
    found = dict(merged)
    for norm, name in (("attention_norm", "qkv"), ("ffn_norm", "up")):
        weight, gain, shift = merged[f"{name}_weight"], found.pop(f"{norm}_weight"), found.pop(f"{norm}_bias", None)
        found[f"{name}_weight"] = weight * gain
        if shift is not None:
            found[f"{name}_bias"] = weight @ shift + merged.get(f"{name}_bias", np.float32(0.0))
    return found
