"""The encoder layer, with a backward pass of its own for frozen weights.

MindSpore differentiates a post-LayerNorm layer correctly but, on the CPU, slowly: gradients that meet are
summed by a slow kernel, LayerNorm's gradient takes many times its forward pass, and sums over the last axis of
a four-dimensional tensor are slow. A frozen layer needs only the gradient with respect to its input, and that
is short enough to write down. `LayerCore` holds both directions; a layer whose weights learn is left to
automatic differentiation of the same forward pass.

Vaswani et al. 2017 (attention), Devlin et al. 2019 (the layer). Dimensions: B batch, S sequence, H hidden,
A heads, D = H / A, F feed-forward; N = B * S rows.
"""

from __future__ import annotations

from typing import Any

import mindspore as ms
import numpy as np
from mindspore import Parameter, Tensor, nn, ops

from promptkit.backbones.native.config import BackboneConfig
from promptkit.backbones.native.layers.gates import gate_of
from promptkit.backbones.native.weights import Weights


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


class LayerCore(nn.Cell):
    """One encoder layer as a function of its input and weights.

    `construct` returns the output and what the backward pass needs; `bprop` gives the gradient of the input
    and zeros for the rest, so it may be used only where the weights are frozen.
    """

    def __init__(self, config: BackboneConfig, *, on_cpu: bool) -> None:
        super().__init__()
        self.hidden, self.heads, self.width = config.hidden_size, config.heads, config.head_width
        self.scale = float(config.head_width) ** -0.5
        self.eps = config.layer_norm_eps
        self.gate, self.slope = gate_of(config.activation, on_cpu=on_cpu)
        self.linear = ops.MatMul(transpose_b=True)
        self.matmul = ops.MatMul()
        self.add_bias = ops.BiasAdd()
        self.scores = ops.BatchMatMul(transpose_b=True)
        self.mix = ops.BatchMatMul()
        self.mix_transposed = ops.BatchMatMul(transpose_a=True)
        self.softmax = ops.Softmax(-1)
        self.norm = ops.LayerNorm(-1, -1, config.layer_norm_eps)
        self.mean = WideMean(config.hidden_size)

    def split_heads(self, x: Any, rows: Any, length: Any) -> Any:
        """(rows * length, H) -> (rows, A, length, D)."""
        return ops.transpose(x.reshape(rows, length, self.heads, self.width), (0, 2, 1, 3))

    def join_heads(self, x: Any, rows: Any, length: Any) -> Any:
        """(rows, A, length, D) -> (rows * length, H)."""
        return ops.transpose(x, (0, 2, 1, 3)).reshape(rows * length, self.hidden)

    def construct(
        self,
        x: Any,
        bias: Any,
        w_qkv: Any,
        b_qkv: Any,
        w_o: Any,
        b_o: Any,
        g1: Any,
        c1: Any,
        w_up: Any,
        b_up: Any,
        w_down: Any,
        b_down: Any,
        g2: Any,
        c2: Any,
    ) -> Any:
        """Run the layer: x (N, H), attention bias (B, A, S, S) -> output (N, H) and what `bprop` needs."""
        rows, length = bias.shape[0], bias.shape[3]
        q, k, v = ops.split(self.add_bias(self.linear(x, w_qkv), b_qkv), self.hidden, 1)
        q = self.split_heads(q * self.scale, rows, length)
        k = self.split_heads(k, rows, length)
        v = self.split_heads(v, rows, length)
        p = self.softmax(self.scores(q, k) + bias)
        context = self.join_heads(self.mix(p, v), rows, length)
        r1 = x + self.add_bias(self.linear(context, w_o), b_o)
        h = self.norm(r1, g1, c1)[0]
        u = self.add_bias(self.linear(h, w_up), b_up)
        f = self.gate(u)
        r2 = h + self.add_bias(self.linear(u * f, w_down), b_down)
        return self.norm(r2, g2, c2)[0], q, k, v, p, context, r1, u, f, r2

    def norm_input_gradient(self, x: Any, gain: Any, dy: Any) -> Any:
        """Gradient of LayerNorm's input."""
        return norm_gradient(self.mean, self.matmul, x, gain, dy, self.eps)[0]

    def bprop(
        self,
        x: Any,
        bias: Any,
        w_qkv: Any,
        b_qkv: Any,
        w_o: Any,
        b_o: Any,
        g1: Any,
        c1: Any,
        w_up: Any,
        b_up: Any,
        w_down: Any,
        b_down: Any,
        g2: Any,
        c2: Any,
        out: Any,
        dout: Any,
    ) -> Any:
        """Gradient of the layer's input, derived by hand."""
        _, q, k, v, p, context, r1, u, f, r2 = out
        rows, length = bias.shape[0], bias.shape[3]
        dr2 = self.norm_input_gradient(r2, g2, dout[0])
        du = self.matmul(dr2, w_down) * self.slope(u, f)
        dr1 = self.norm_input_gradient(r1, g1, dr2 + self.matmul(du, w_up))
        dcontext = self.matmul(dr1, w_o)
        # rowsum(dP * P) equals rowsum(dO * O) (Dao et al. 2022, eq. 4), a sum over D instead of S; the product
        # with ones repeats it over S.
        inner = self.split_heads(dcontext * context, rows, length).reshape(-1, self.width)
        inner = self.matmul(inner, ops.ones((self.width, length), ms.float32))
        dcontext = self.split_heads(dcontext, rows, length)
        ds = p * (self.scores(dcontext, v) - inner.reshape(p.shape))
        dq = self.join_heads(self.mix(ds, k), rows, length) * self.scale
        dk = self.join_heads(self.mix_transposed(ds, q), rows, length)
        dv = self.join_heads(self.mix_transposed(p, dcontext), rows, length)
        dx = dr1 + self.matmul(ops.concat((dq, dk, dv), 1), w_qkv)
        z = ops.zeros_like
        return (
            dx, z(bias), z(w_qkv), z(b_qkv), z(w_o), z(b_o), z(g1), z(c1),
            z(w_up), z(b_up), z(w_down), z(b_down), z(g2), z(c2),
        )  # fmt: skip

    def plain(self, x: Any, bias: Any, weights: Any) -> Any:
        """The same forward pass, output only, for automatic differentiation of learning weights."""
        q, k, v = ops.split(self.add_bias(self.linear(x, weights[0]), weights[1]), self.hidden, 1)
        return self.finish(x, q, k, v, bias, bias.shape[3], weights)

    def pooled(self, x: Any, bias: Any, chosen: Any, weights: Any) -> Any:
        """The layer's output at chosen rows only: keys and values of all N rows, the rest at B * M rows.

        Args:
            x: (N, H).
            bias: (B, 1, 1, S).
            chosen: (B, M), row numbers in x.
            weights: the layer's weights, as `construct` takes them.

        Returns:
            (B * M, H).
        """
        w_qkv, b_qkv = weights[0], weights[1]
        h = self.hidden
        keep = ops.gather(x, chosen.reshape(-1), 0)
        q = self.add_bias(self.linear(keep, w_qkv[:h]), b_qkv[:h])
        k, v = ops.split(self.add_bias(self.linear(x, w_qkv[h:]), b_qkv[h:]), h, 1)
        return self.finish(keep, q, k, v, bias, chosen.shape[1], weights)

    def finish(self, x: Any, q: Any, k: Any, v: Any, bias: Any, count: Any, weights: Any) -> Any:
        """Attention and feed-forward for queries q (B * count, H) over keys and values (N, H)."""
        _, _, w_o, b_o, g1, c1, w_up, b_up, w_down, b_down, g2, c2 = weights
        rows, length = bias.shape[0], bias.shape[3]
        q = self.split_heads(q * self.scale, rows, count)
        k = self.split_heads(k, rows, length)
        v = self.split_heads(v, rows, length)
        p = self.softmax(self.scores(q, k) + bias)
        context = self.join_heads(self.mix(p, v), rows, count)
        h = self.norm(x + self.add_bias(self.linear(context, w_o), b_o), g1, c1)[0]
        u = self.add_bias(self.linear(h, w_up), b_up)
        return self.norm(h + self.add_bias(self.linear(u * self.gate(u), w_down), b_down), g2, c2)[0]


