"""What the kit asks of strategies that learn to write, and what it finds fault with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("mindspore")
pytest_plugins = ["pytester"]

from mindspore import Tensor, nn

from promptkit import Defaults, Strategy, Template, UserError
from promptkit.nn import SoftPrompt, VirtualTokens, initial_vectors
from promptkit.testing import checks
from promptkit.testing.checks import CheckFailed, DoesNotApply
from promptkit.testing.runs import WritingRuns

EAGER = {"mode": "pynative", "readout": "cloze", "templates": ("{text} it was {mask} .",)}


class Given(nn.Cell):
    """Virtual tokens that are no parameter."""

    def __init__(self, vectors: Any) -> None:
        super().__init__()
        self.vectors = Tensor(np.asarray(vectors, np.float32))

    def construct(self) -> Any:
        return self.vectors


class Writing(Strategy):
    """Does nothing but write, behind a virtual token that does not learn."""

    name = "writing"
    summary = "one virtual token, as it is"
    objectives = frozenset({"text"})
    depends_on = frozenset({"seed"})

    def prepare(self, template: Template) -> Template:
        return template.with_soft_prefix(1)

    def build(self, backbone: Any, task: Any) -> Any:
        return SoftPrompt(backbone, task, prompt=Given(self.vectors(backbone, task)))

    def vectors(self, backbone: Any, task: Any) -> Any:
        return np.ones((1, backbone.info.hidden_size))


class Brief(Writing):
    """Learns, but not for long."""

    name = "brief"
    defaults = Defaults(epochs=1, lr=0.1)
    depends_on = frozenset({"training", "examples", "seed"})

    def build(self, backbone: Any, task: Any) -> Any:
        return SoftPrompt(backbone, task, prompt=VirtualTokens(initial_vectors(backbone, task, "random")))


class Forgetting(Writing):
    """Starts elsewhere every time, and saves nothing of it."""

    name = "forgetting"
    builds = 0

    def vectors(self, backbone: Any, task: Any) -> Any:
        Forgetting.builds += 1
        return np.random.default_rng(Forgetting.builds).normal(0.0, 3.0, (1, backbone.info.hidden_size))


class Nothing(Writing):
    """Builds no model."""

    name = "nothing"

    def build(self, backbone: Any, task: Any) -> Any:
        return None


@pytest.mark.parametrize(
    ("strategy", "said"),
    [
        (Brief, "the training is too short to see the loss fall"),
        (Forgetting, "what is loaded writes .*has to be a Parameter of the model"),
        (Nothing, "build returned nothing"),
    ],
)
def test_a_strategy_that_does_not_learn_to_write_is_found(
    strategy: type[Strategy], said: str, tmp_path: Path
) -> None:
    with pytest.raises((CheckFailed, UserError), match=said) as found:
        checks.writes(WritingRuns(strategy, tmp_path, settings=EAGER))
    assert "\n" not in str(found.value)


def test_a_strategy_that_writes_the_same_when_it_is_loaded_passes(tmp_path: Path) -> None:
    checks.writes(WritingRuns(Writing, tmp_path, settings=EAGER))


def test_a_strategy_for_classes_alone_has_nothing_to_write(tmp_path: Path) -> None:
    classes = type("Classes", (Writing,), {"objectives": frozenset({"classes"})})
    with pytest.raises(DoesNotApply, match="Classes is for classes alone"):
        checks.writes(WritingRuns(classes, tmp_path))


FILE = """
from test_kit_of_texts import Writing

from promptkit.testing import StrategyKit


class TestNothing(StrategyKit):
    strategy = Writing
    test_listing_is_quick = None
    test_it_writes = None
"""


def test_of_a_strategy_that_only_writes_the_runs_for_classes_are_skipped(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(FILE)
    result = pytester.runpytest_inprocess("-rs", "-p", "no:cacheprovider")
    result.assert_outcomes(passed=2, skipped=12)
    result.stdout.fnmatch_lines(["*Writing scores no classes; test_it_writes looks at its answers"])
