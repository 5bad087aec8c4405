"""Golden numbers of P-tuning's prompt encoder, for `make_goldens.py`."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn


def lstm_golden(seed: int) -> dict[str, np.ndarray]:
    """A bidirectional two-layer LSTM and an MLP over P = 5 vectors of width 8 (Liu et al. 2021).

    The scalar whose gradients are stored is `sum(output * cotangent)`.
    """
    rng = np.random.default_rng(seed)
    width, hidden, count = 8, 6, 5
    lstm = nn.LSTM(width, hidden, num_layers=2, bidirectional=True, batch_first=True)
    mlp = nn.Sequential(nn.Linear(2 * hidden, 2 * hidden), nn.ReLU(), nn.Linear(2 * hidden, width))
    encoder = nn.ModuleDict({"lstm": lstm, "mlp": mlp})
    for _, weight in sorted(encoder.named_parameters()):
        weight.data = torch.tensor(0.5 * rng.standard_normal(tuple(weight.shape)), dtype=torch.float32)
    vectors = torch.tensor(rng.standard_normal((count, width)), dtype=torch.float32, requires_grad=True)
    cotangent = torch.tensor(rng.standard_normal((count, width)), dtype=torch.float32)
    states = lstm(vectors[None])[0][0]
    output = mlp(states)
    (output * cotangent).sum().backward()
    golden = {"input": vectors, "lstm_output": states, "output": output, "cotangent": cotangent}
    golden |= {"grad_input": vectors.grad, **dict(encoder.named_parameters())}
    golden |= {f"grad::{name}": weight.grad for name, weight in encoder.named_parameters()}
    return {name: value.detach().numpy() for name, value in golden.items()}
