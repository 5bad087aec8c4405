"""The prompt encoder behind `ptuning`; imported only when a run builds it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import mindspore as ms
import numpy as np
from mindspore import Parameter, Tensor, nn, ops

from promptkit import PromptTask
from promptkit.nn import Backbone, SoftPrompt, initial_vectors

if TYPE_CHECKING:
    from promptkit_ptuning import Options


class PromptEncoder(nn.Cell):
    """P input vectors -> bidirectional LSTM -> linear, ReLU, linear -> P virtual tokens.

    Liu et al. 2021, section 3.2: h_i = MLP([LSTM(h_0:i) : LSTM(h_i:m)]). The two-layer MLP is as wide as the
    LSTM's joined outputs, as in the authors' code.

    Args:
        inputs: (P, H), where the input vectors start.
        lstm_hidden: width of the LSTM in each direction.
        lstm_layers: its layers.
        rng: source of the starting weights.
        by_products: whether to compute the LSTM of matrix products, step by step, and not by MindSpore's operator.
    """

    def __init__(
        self,
        inputs: Any,
        lstm_hidden: int,
        lstm_layers: int,
        rng: np.random.Generator,
        *,
        by_products: bool = False,
    ) -> None:
        super().__init__()
        hidden = inputs.shape[1]
        self.by_products, self.width, self.layers = by_products, lstm_hidden, lstm_layers
        self.inputs = Parameter(Tensor(np.ascontiguousarray(inputs[None], np.float32)), name="inputs")
        self.lstm = nn.LSTM(hidden, lstm_hidden, num_layers=lstm_layers, bidirectional=True, batch_first=True)
        wide = 2 * lstm_hidden
        self.up_weight = Parameter(Tensor(np.zeros((wide, wide), np.float32)), name="up_weight")
        self.up_bias = Parameter(Tensor(np.zeros(wide, np.float32)), name="up_bias")
        self.down_weight = Parameter(Tensor(np.zeros((hidden, wide), np.float32)), name="down_weight")
        self.down_bias = Parameter(Tensor(np.zeros(hidden, np.float32)), name="down_bias")
        self.linear = ops.MatMul(transpose_b=True)
        self._initialise(lstm_hidden, rng)

    def _initialise(self, lstm_hidden: int, rng: np.random.Generator) -> None:
        """Draw every weight from U(-1/sqrt(fan), 1/sqrt(fan)) with the run's own generator."""
        for parameter in self.lstm.get_parameters():
            bound = 1.0 / math.sqrt(lstm_hidden)
            parameter.set_data(Tensor(rng.uniform(-bound, bound, parameter.shape).astype(np.float32)))
        bound = 1.0 / math.sqrt(2 * lstm_hidden)
        for parameter in (self.up_weight, self.up_bias, self.down_weight, self.down_bias):
            parameter.set_data(Tensor(rng.uniform(-bound, bound, parameter.shape).astype(np.float32)))

    def construct(self) -> Any:
        """Return the virtual tokens' vectors, (P, H)."""
        x = self.both_ways(self.inputs[0]) if self.by_products else self.lstm(self.inputs)[0][0]
        x = ops.relu(self.linear(x, self.up_weight) + self.up_bias)
        return self.linear(x, self.down_weight) + self.down_bias

    def both_ways(self, x: Any) -> Any:
        """What `nn.LSTM` gives in all layers and both directions, (P, H) -> (P, 2 * width)."""
        for layer in range(self.layers):
            x = ops.concat((self.one_way(x, 2 * layer), self.one_way(x, 2 * layer + 1)), 1)
        return x

    def one_way(self, x: Any, number: Any) -> Any:
        """One layer in one direction, backwards if `number` is odd (Hochreiter & Schmidhuber 1997): -> (P, width).

        The gates stand in the order of MindSpore and PyTorch: input, forget, cell, output.
        """
        lstm, width, count = self.lstm, self.width, x.shape[0]
        given = self.linear(x, lstm.w_ih_list[number]) + (lstm.b_ih_list[number] + lstm.b_hh_list[number])
        state, cell = ops.zeros((1, width), x.dtype), ops.zeros((1, width), x.dtype)
        found = []
        for step in range(count):
            place = count - 1 - step if number % 2 == 1 else step
            gates = given[place : place + 1] + self.linear(state, lstm.w_hh_list[number])
            let_in, kept = ops.sigmoid(gates[:, :width]), ops.sigmoid(gates[:, width : 2 * width])
            new, let_out = ops.tanh(gates[:, 2 * width : 3 * width]), ops.sigmoid(gates[:, 3 * width :])
            cell = kept * cell + let_in * new
            state = let_out * ops.tanh(cell)
            found.append(state)
        if number % 2 == 1:
            found = found[::-1]
        return ops.concat(found, 0)


def build(backbone: Backbone, task: PromptTask, options: Options) -> SoftPrompt:
    """Return the prompted model with a fresh encoder, whose LSTM is one of matrix products on Ascend."""
    inputs = initial_vectors(backbone, task, options.init)
    width = options.lstm_hidden or backbone.info.embedding_size // 2
    # The operator is reported to fail on some of its chips; see docs/ascend.md.
    by_products = ms.get_context("device_target") == "Ascend"
    encoder = PromptEncoder(inputs, width, options.lstm_layers, task.rng, by_products=by_products)
    return SoftPrompt(backbone, task, encoder=encoder)
