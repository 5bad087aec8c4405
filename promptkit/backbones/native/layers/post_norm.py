"""An encoder layer with LayerNorm behind each block, with a backward pass of its own for frozen weights.

MindSpore differentiates such a layer correctly but, on the CPU, slowly: gradients that meet are summed by a slow
kernel, LayerNorm's gradient takes many times its forward pass, and sums over the last axis of a four-dimensional
tensor are slow. A frozen layer needs only the gradients of its input and of its prefix, and of its biases if these
learn; those are short enough to write down. `LayerMath` holds both directions; a layer whose weights learn is left to
automatic differentiation of the same forward pass.

Vaswani et al. 2017 (attention), Devlin et al. 2019 (the layer), Li & Liang 2021 (the prefix). Dimensions: R rows, S
positions, P prefix positions, H hidden, A heads, D = H / A, F feed-forward; N = R * S.
"""

from __future__ import annotations

from typing import Any

import mindspore as ms
import numpy as np
from mindspore import nn, ops

from promptkit.backbones.native.checkpoint import Weights
from promptkit.backbones.native.layers.arithmetic import Arithmetic
from promptkit.backbones.native.layers.gates import gate_of
from promptkit.backbones.native.layers.heads import behind, join_heads, split_heads
from promptkit.backbones.native.layers.norms import Norm, parameter
from promptkit.backbones.native.shape import EncoderShape


