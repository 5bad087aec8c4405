"""Keys and values that stand in the layers: how large they are, beside the model's own, and how far they went.

Dimensions: K layers with a prefix, of L; A_kv heads of keys and values, P prefix positions, D head width.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from promptkit.errors import UserError

if TYPE_CHECKING:
    from promptkit.nn import Backbone
    from promptkit.prompting.resolved import PromptTask


@dataclass(frozen=True)
class Size:
    """Keys, or values, of one layer; means over heads and positions.

    Attributes:
        norm: Euclidean norm, over D numbers.
        own_norm: that of what the frozen model computes for words of the task, for scale; None where it cannot say.
        moved: Euclidean distance from where they started.
    """

    norm: float
    own_norm: float | None
    moved: float


@dataclass(frozen=True)
class PrefixedLayer:
    """One layer with a prefix.

    Attributes:
        layer: its number, from 1 at the input to L.
        keys, values: see `Size`.
    """

    layer: int
    keys: Size
    values: Size


@dataclass(frozen=True)
class PrefixOfLayers:
    """The prefix of one template.

    Attributes:
        template: its source.
        length: P.
        heads: A_kv.
        of_layers: L.
        layers: those with a prefix, (K,).
    """

    template: str
    length: int
    heads: int
    of_layers: int
    layers: tuple[PrefixedLayer, ...]

    @property
    def still(self) -> bool:
        """Whether nothing moved."""
        return all(size.moved == 0 for each in self.layers for size in (each.keys, each.values))


def describe_prefix(
    backbone: Backbone, task: PromptTask, template: str, prefix: NDArray[np.float32], initial: NDArray[np.float32]
) -> PrefixOfLayers:
    """Describe a prefix.

    Args:
        backbone: the language model.
        task: the resolved prompt.
        template: its source.
        prefix: (K, 2, A_kv, P, D).
        initial: what it was before training, of the same shape.
    """
    depth, _, heads, length, _ = prefix.shape
    first = backbone.info.layers - depth
    norms, moved = _sizes(prefix), _sizes(prefix.astype(np.float64) - initial)
    own = _own_sizes(backbone, task, length)

    def size(place: int, which: int) -> Size:
        beside = None if own is None else float(own[first + place, which])
        return Size(float(norms[place, which]), beside, float(moved[place, which]))

    layers = tuple(PrefixedLayer(first + place + 1, size(place, 0), size(place, 1)) for place in range(depth))
    return PrefixOfLayers(template, length, heads, backbone.info.layers, layers)


def _sizes(prefix: NDArray[Any]) -> NDArray[np.float64]:
    """Return mean norms of keys and of values, (K, 2)."""
    found: NDArray[np.float64] = np.linalg.norm(prefix.astype(np.float64), axis=-1).mean((2, 3))
    return found


def _own_sizes(backbone: Backbone, task: PromptTask, length: int) -> NDArray[np.float64] | None:
    from promptkit.nn import initial_prefix

    try:
        return _sizes(initial_prefix(backbone, task, "activations", length, backbone.info.layers))
    except UserError:
        return None
