"""A decoder layer with a norm in front of each block, with a backward pass of its own for frozen weights.

As `post_norm.py` for encoders: a frozen layer needs only the gradients of its input and of its prefix, which are
short enough to write down; a layer whose weights learn is left to automatic differentiation of the same forward pass.
In a frozen layer the norms' gains and biases are folded into the weights behind them.

Vaswani et al. 2017 (attention), Radford et al. 2019 (norms in front), Ainslie et al. 2023 (queries share keys),
Shazeer 2020 (gated feed-forward), Li & Liang 2021 (the prefix). Dimensions: R rows, S positions, P prefix positions,
H hidden, A heads of queries, A_kv of keys, G = A / A_kv, D head width, F feed-forward; N = R * S. Queries of the G
heads that share keys stand behind each other, so that nothing is repeated: (R, A_kv, G * S, D).
"""

from __future__ import annotations

from typing import Any

import mindspore as ms
from mindspore import nn, ops

from promptkit.backbones.native.decoder.shape import DecoderShape
from promptkit.backbones.native.layers.arithmetic import Arithmetic
from promptkit.backbones.native.layers.gates import gate_of
from promptkit.backbones.native.layers.heads import behind, join_heads, split_heads
from promptkit.backbones.native.layers.norms import NormalCore
from promptkit.backbones.native.layers.rotary import Rotation