class LayerMath(nn.Cell):
    """One encoder layer as a function of its input, its attention bias, its prefix and its twelve weights."""

    def __init__(self, shape: EncoderShape, arithmetic: Arithmetic) -> None:
        super().__init__()
        self.hidden, self.heads, self.width = shape.hidden_size, shape.heads, shape.head_width
        self.scale = float(shape.head_width) ** -0.5
        self.gate, self.slope = gate_of(shape.activation, on_cpu=arithmetic.on_cpu)
        self.linear = arithmetic.product(transpose_b=True)
        self.matmul, self.repeat = arithmetic.product(), ops.MatMul()
        self.add_bias = ops.BiasAdd()
        self.scores = arithmetic.product(batched=True, transpose_b=True)
        self.mix = arithmetic.product(batched=True)
        self.mix_transposed = arithmetic.product(batched=True, transpose_a=True)
        self.softmax = ops.Softmax(-1)
        self.thirds, self.halves = ops.Split(1, 3), ops.Split(1, 2)
        self.norm = Norm(shape.hidden_size, shape.layer_norm_eps, arithmetic)

    def by_weights(self, weights: Any, within: Any, dy: Any) -> Any:
        """Gradients of the biases, and zeros for the other weights; the graph drops what nobody asks for.

        Args:
            weights: as `forward` takes them.
            within: as `backward` returns it.
            dy: gradient of the output, (N, H).
        """
        z = ops.zeros_like
        w_qkv, _, w_o, _, g1, _, w_up, _, w_down, _, g2, _ = weights
        dqkv, dr1, dh, du, dr2 = within
        return (
            z(w_qkv), dqkv.sum(0), z(w_o), dr1.sum(0), z(g1), dh.sum(0),
            z(w_up), du.sum(0), z(w_down), dr2.sum(0), z(g2), dy.sum(0),
        )  # fmt: skip

    def forward(self, x: Any, bias: Any, prefix: Any, weights: Any, left: Any = None) -> Any:
        """The output and all that the backward pass needs.

        Args:
            x: (N, H).
            bias: (R, A, S, P + S).
            prefix: (2, A, P, D) or None.
            weights: the layer's twelve.
            left: what dropout leaves, as factors: of attention probabilities, like `bias`, and of the outputs of
                attention and feed-forward, (N, H) each; or None. The backward pass below does not know of it.
        """
        w_qkv, b_qkv, w_o, b_o, g1, c1, w_up, b_up, w_down, b_down, g2, c2 = weights
        rows = bias.shape[0]
        q, k, v = self.thirds(self.add_bias(self.linear(x, w_qkv), b_qkv))
        q = split_heads(q * self.scale, rows, self.heads)
        k = split_heads(k, rows, self.heads)
        v = split_heads(v, rows, self.heads)
        if prefix is not None:
            k, v = behind(prefix[0], k), behind(prefix[1], v)
        p = self.softmax(self.scores(q, k) + bias)
        if left is not None:
            p = p * left[0]
        context = join_heads(self.mix(p, v))
        attended = self.add_bias(self.linear(context, w_o), b_o)
        if left is not None:
            attended = attended * left[1]
        n1, i1 = self.norm.normalise(x + attended)
        h = self.norm.scale(n1, g1, c1)
        u = self.add_bias(self.linear(h, w_up), b_up)
        f = self.gate(u)
        fed = self.add_bias(self.linear(u * f, w_down), b_down)
        if left is not None:
            fed = fed * left[2]
        n2, i2 = self.norm.normalise(h + fed)
        return self.norm.scale(n2, g2, c2), q, k, v, p, context, n1, i1, u, f, n2, i2

    def backward(self, count: Any, bias: Any, weights: Any, out: Any, dy: Any) -> Any:
        """Gradients of the input, (N, H), and of the prefix's keys and values before they are summed over rows.

        Args:
            count: P, the prefix positions in front of the keys.
            bias: (R, A, S, P + S), for its shape.
            weights: as `forward` takes them.
            out: what `forward` returned.
            dy: gradient of the output, (N, H).

        Returns:
            (N, H); the gradients of all keys and values, (R, A, P + S, D) each; and those of what the biases are
            added to, for `by_weights`.
        """
        w_qkv, _, w_o, _, g1, _, w_up, _, w_down, _, g2, _ = weights
        _, q, k, v, p, context, n1, i1, u, f, n2, i2 = out
        rows, keys = bias.shape[0], bias.shape[3]
        dr2 = self.norm.gradient(n2, i2, g2, dy)
        du = self.matmul(dr2, w_down) * self.slope(u, f)
        dh = dr2 + self.matmul(du, w_up)
        dr1 = self.norm.gradient(n1, i1, g1, dh)
        dcontext = self.matmul(dr1, w_o)
        # rowsum(dP * P) equals rowsum(dO * O) (Dao et al. 2022, eq. 4), a sum over D instead of S; the product
        # with ones repeats it over S.
        inner = split_heads(dcontext * context, rows, self.heads).reshape(-1, self.width)
        inner = self.repeat(inner, ops.ones((self.width, keys), ms.float32))
        dcontext = split_heads(dcontext, rows, self.heads)
        ds = p * (self.scores(dcontext, v) - inner.reshape(p.shape))
        dq = join_heads(self.mix(ds, k)) * self.scale
        dk = self.mix_transposed(ds, q)
        dv = self.mix_transposed(p, dcontext)
        own_k, own_v = dk, dv
        if count > 0:
            own_k, own_v = dk[:, :, count:], dv[:, :, count:]
        own_k, own_v = join_heads(own_k), join_heads(own_v)
        dqkv = ops.concat((dq, own_k, own_v), 1)
        return dr1 + self.matmul(dqkv, w_qkv), dk, dv, (dqkv, dr1, dh, du, dr2)

    def pooled(self, x: Any, bias: Any, chosen: Any, prefix: Any, weights: Any, left: Any = None) -> Any:
        """The layer's output at chosen rows only: keys and values of all N rows, the rest at R * Q rows.

        Args:
            x: (N, H).
            bias: (R, A, Q, P + S), for the Q positions read of each row.
            chosen: (R * Q,), row numbers in x.
            prefix: (2, A, P, D) or None.
            weights: as `forward` takes them.
            left: as `forward` takes it, for R * Q rows in place of N.

        Returns:
            (R * Q, H).
        """
        w_qkv, b_qkv, w_o, b_o, g1, c1, w_up, b_up, w_down, b_down, g2, c2 = weights
        hidden = self.hidden
        rows = bias.shape[0]
        x_read = ops.gather(x, chosen, 0)
        q = self.add_bias(self.linear(x_read, w_qkv[:hidden]), b_qkv[:hidden])
        k, v = self.halves(self.add_bias(self.linear(x, w_qkv[hidden:]), b_qkv[hidden:]))
        q = split_heads(q * self.scale, rows, self.heads)
        k = split_heads(k, rows, self.heads)
        v = split_heads(v, rows, self.heads)
        if prefix is not None:
            k, v = behind(prefix[0], k), behind(prefix[1], v)
        p = self.softmax(self.scores(q, k) + bias)
        if left is not None:
            p = p * left[0]
        context = join_heads(self.mix(p, v))
        attended = self.add_bias(self.linear(context, w_o), b_o)
        if left is not None:
            attended = attended * left[1]
        h = self.norm.scale(self.norm.normalise(x_read + attended)[0], g1, c1)
        u = self.add_bias(self.linear(h, w_up), b_up)
        fed = self.add_bias(self.linear(u * self.gate(u), w_down), b_down)
        if left is not None:
            fed = fed * left[2]
        return self.norm.scale(self.norm.normalise(h + fed)[0], g2, c2)


class LayerForward(LayerMath):
    """The layer left to automatic differentiation; a cell, for MindSpore parses a method once for every caller."""

    def construct(self, x: Any, bias: Any, prefix: Any, weights: Any, left: Any = None) -> Any:
        """Return the output, (N, H); see `forward`."""
        return self.forward(x, bias, prefix, weights, left)[0]


