"""LayerNorm, with a gradient composed of what MindSpore's CPU kernels do well."""

from __future__ import annotations

from typing import Any

import mindspore as ms
import numpy as np
from mindspore import Parameter, Tensor, nn, ops


def parameter(name: str, value: Any, learns: bool = False) -> Parameter:
    """Return a float32 parameter; `requires_grad` is `learns`."""
    return Parameter(Tensor(np.ascontiguousarray(value, dtype=np.float32)), name=name, requires_grad=learns)


class LayerNorm(nn.Cell):
    """LayerNorm over the last axis of (N, H), with a composed gradient (Ba et al. 2016)."""

    def __init__(self, weight: Any, bias: Any, eps: float, learns: bool = False) -> None:
        super().__init__()
        self.weight = parameter("weight", weight, learns)
        self.bias = parameter("bias", bias, learns)
        self.core = LayerNormCore(len(weight), eps)

    def construct(self, x: Any) -> Any:
        return self.core(x, self.weight, self.bias)


class WideMean(nn.Cell):
    """Mean over the last axis of (N, H), repeated over that axis again: (N, H) -> (N, H).

    As two products with constant vectors, so that what follows has operands of equal shapes: on the CPU every
    broadcasting operator of a graph keeps an index table of 16 bytes for each output element for as long as
    the graph lives (9 MB for 1536 x 384, measured with MindSpore 2.10), and is slower besides.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.column = Tensor(np.full((width, 1), 1.0 / width, np.float32))
        self.row = Tensor(np.ones((1, width), np.float32))
        self.matmul = ops.MatMul()

    def construct(self, x: Any) -> Any:
        return self.matmul(self.matmul(x, self.column), self.row)


def norm_gradient(mean: Any, matmul: Any, x: Any, gain: Any, dy: Any, eps: Any) -> Any:
    """Gradient of LayerNorm's input, and the normalised input: (N, H) each.

    Args:
        mean: a `WideMean`.
        matmul: an `ops.MatMul`.
        x: the input, (N, H).
        gain: (H,).
        dy: gradient of the output, (N, H).
        eps: LayerNorm's epsilon.
    """
    centred = x - mean(x)
    inverse = ops.rsqrt(mean(centred * centred) + eps)
    normal = centred * inverse
    gains = matmul(ops.ones((x.shape[0], 1), ms.float32), gain.reshape(1, -1))
    d = dy * gains
    return (d - mean(d) - normal * mean(d * normal)) * inverse, normal


class LayerNormCore(nn.Cell):
    """LayerNorm as a function of input, gain and bias, all differentiable."""

    def __init__(self, width: int, eps: float) -> None:
        super().__init__()
        self.eps = eps
        self.norm = ops.LayerNorm(-1, -1, eps)
        self.mean = WideMean(width)
        self.matmul = ops.MatMul()

    def construct(self, x: Any, weight: Any, bias: Any) -> Any:
        return self.norm(x, weight, bias)[0]

    def bprop(self, x: Any, weight: Any, bias: Any, out: Any, dout: Any) -> Any:
        """Gradients of input, gain and bias."""
        dx, normal = norm_gradient(self.mean, self.matmul, x, weight, dout, self.eps)
        return dx, (dout * normal).sum(0), dout.sum(0)
