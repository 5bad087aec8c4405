"""Rotary positions (Su et al. 2021, arXiv:2104.09864): queries and keys are turned by their position's angles.

In the form that the checkpoints' weights are stored for: dimension i of a head turns with dimension i + D / 2.
"""

from __future__ import annotations

from typing import Any

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn, ops


class Angles(nn.Cell):
    """Cosines and sines for positions, repeated for every head.

    Args:
        frequencies: (D / 2,) angles a position.
        heads: A.
    """

    def __init__(self, frequencies: tuple[float, ...], heads: int) -> None:
        super().__init__()
        both = np.array([*frequencies, *frequencies], np.float32)
        self.frequencies = Tensor(both.reshape(1, -1))
        self.repeat = Tensor(np.tile(np.eye(len(both), dtype=np.float32), (1, heads)))
        self.matmul = ops.MatMul()

    def construct(self, positions: Any) -> Any:
        """(N,) int32 -> (2, N, A * D)."""
        angles = self.matmul(positions.astype(ms.float32).reshape(-1, 1), self.frequencies)
        return ops.stack((self.matmul(ops.cos(angles), self.repeat), self.matmul(ops.sin(angles), self.repeat)))


class Rotation(nn.Cell):
    """Turns heads of width D by given angles, and gradients back.

    Half of the turn is a product with a constant matrix, which is quicker on the CPU than cutting and joining halves.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        half = width // 2
        crossed = np.zeros((width, width), np.float32)
        for i in range(half):
            crossed[i + half, i], crossed[i, i + half] = -1.0, 1.0
        self.crossed = Tensor(crossed)
        self.width = width
        self.matmul = ops.MatMul()

    def cross(self, x: Any) -> Any:
        """(..., [x1, x2]) -> (..., [-x2, x1]) in every head."""
        return self.matmul(x.reshape(-1, self.width), self.crossed).reshape(x.shape)

    def turn(self, x: Any, cosine: Any, sine: Any) -> Any:
        """(N, A * D), turned."""
        return x * cosine + self.cross(x) * sine

    def back(self, dy: Any, cosine: Any, sine: Any) -> Any:
        """Gradient of `turn`'s input: a turn by the opposite angles."""
        return dy * cosine - self.cross(dy * sine)