class DecoderMath(nn.Cell):
    """One decoder layer as a function of its input, its attention bias, its rotation, its prefix and its weights.

    Weights come as a tuple of fourteen, see `DecoderLayer.own`; in the place of those that a shape does not have
    stands a single 0 that is not looked at.

    Args:
        shape: of the model.
        folded: whether the norms' gains and biases are in the weights behind them.
        arithmetic: of the device.
    """

    def __init__(self, shape: DecoderShape, arithmetic: Arithmetic, *, folded: bool) -> None:
        super().__init__()
        self.heads, self.kv_heads, self.width = shape.heads, shape.kv_heads, shape.head_width
        self.group = shape.heads // shape.kv_heads
        self.queries, self.keys = shape.query_width, shape.key_width
        self.inner, self.gated, self.head_norms = shape.intermediate_size, shape.gated, shape.head_norms
        self.folded = folded
        self.qkv_bias = shape.qkv_bias or (folded and not shape.root_mean_square)
        self.output_bias = shape.output_bias
        self.up_bias = shape.ffn_bias or (folded and not shape.root_mean_square)
        self.down_bias = shape.ffn_bias
        self.norm_bias = not shape.root_mean_square
        self.scale = float(shape.head_width) ** -0.5
        self.rotation = Rotation(shape.head_width)
        self.rotates = shape.positions == "rotary"
        self.gate, self.slope = gate_of(shape.activation, on_cpu=arithmetic.on_cpu)
        self.normal = NormalCore(shape.hidden_size, shape.eps, arithmetic, not shape.root_mean_square)
        self.head_normal = NormalCore(shape.head_width, shape.eps, arithmetic, not shape.root_mean_square)
        self.linear = arithmetic.product(transpose_b=True)
        self.matmul, self.repeat = arithmetic.product(), ops.MatMul()
        self.add_bias = ops.BiasAdd()
        self.scores = arithmetic.product(batched=True, transpose_b=True)
        self.mix = arithmetic.product(batched=True)
        self.mix_transposed = arithmetic.product(batched=True, transpose_a=True)
        self.softmax = ops.Softmax(-1)

    def split_queries(self, x: Any, rows: Any, length: Any) -> Any:
        """(rows * length, A * D) -> (rows, A_kv, G * length, D)."""
        return split_heads(x, rows, self.heads).reshape(rows, self.kv_heads, self.group * length, self.width)

    def join_queries(self, x: Any, rows: Any, length: Any) -> Any:
        """(rows, A_kv, G * length, D) -> (rows * length, A * D)."""
        return join_heads(x.reshape(rows, self.heads, length, self.width))

    def affine(self, x: Any, weight: Any, bias: Any, biased: Any) -> Any:
        """X W^T, and a bias where there is one."""
        y = self.linear(x, weight)
        return self.add_bias(y, bias) if biased else y

    def scaled(self, normal: Any, gain: Any, bias: Any) -> Any:
        """A norm's output from its normalised input; that itself where the gain is in the weights behind."""
        if self.folded:
            return normal
        return self.normal.norm.scale(normal, gain, bias if self.norm_bias else None)

    def for_each_head(self, x: Any, gain: Any) -> Any:
        """The norm of each head, (N, heads * D), and what its gradient needs; the input where there is none."""
        if not self.head_norms:
            return x, (x, x)
        normal, inverse = self.head_normal(x.reshape(-1, self.width))
        return self.head_normal.norm.scale(normal, gain, None).reshape(x.shape), (normal, inverse)

    def back_through_head(self, found: Any, gain: Any, dy: Any) -> Any:
        """Gradient of `for_each_head`'s input."""
        if not self.head_norms:
            return dy
        normal, inverse = found
        return self.head_normal.norm.gradient(normal, inverse, gain, dy.reshape(-1, self.width)).reshape(dy.shape)

    def turned(self, x: Any, turn: Any) -> Any:
        """Rotate every head by its position's angles, where the model does."""
        return self.rotation.turn(x, turn[0], turn[1]) if self.rotates else x

    def turned_back(self, dy: Any, turn: Any) -> Any:
        """Gradient of `turned`'s input."""
        return self.rotation.back(dy, turn[0], turn[1]) if self.rotates else dy

    def fed(self, normal: Any, weights: Any) -> Any:
        """The feed-forward layer's output and what its gradient needs."""
        w_up, b_up, w_down, b_down = weights[6], weights[7], weights[8], weights[9]
        u = self.affine(normal, w_up, b_up, self.up_bias)
        if self.gated:
            g, w = u[:, : self.inner], u[:, self.inner :]
            f = self.gate(g)
            return self.affine(g * f * w, w_down, b_down, self.down_bias), g, f, w
        f = self.gate(u)
        return self.affine(u * f, w_down, b_down, self.down_bias), u, f, f

    def forward(
        self, x: Any, bias: Any, turn_q: Any, turn_k: Any, prefix: Any, weights: Any, left: Any = None
    ) -> Any:
        """The output and all that the backward pass needs.

        Args:
            x: (N, H).
            bias: (R, A_kv, G * S, P + S).
            turn_q: cosines and sines for queries, (2, N, A * D); not looked at where nothing is rotated.
            turn_k: those for keys, (2, N, A_kv * D).
            prefix: (2, A_kv, P, D) or None.
            weights: the layer's fourteen.
            left: what dropout leaves, see `LayerMath.forward`. The backward pass below does not know of it.
        """
        w_qkv, b_qkv, w_o, b_o, g1, c1 = weights[0], weights[1], weights[2], weights[3], weights[4], weights[5]
        rows, length = bias.shape[0], bias.shape[2] // self.group
        n1, i1 = self.normal(x)
        qkv = self.affine(self.scaled(n1, g1, c1), w_qkv, b_qkv, self.qkv_bias)
        q, within_q = self.for_each_head(qkv[:, : self.queries], weights[12])
        k, within_k = self.for_each_head(qkv[:, self.queries : self.queries + self.keys], weights[13])
        q = self.split_queries(self.turned(q, turn_q) * self.scale, rows, length)
        k = split_heads(self.turned(k, turn_k), rows, self.kv_heads)
        v = split_heads(qkv[:, self.queries + self.keys :], rows, self.kv_heads)
        own_k, own_v = k, v
        if prefix is not None:
            k, v = behind(prefix[0], k), behind(prefix[1], v)
        p = self.softmax(self.scores(q, k) + bias)
        if left is not None:
            p = p * left[0].reshape(p.shape)
        context = self.join_queries(self.mix(p, v), rows, length)
        attended = self.affine(context, w_o, b_o, self.output_bias)
        if left is not None:
            attended = attended * left[1]
        h = x + attended
        n2, i2 = self.normal(h)
        out, u, f, w = self.fed(self.scaled(n2, weights[10], weights[11]), weights)
        if left is not None:
            out = out * left[2]
        return h + out, own_k, own_v, q, k, v, p, context, n1, i1, n2, i2, u, f, w, within_q, within_k

    def backward(self, count: Any, bias: Any, turn_q: Any, turn_k: Any, weights: Any, out: Any, dy: Any) -> Any:
        """Gradients of the input, (N, H), and of all keys and values, (R, A_kv, P + S, D) each.

        Args:
            count: P.
            bias: for its shape.
            turn_q: as `forward` takes it.
            turn_k: as `forward` takes it.
            weights: as `forward` takes them.
            out: what `forward` returned, for folded weights.
            dy: gradient of the output, (N, H).
        """
        w_qkv, w_o, w_up, w_down = weights[0], weights[2], weights[6], weights[8]
        _, _, _, q, k, v, p, context, n1, i1, n2, i2, u, f, w, within_q, within_k = out
        rows, length, keys = bias.shape[0], bias.shape[2] // self.group, bias.shape[3]
        dm = self.matmul(dy, w_down)
        du = dm * self.slope(u, f)
        if self.gated:
            du = ops.concat((du * w, dm * u * f), 1)
        dh = dy + self.normal.norm.gradient_of_normal(n2, i2, self.matmul(du, w_up))
        dcontext = self.matmul(dh, w_o)
        # rowsum(dP * P) equals rowsum(dO * O) (Dao et al. 2022, eq. 4), see `LayerMath.backward`.
        inner = self.split_queries(dcontext * context, rows, length).reshape(-1, self.width)
        inner = self.repeat(inner, ops.ones((self.width, keys), ms.float32))
        dcontext = self.split_queries(dcontext, rows, length)
        ds = p * (self.scores(dcontext, v) - inner.reshape(p.shape))
        dq = self.join_queries(self.mix(ds, k), rows, length) * self.scale
        dk, dv = self.mix_transposed(ds, q), self.mix_transposed(p, dcontext)
        own_k, own_v = dk, dv
        if count > 0:
            own_k, own_v = dk[:, :, count:], dv[:, :, count:]
        dq = self.back_through_head(within_q, weights[12], self.turned_back(dq, turn_q))
        own_k = self.turned_back(join_heads(own_k), turn_k)
        own_k = self.back_through_head(within_k, weights[13], own_k)
        dqkv = ops.concat((dq, own_k, join_heads(own_v)), 1)
        return dh + self.normal.norm.gradient_of_normal(n1, i1, self.matmul(dqkv, w_qkv)), dk, dv

    def pooled(
        self, x: Any, bias: Any, chosen: Any, turn_q: Any, turn_k: Any, prefix: Any, weights: Any, left: Any = None
    ) -> Any:
        """The layer's output at chosen rows only: keys and values of all N rows, the rest at R * Q rows.

        Args:
            x: (N, H).
            bias: (R, A_kv, G * Q, P + S), for the Q positions read of each row.
            chosen: (R * Q,), row numbers in x.
            turn_q: those of the chosen rows, (2, R * Q, A * D).
            turn_k: (2, N, A_kv * D).
            prefix: (2, A_kv, P, D) or None.
            weights: as `forward` takes them.
            left: as `forward` takes it, for R * Q rows in place of N.

        Returns:
            (R * Q, H).
        """
        w_qkv, b_qkv, w_o, b_o, g1, c1 = weights[0], weights[1], weights[2], weights[3], weights[4], weights[5]
        split = self.queries
        rows, count = bias.shape[0], bias.shape[2] // self.group
        normal = self.scaled(self.normal(x)[0], g1, c1)
        x_read = ops.gather(x, chosen, 0)
        q = self.affine(ops.gather(normal, chosen, 0), w_qkv[:split], b_qkv[:split], self.qkv_bias)
        kv = self.affine(normal, w_qkv[split:], b_qkv[split:], self.qkv_bias)
        q, _ = self.for_each_head(q, weights[12])
        k, _ = self.for_each_head(kv[:, : self.keys], weights[13])
        q = self.split_queries(self.turned(q, turn_q) * self.scale, rows, count)
        k = split_heads(self.turned(k, turn_k), rows, self.kv_heads)
        v = split_heads(kv[:, self.keys :], rows, self.kv_heads)
        if prefix is not None:
            k, v = behind(prefix[0], k), behind(prefix[1], v)
        p = self.softmax(self.scores(q, k) + bias)
        if left is not None:
            p = p * left[0].reshape(p.shape)
        attended = self.affine(self.join_queries(self.mix(p, v), rows, count), w_o, b_o, self.output_bias)
        if left is not None:
            attended = attended * left[1]
        h = x_read + attended
        out = self.fed(self.scaled(self.normal(h)[0], weights[10], weights[11]), weights)[0]
        return h + (out if left is None else out * left[2])


