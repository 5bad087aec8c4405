"""LayerNorm and RMSNorm, composed in both directions of what MindSpore's CPU kernels do well."""

from __future__ import annotations

from typing import Any

import mindspore as ms
import numpy as np
from mindspore import Parameter, Tensor, nn, ops

from promptkit.backbones.native.layers.arithmetic import Arithmetic


def parameter(name: str, value: Any, learns: bool = False) -> Parameter:
    """Return a float32 parameter; `requires_grad` is `learns`."""
    return Parameter(Tensor(np.ascontiguousarray(value, dtype=np.float32)), name=name, requires_grad=learns)


class Norm(nn.Cell):
    """A norm over the last axis of (N, H) in parts, so that the backward pass takes up what the forward one found.

    LayerNorm (Ba et al. 2016), or RMSNorm (Zhang & Sennrich 2019), which leaves the mean where it is.

    Means over H are products with constant vectors, and what is repeated over H is a product as well, so that all
    else has operands of equal shapes: on the CPU every broadcasting operator of a graph keeps an index table of 16
    bytes for each output element for as long as the graph lives (9 MB for 1536 x 384, measured with MindSpore 2.10),
    and is slower besides. In a fused kernel nothing is kept and nothing repeated, so there operands broadcast.

    Args:
        width: H.
        eps: added to the variance.
        arithmetic: of the device.
        centred: whether the mean is taken off, as LayerNorm does.
    """

    def __init__(self, width: int, eps: float, arithmetic: Arithmetic, centred: bool = True) -> None:
        super().__init__()
        self.eps, self.centred, self.fused = eps, centred, arithmetic.fused
        self.reduce = ops.ReduceMean(keep_dims=True)
        self.column = Tensor(np.full((width, 1), 1.0 / width, np.float32))
        self.row = Tensor(np.ones((1, width), np.float32))
        self.matmul = ops.MatMul()
        self.add_bias = ops.BiasAdd()

    def mean(self, x: Any) -> Any:
        """Mean over H: (N, H) -> (N, 1)."""
        return self.reduce(x, -1) if self.fused else self.matmul(x, self.column)

    def wide(self, x: Any) -> Any:
        """(N, 1) -> (N, H), or what broadcasts to it."""
        return x if self.fused else self.matmul(x, self.row)

    def gains(self, count: Any, gain: Any) -> Any:
        """(H,) -> (count, H), or what broadcasts to it."""
        if self.fused:
            return gain.reshape(1, -1)
        return self.matmul(ops.ones((count, 1), ms.float32), gain.reshape(1, -1))

    def normalise(self, x: Any) -> Any:
        """(N, H) with a mean square of 1 in every row, and what the rows were multiplied by, (N, 1)."""
        centred = x
        if self.centred:
            centred = x - self.wide(self.mean(x))
        inverse = ops.rsqrt(self.mean(centred * centred) + self.eps)
        return centred * self.wide(inverse), inverse

    def scale(self, normal: Any, gain: Any, bias: Any) -> Any:
        """The norm's output from its normalised input; without a bias where that is None."""
        scaled = normal * self.gains(normal.shape[0], gain)
        return scaled if bias is None else self.add_bias(scaled, bias)

    def gradient(self, normal: Any, inverse: Any, gain: Any, dy: Any) -> Any:
        """Gradient of the norm's input, (N, H), from that of its output and what `normalise` returned."""
        return self.gradient_of_normal(normal, inverse, dy * self.gains(dy.shape[0], gain))

    def gradient_of_normal(self, normal: Any, inverse: Any, d: Any) -> Any:
        """The same from the gradient of the normalised input."""
        centred = d
        if self.centred:
            centred = d - self.wide(self.mean(d))
        return (centred - normal * self.wide(self.mean(d * normal))) * self.wide(inverse)


class NormalCore(nn.Cell):
    """The normalised input alone, differentiable; also returns what `bprop` needs."""

    def __init__(self, width: int, eps: float, arithmetic: Arithmetic, centred: bool) -> None:
        super().__init__()
        self.norm = Norm(width, eps, arithmetic, centred)

    def construct(self, x: Any) -> Any:
        return self.norm.normalise(x)

    def bprop(self, x: Any, out: Any, dout: Any) -> Any:
        """Gradient of the input."""
        return (self.norm.gradient_of_normal(out[0], out[1], dout[0]),)


class LayerNorm(nn.Cell):
    """LayerNorm over the last axis of (N, H) (Ba et al. 2016), frozen or learning."""

    def __init__(self, weight: Any, bias: Any, eps: float, arithmetic: Arithmetic, learns: bool = False) -> None:
        super().__init__()
        self.weight = parameter("weight", weight, learns)
        self.bias = parameter("bias", bias, learns)
        self.core = LayerNormCore(len(weight), eps, arithmetic)

    def construct(self, x: Any) -> Any:
        return self.core(x, self.weight, self.bias)[0]


class LayerNormCore(nn.Cell):
    """LayerNorm as a function of input, gain and bias, all differentiable; also returns what `bprop` needs."""

    def __init__(self, width: int, eps: float, arithmetic: Arithmetic) -> None:
        super().__init__()
        self.norm = Norm(width, eps, arithmetic)

    def construct(self, x: Any, weight: Any, bias: Any) -> Any:
        normal, inverse = self.norm.normalise(x)
        return self.norm.scale(normal, weight, bias), normal, inverse

    def bprop(self, x: Any, weight: Any, bias: Any, out: Any, dout: Any) -> Any:
        """Gradients of input, gain and bias."""
        _, normal, inverse = out
        dy = dout[0]
        return self.norm.gradient(normal, inverse, weight, dy), (dy * normal).sum(0), dy.sum(0)
