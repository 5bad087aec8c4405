"""What is compiled lets go of what it refers to, whatever MindSpore keeps of it."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import numpy as np
import pytest

ms = pytest.importorskip("mindspore")

from mindspore import Tensor

from promptkit.backbones.compiled import CompiledFunctions
from promptkit.backbones.device import Mode


class Held(ms.nn.Cell):
    """Stands for a model."""

    def construct(self, x: Any) -> Any:
        """Twice as much."""
        return x + x


@pytest.mark.parametrize("mode", ["graph", "pynative"])
@pytest.mark.parametrize("cleared", [True, False])
def test_what_a_function_refers_to_goes_with_it(mode: Mode, cleared: bool) -> None:
    held = Held()
    seen, functions = weakref.ref(held), CompiledFunctions()

    def plain(x: Any) -> Any:
        return model(x)

    model = held
    functions.add("twice", plain, mode)
    assert "twice" in functions
    assert functions["twice"](Tensor(np.ones(3, np.float32))).asnumpy().tolist() == [2.0, 2.0, 2.0]
    if cleared:
        functions.clear()
        assert "twice" not in functions
    del functions, held
    gc.collect()
    assert seen() is None
