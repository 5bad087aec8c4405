"""What dropout keeps, drawn by NumPy: the same on every device and in every mode."""

from __future__ import annotations

from typing import Any

import numpy as np

from promptkit.backbones.face import BackboneInfo, Inputs

_STEPS = 1 << 16


def kept(shape: tuple[int, ...], rate: float, rng: np.random.Generator) -> Any:
    """Return an array of bools: what dropout keeps.

    Args:
        shape: of the array.
        rate: probability that each is false; rounded to a multiple of 1/65,536.
        rng: draws.
    """
    return rng.integers(0, _STEPS, shape, np.uint16) >= round(rate * _STEPS)


def kept_within(info: BackboneInfo, inputs: Inputs, rate: float, rng: np.random.Generator) -> tuple[Any, Any]:
    """Return what dropout keeps within a model: `hidden` and `attention` of `promptkit.backbones.face.Dropout`.

    Args:
        info: of the model.
        inputs: of the step, for their shapes.
        rate: the share that is dropped.
        rng: draws.

    Returns:
        (2 L + 1, R * S, H) and (L, R, A, S, S) bool. For a prefix of P positions what `kept((L, R, A, S, P), ...)`
        gives belongs in front of the second, along its last axis.
    """
    rows, length = inputs["token_ids"].shape
    hidden = kept((2 * info.layers + 1, rows * length, info.hidden_size), rate, rng)
    return hidden, kept((info.layers, rows, info.heads, length, length), rate, rng)