class EncoderLayer(nn.Cell):
    """The weights of one layer, and which of `LayerCore`'s ways to run it."""

    def __init__(self, config: BackboneConfig, weights: Weights, index: int, *, learns: bool, on_cpu: bool) -> None:
        super().__init__()

        def get(name: str) -> Any:
            return weights[f"layers.{index}.{name}"]

        def fused(kind: str) -> Any:
            return np.concatenate([get(f"{part}.{kind}") for part in ("query", "key", "value")])

        self.learns = learns
        self.core = LayerCore(config, on_cpu=on_cpu)
        self.qkv_weight = parameter("qkv_weight", fused("weight"), learns)
        self.qkv_bias = parameter("qkv_bias", fused("bias"), learns)
        self.output_weight = parameter("output_weight", get("output.weight"), learns)
        self.output_bias = parameter("output_bias", get("output.bias"), learns)
        self.attention_norm_weight = parameter("attention_norm_weight", get("attention_norm.weight"), learns)
        self.attention_norm_bias = parameter("attention_norm_bias", get("attention_norm.bias"), learns)
        self.up_weight = parameter("up_weight", get("up.weight"), learns)
        self.up_bias = parameter("up_bias", get("up.bias"), learns)
        self.down_weight = parameter("down_weight", get("down.weight"), learns)
        self.down_bias = parameter("down_bias", get("down.bias"), learns)
        self.output_norm_weight = parameter("output_norm_weight", get("output_norm.weight"), learns)
        self.output_norm_bias = parameter("output_norm_bias", get("output_norm.bias"), learns)

    def own(self) -> Any:
        """The weights in the order `LayerCore` takes them."""
        return (
            self.qkv_weight, self.qkv_bias, self.output_weight, self.output_bias,
            self.attention_norm_weight, self.attention_norm_bias, self.up_weight, self.up_bias,
            self.down_weight, self.down_bias, self.output_norm_weight, self.output_norm_bias,
        )  # fmt: skip

    def construct(self, x: Any, bias: Any) -> Any:
        if self.learns:
            return self.core.plain(x, bias, self.own())
        return self.core(x, bias, *self.own())[0]

    def at(self, x: Any, bias: Any, chosen: Any) -> Any:
        """Output at the chosen rows only, (B * M, H)."""
        return self.core.pooled(x, bias, chosen, self.own())


def attention_bias(attention_mask: Any, heads: Any) -> Any:
    """What is added to attention scores: 0 at real keys, else a number that softmax turns into exactly 0.

    Args:
        attention_mask: (B, S) float32 of ones and zeros.
        heads: A.

    Returns:
        (B, 1, 1, S), and the same repeated to (B, A, S, S), so that no layer has to broadcast.
    """
    rows, length = attention_mask.shape
    narrow = ((attention_mask - 1.0) * 1e9).reshape(rows, 1, 1, length)
    return narrow, ops.broadcast_to(narrow, (rows, heads, length, length))