class DecoderForward(DecoderMath):
    """The layer left to automatic differentiation; a cell, for MindSpore parses a method once for every caller."""

    def construct(
        self, x: Any, bias: Any, turn_q: Any, turn_k: Any, prefix: Any, weights: Any, left: Any = None
    ) -> Any:
        """Return the output, (N, H), and the layer's own keys and values, (R, A_kv, S, D); see `forward`."""
        return self.forward(x, bias, turn_q, turn_k, prefix, weights, left)[:3]


class DecoderCore(DecoderMath):
    """The layer without a prefix; `bprop` gives the gradient of the input and zeros for the rest."""

    def construct(self, x: Any, bias: Any, turn_q: Any, turn_k: Any, weights: Any) -> Any:
        """Run the layer: x (N, H) -> output (N, H) and what `bprop` needs."""
        return self.forward(x, bias, turn_q, turn_k, None, weights)

    def bprop(self, x: Any, bias: Any, turn_q: Any, turn_k: Any, weights: Any, out: Any, dout: Any) -> Any:
        """Gradient of the layer's input, derived by hand."""
        dx, _, _ = self.backward(0, bias, turn_q, turn_k, weights, out, dout[0])
        return dx, ops.zeros_like(bias), ops.zeros_like(turn_q), ops.zeros_like(turn_k), zeros(weights)


