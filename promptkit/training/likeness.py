"""Whether two models are the same but for the values of their parameters, so that a compiled graph serves both.

A compiled graph holds on to the model it was compiled for: to its parameters, whose values it reads anew at every
call, and to everything else, which became part of the graph. So the question is put to everything else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import mindspore as ms
import numpy as np
from mindspore import Parameter, Tensor, nn, ops
from mindspore.ops import Primitive

_PLAIN = (bool, int, float, complex, str, bytes, type(None))
_HEAP_TYPE = 1 << 9  # of a class's `__flags__`: it was made while Python ran, and is no part of it
_SEEDS = {"seed", "seed2", "Seed0", "Seed1", "seed0", "seed1"}


@dataclass
class Likeness:
    """What two models that are alike may still differ in.

    Attributes:
        parameters: those that are not shared, by pairs, the earlier model's first.
        generators: sources of random numbers, by pairs.
    """

    parameters: list[tuple[Parameter, Parameter]] = field(default_factory=list)
    generators: list[tuple[np.random.Generator, np.random.Generator]] = field(default_factory=list)

    def take_over(self) -> None:
        """Make the earlier model the later one."""
        for mine, theirs in self.parameters:
            # In place, see `Selection.restore`.
            ops.assign(mine, Tensor(array_of(theirs)).astype(theirs.dtype))
        for drawn, fresh in self.generators:
            drawn.bit_generator.state = fresh.bit_generator.state


def array_of(tensor: Tensor) -> Any:
    """Return a tensor's values; bfloat16, which NumPy does not have, as float32."""
    return (tensor.astype(ms.float32) if tensor.dtype == ms.bfloat16 else tensor).asnumpy()


def likeness(earlier: Any, later: Any) -> Likeness | None:
    """Compare two models, or what goes into a graph beside them; return None where they differ in more than values.

    Where that cannot be told they are taken to differ.

    Not alike is, among other things, whatever draws random numbers within the graph: it would go on drawing where the
    earlier model ended.
    """
    walk = _Walk()
    return walk.found if walk.alike(earlier, later) else None


class _Walk:
    """Goes through two models side by side. Pairs that it has met are taken for alike: they may come in circles."""

    def __init__(self) -> None:
        self.found = Likeness()
        self._own = set(vars(nn.Cell()))
        # By identity, and kept: an object that is gone would leave its number to another.
        self._met: dict[tuple[int, int], tuple[Any, Any]] = {}

    def alike(self, one: Any, other: Any) -> bool:
        """Return whether two values are."""
        if type(one) is not type(other):
            return False
        if isinstance(one, _PLAIN):
            return bool(one == other)
        if (id(one), id(other)) in self._met:
            return True
        self._met[id(one), id(other)] = (one, other)
        if isinstance(one, nn.Cell | Primitive):
            return self._cells(one, other)
        return one is other or self._values(one, other)

    def _cells(self, one: Any, other: Any) -> bool:
        """Compare cells, or primitives; the same one as well, for what it draws is looked for in there."""
        if isinstance(one, Primitive):
            # What else it keeps is the name of the attribute that holds it.
            return not _SEEDS & set(one.attrs) and one.name == other.name and self._mappings(one.attrs, other.attrs)
        if isinstance(one, nn.Dropout) and not (one.training or other.training):
            # It lets everything through; nn.LSTM holds one that it never uses.
            return True
        return self._mappings(self._parts(one), self._parts(other))

    def _values(self, one: Any, other: Any) -> bool:
        if isinstance(one, Parameter):
            if any(mine is one or theirs is other for mine, theirs in self.found.parameters):
                # One model shares a parameter between two places where the other has two.
                return False
            self.found.parameters.append((one, other))
            return (one.shape, one.dtype, one.requires_grad) == (other.shape, other.dtype, other.requires_grad)
        if isinstance(one, Tensor):
            return one.dtype == other.dtype and np.array_equal(array_of(one), array_of(other))
        if isinstance(one, np.ndarray):
            return one.dtype == other.dtype and np.array_equal(one, other)
        if isinstance(one, np.random.Generator):
            self.found.generators.append((one, other))
            return True
        if isinstance(one, Mapping):
            return self._mappings(one, other)
        if isinstance(one, list | tuple):
            return len(one) == len(other) and all(map(self.alike, one, other))
        if isinstance(one, set | frozenset):
            return bool(one == other)
        if not _is_plain(type(one)):
            # Functions with what they close over, and objects of another language: their parts do not show.
            return False
        return self._mappings(_attributes(one), _attributes(other))

    def _mappings(self, one: Mapping[Any, Any], other: Mapping[Any, Any]) -> bool:
        return list(one) == list(other) and all(self.alike(one[key], other[key]) for key in one)

    def _parts(self, cell: Any) -> dict[str, Any]:
        """Return what a cell's class put there, without what MindSpore keeps there."""
        own = {name: value for name, value in vars(cell).items() if name not in self._own}
        return own | {"_cells": cell._cells, "_params": cell._params, "training": cell.training}


def _is_plain(kind: type) -> bool:
    """Return whether objects of a class are made of nothing but what Python's `class` statements put into them."""
    new: Any = object.__new__
    return kind.__new__ is new and all(each.__flags__ & _HEAP_TYPE for each in kind.__mro__[:-1])


def _attributes(thing: Any) -> dict[str, Any]:
    inside = dict(getattr(thing, "__dict__", {}))
    for kind in type(thing).__mro__:
        slots = getattr(kind, "__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            private = name.startswith("__") and not name.endswith("__")
            stored = f"_{kind.__name__.lstrip('_')}{name}" if private else name
            if stored not in ("__dict__", "__weakref__") and hasattr(thing, stored):
                inside[stored] = getattr(thing, stored)
    return inside
