"""What a model has learnt, as arrays: virtual tokens, and keys and values in the layers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from promptkit.nn import PromptedModel

VECTORS, VALUES = "prompt.vectors", "prompt.values"


def virtual_vectors(model: PromptedModel, width: int) -> NDArray[np.float32] | None:
    """Return the vectors that stand in the place of word embeddings, (P, H), or None if there are none.

    They are what the model's `virtual_vectors()` returns, or else its parameter `prompt.vectors`.
    """
    found = _array(model, "virtual_vectors", VECTORS)
    return None if found is None or found.ndim != 2 or found.shape[1] != width else found


def prefix_of(model: PromptedModel) -> NDArray[np.float32] | None:
    """Return what a model hands to its layers, (K, 2, A_kv, P, D), or None if that is nothing.

    It is what the model's `keys_and_values()` returns, or else its parameter `prompt.values`.
    """
    found = _array(model, "keys_and_values", VALUES)
    return None if found is None or found.ndim != 5 or found.shape[1] != 2 else found


def _array(model: PromptedModel, method: str, parameter: str) -> NDArray[np.float32] | None:
    tensor = getattr(model, method)() if hasattr(model, method) else model.own_parameters().get(parameter)
    # A copy: on CPU the array may be the parameter's own memory, which is about to be written to.
    return None if tensor is None else np.array(tensor.asnumpy(), np.float32)