class PrefixedDecoderCore(DecoderMath):
    """The same layer with keys and values in front; the backward pass gives their gradient as well."""

    def construct(self, x: Any, bias: Any, turn_q: Any, turn_k: Any, prefix: Any, weights: Any) -> Any:
        """Run the layer: x (N, H), prefix (2, A_kv, P, D) -> as `DecoderCore.construct`."""
        return self.forward(x, bias, turn_q, turn_k, prefix, weights)

    def bprop(
        self, x: Any, bias: Any, turn_q: Any, turn_k: Any, prefix: Any, weights: Any, out: Any, dout: Any
    ) -> Any:
        """Gradients of the layer's input and of the prefix, which all rows share."""
        count = prefix.shape[2]
        dx, dk, dv = self.backward(count, bias, turn_q, turn_k, weights, out, dout[0])
        dprefix = ops.stack((dk[:, :, :count].sum(0), dv[:, :, :count].sum(0)))
        return dx, ops.zeros_like(bias), ops.zeros_like(turn_q), ops.zeros_like(turn_k), dprefix, zeros(weights)


def zeros(weights: Any) -> Any:
    """Gradients that nobody asks for; the graph drops them."""
    z = ops.zeros_like
    a, b, c, d, e, f, g, h, i, j, k, m, n, o = weights
    return z(a), z(b), z(c), z(d), z(e), z(f), z(g), z(h), z(i), z(j), z(k), z(m), z(n), z(o)