class LayerCore(LayerMath):
    """The layer without a prefix.

    `construct` returns the output and what the backward pass needs; `bprop` gives the gradients of the input and of
    the biases and zeros for the rest, so it may be used only where all other weights are frozen.
    """

    def construct(self, x: Any, bias: Any, weights: Any) -> Any:
        """Run the layer: x (N, H), attention bias (R, A, S, S) -> output (N, H) and what `bprop` needs."""
        return self.forward(x, bias, None, weights)

    def bprop(self, x: Any, bias: Any, weights: Any, out: Any, dout: Any) -> Any:
        """Gradients of the layer's input and biases, derived by hand."""
        dx, _, _, within = self.backward(0, bias, weights, out, dout[0])
        return dx, ops.zeros_like(bias), self.by_weights(weights, within, dout[0])


class PrefixedLayerCore(LayerMath):
    """The same layer with keys and values in front; the backward pass gives their gradient as well."""

    def construct(self, x: Any, bias: Any, prefix: Any, weights: Any) -> Any:
        """Run the layer: x (N, H), bias (R, A, S, P + S), prefix (2, A, P, D) -> as `LayerCore.construct`."""
        return self.forward(x, bias, prefix, weights)

    def bprop(self, x: Any, bias: Any, prefix: Any, weights: Any, out: Any, dout: Any) -> Any:
        """Gradients of the layer's input, of the prefix, which all rows share, and of the biases."""
        count = prefix.shape[2]
        dx, dk, dv, within = self.backward(count, bias, weights, out, dout[0])
        dprefix = ops.stack((dk[:, :, :count].sum(0), dv[:, :, :count].sum(0)))
        return dx, ops.zeros_like(bias), dprefix, self.by_weights(weights, within, dout[0])


class LayerCores(nn.Cell):
    """What all layers of a model share: the functions of weights, which are parsed once and not once a layer."""

    def __init__(self, shape: EncoderShape, arithmetic: Arithmetic) -> None:
        super().__init__()
        self.arithmetic = arithmetic
        self.free = LayerForward(shape, arithmetic)
        self.plain, self.prefixed = LayerCore(shape, arithmetic), PrefixedLayerCore(shape, arithmetic)


class EncoderLayer(nn.Cell):
    """The weights of one layer, and which of `LayerMath`'s ways to run it.

    Args:
        cores: of the model.
        weights: by the engine's names.
        index: which layer.
        learns: whether every weight does.
    """

    def __init__(self, cores: LayerCores, weights: Weights, index: int, *, learns: bool) -> None:
        super().__init__()

        def get(name: str) -> Any:
            return weights[f"layers.{index}.{name}"]

        def fused(kind: str) -> Any:
            return np.concatenate([get(f"{part}.{kind}") for part in ("query", "key", "value")])

        self.learns, matrix = learns, cores.arithmetic.matrix
        self.core, self.prefixed, self.free = cores.plain, cores.prefixed, cores.free
        self.qkv_weight = matrix("qkv_weight", fused("weight"), learns)
        self.qkv_bias = parameter("qkv_bias", fused("bias"), learns)
        self.output_weight = matrix("output_weight", get("output.weight"), learns)
        self.output_bias = parameter("output_bias", get("output.bias"), learns)
        self.attention_norm_weight = parameter("attention_norm_weight", get("attention_norm.weight"), learns)
        self.attention_norm_bias = parameter("attention_norm_bias", get("attention_norm.bias"), learns)
        self.up_weight = matrix("up_weight", get("up.weight"), learns)
        self.up_bias = parameter("up_bias", get("up.bias"), learns)
        self.down_weight = matrix("down_weight", get("down.weight"), learns)
        self.down_bias = parameter("down_bias", get("down.bias"), learns)
        self.output_norm_weight = parameter("output_norm_weight", get("output_norm.weight"), learns)
        self.output_norm_bias = parameter("output_norm_bias", get("output_norm.bias"), learns)

    def biases(self) -> tuple[Any, ...]:
        """All that is added to a state."""
        return (
            self.qkv_bias, self.output_bias, self.attention_norm_bias, self.up_bias, self.down_bias,
            self.output_norm_bias,
        )  # fmt: skip

    def own(self) -> Any:
        """The weights in the order `LayerMath` takes them."""
        return (
            self.qkv_weight, self.qkv_bias, self.output_weight, self.output_bias,
            self.attention_norm_weight, self.attention_norm_bias, self.up_weight, self.up_bias,
            self.down_weight, self.down_bias, self.output_norm_weight, self.output_norm_bias,
        )  # fmt: skip

    def construct(self, x: Any, bias: Any, prefix: Any = None, left: Any = None) -> Any:
        """(N, H) -> (N, H); see `LayerMath.forward`."""
        if self.learns or left is not None:
            return self.free(x, bias, prefix, self.own(), left)
        if prefix is None:
            return self.core(x, bias, self.own())[0]
        return self.prefixed(x, bias, prefix, self.own())[0]

    def at(self, x: Any, bias: Any, chosen: Any, prefix: Any = None, left: Any = None) -> Any:
        """Output at the chosen rows only, (R * Q, H)."""
        return self.core.pooled(x, bias, chosen, prefix, self.own(), left)
