"""Running prompted models: compiled, or eagerly where compiling fails."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("mindspore")

from mindspore import Parameter, Tensor, ops

from promptkit.backbones.device import Mode, set_device
from promptkit.data import Batch
from promptkit.errors import UserError
from promptkit.nn import PromptedModel
from promptkit.training import Classification, Executor, FeatureSource

set_device("CPU")


class Eager(PromptedModel):
    """Uses a statement that MindSpore's parser does not know."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = Parameter(Tensor(np.ones((3, 2), np.float32)), name="weight")

    def scores(self, features: Any) -> Any:
        try:
            return ops.matmul(features, self.weight) * 2.0
        finally:
            pass


class Broken(PromptedModel):
    """Fails whichever way it is run."""

    def scores(self, features: Any) -> Any:
        raise RuntimeError("the plugin's own bug")


def source(rows: int = 5, batch_size: int = 2) -> FeatureSource:
    values = np.arange(rows * 3, dtype=np.float32).reshape(rows, 3)
    return FeatureSource(values, [0] * rows, batch_size)


@pytest.mark.parametrize("mode", ["graph", "fused"])
def test_a_model_that_does_not_compile_runs_eagerly_with_one_warning(mode: Mode) -> None:
    warnings: list[str] = []
    executor = Executor(Eager(), mode, warnings.append)
    scores = executor.scores(source())
    assert np.allclose(scores[1], [2 * (3 + 4 + 5)] * 2)
    assert executor.mode == "pynative"
    executor.scores(source())
    assert len(warnings) == 1
    assert "PyNative" in warnings[0]
    assert "\n" not in warnings[0]


class Refusing(PromptedModel):
    """Refuses what it is asked for, as a model of an engine may, in a statement that no graph takes."""

    def scores(self, features: Any) -> Any:
        raise UserError("no answer here")


def test_a_refusal_is_said_without_a_word_of_compiling() -> None:
    warnings: list[str] = []
    with pytest.raises(UserError, match="no answer here"):
        Executor(Refusing(), "graph", warnings.append).scores(source())
    assert warnings == []


def test_a_bug_shows_its_traceback_in_either_mode() -> None:
    with pytest.raises(RuntimeError, match="the plugin's own bug"):
        Executor(Broken(), "graph", lambda _: None).scores(source())


@pytest.mark.parametrize("rows", [1, 4, 5])
def test_scores_come_back_in_the_order_of_the_data(rows: int) -> None:
    class Sum(PromptedModel):
        def scores(self, features: Any) -> Any:
            return features

    data = source(rows)
    assert np.array_equal(Executor(Sum(), "pynative", print, Classification(2)).scores(data), data.features)


def test_filler_rows_weigh_nothing() -> None:
    scores = Tensor(np.array([[2.0, 0.0], [0.0, 1.0], [50.0, 0.0]], np.float32))
    labels = Tensor(np.array([0, 0, 1], np.int32))
    found = float(Classification(2).loss(scores, labels, Tensor(np.array([1, 1, 0], np.float32))))
    expected = (np.log1p(np.exp(-2.0)) + np.log1p(np.exp(1.0))) / 2
    assert abs(found - expected) < 1e-5  # what MindSpore's CPU log_softmax resolves


def test_gradients_are_those_of_the_weighted_loss() -> None:
    executor = Executor(Eager(), "pynative", print, Classification(2))
    x = np.array([[1.0, 2.0, 3.0], [9.0, 9.0, 9.0]], np.float32)
    batch = Batch({"features": x}, np.array([0, 1], np.int32), np.array([1, 0], np.float32), np.array([0, -1]))
    loss, (gradient,) = executor.loss_and_gradients(batch)
    assert abs(float(loss.asnumpy()) - np.log(2)) < 1e-5
    assert np.allclose(gradient.asnumpy(), 2.0 * x[0][:, None] * np.array([-0.5, 0.5]), atol=1e-5)


def test_a_graph_that_does_not_compile_leaves_nothing_in_the_working_directory(tmp_path: Path) -> None:
    (tmp_path / "code.py").write_text(
        "import numpy as np\n"
        "from promptkit.backbones.device import set_device\n"
        "set_device('CPU')\n"
        "from promptkit.nn import PromptedModel\n"
        "from promptkit.training import Executor, FeatureSource\n"
        "class Eager(PromptedModel):\n"
        "    def scores(self, features):\n"
        "        try:\n"
        "            return features * 2.0\n"
        "        finally:\n"
        "            pass\n"
        "executor = Executor(Eager(), 'graph', print)\n"
        "executor.scores(FeatureSource(np.ones((2, 2), np.float32), [0, 1], 2))\n"
        "print(executor.mode)\n",
        encoding="utf-8",
    )
    here = tmp_path / "here"
    here.mkdir()
    done = subprocess.run(
        [sys.executable, str(tmp_path / "code.py")], cwd=here, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "pynative"
    assert not list(here.iterdir())
