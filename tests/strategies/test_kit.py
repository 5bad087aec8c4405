"""The kit for strategies by others, on those that come with promptkit: a line for each."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("mindspore")

from promptkit.hooks import get_host
from promptkit.testing import StrategyKit

BOTH = ("masked", "causal")
# Of 27 steps, for models that learn whole: enough for the loss to fall.
FEW = {"epochs": 9}


def kit(name: str, **attributes: Any) -> type[StrategyKit]:
    body = {"strategy": get_host().strategy(name).cls, "pytestmark": pytest.mark.slow, "kinds": BOTH, **attributes}
    return type(name, (StrategyKit,), body)


TestHard = kit("hard", learns=())
# What is calibrated are classes.
CALIBRATED: dict[str, Any] = {"kinds": ("masked",), "test_it_writes": None}
TestHardCalibrated = kit("hard", learns=(), options={"calibrate": "content-free"}, **CALIBRATED)
TestHardMedian = kit("hard", learns=("head",), options={"calibrate": "median"}, **CALIBRATED)
TestProbe = kit("probe", learns=("head",))
# A causal model has no head that could learn.
TestPet = kit("pet", learns=("head",), kinds=("masked",))
TestPetOfTwo = kit(
    "pet", learns=("head",), kinds=("masked",), settings={"templates": ("{text} it was {mask} .", "{text} {mask}")}
)
TestSoft = kit("soft", learns=("prompt",), options={"tokens": 4}, settings={"lr": 0.03})
TestPTuning = kit("ptuning", learns=("encoder",), options={"tokens": 4, "lstm_layers": 1}, settings={"lr": 3e-3})

TestPrefix = kit("prefix", learns=("prompt",), options={"tokens": 4})
TestPTuningV2 = kit("ptuning-v2", learns=("prompt", "head"), options={"tokens": 4}, settings={"lr": 0.03})
TestBitFit = kit("bitfit", kinds=("masked",), learns=("backbone",), settings=FEW | {"lr": 0.01})
TestFineTuning = kit("finetune", learns=("backbone", "head"), settings=FEW | {"lr": 1e-3})
TestInContext = kit("icl", learns=())
TestAutoPrompt = kit("autoprompt", kinds=("masked",), learns=("prompt",), options={"tokens": 2, "iterations": 2})
TestLmBff = kit("lmbff", kinds=("masked",), learns=("backbone",), settings=FEW | {"lr": 1e-3})


def test_every_strategy_has_its_line() -> None:
    ours = {name for name, entry in get_host().strategies.items() if entry.origin.distribution == "promptkit"}
    tested = [each.strategy.name for name, each in globals().items() if name.startswith("Test")]
    assert ours == set(tested)
