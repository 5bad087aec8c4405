"""What write-a-strategy.md says of the blocks is what they are, and its pieces of code run."""

from __future__ import annotations

import importlib.util
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from models import load, prompt_task

pytest.importorskip("mindspore")

from promptkit import nn
from promptkit.data import plan_rows
from promptkit.prompting.resolved import PromptTask
from promptkit.testing import StrategyKit, load_model, write_tiny_model
from promptkit.training import Classification, Executor, PackedSource

PAGE = Path(__file__).resolve().parents[2] / "docs" / "write-a-strategy.md"
# What stands before is the plugin as `promptkit new` writes it, which has tests of its own.
BLOCKS = PAGE.read_text(encoding="utf-8").split("\n## Three models to start from\n")[1]
TEXTS = ["a good film", "bad", "the plot was good but the actor was terrible", "great", "it was bad"]


@pytest.fixture(scope="module")
def backbone() -> Any:
    return load("bert-odd")


@pytest.fixture
def task(backbone: Any) -> PromptTask:
    return prompt_task(backbone.tokenizer, "{soft:3}{text} It was {mask}.")


def code_that_holds(word: str) -> str:
    (found,) = [code for code in re.findall(r"^```python\n(.*?)^```", BLOCKS, re.M | re.S) if word in code]
    return str(found)


@pytest.fixture
def named(backbone: Any, task: PromptTask, tmp_path: Path) -> Callable[[str], Any]:
    """Run the piece of code that holds a word as a module, for MindSpore compiles only what stands in a file."""

    def run(word: str) -> Any:
        path = tmp_path / f"guide_{len(list(tmp_path.iterdir()))}.py"
        path.write_text(code_that_holds(word), encoding="utf-8")
        spec = importlib.util.spec_from_file_location(path.stem, path)
        assert spec is not None
        assert spec.loader is not None
        module: Any = importlib.util.module_from_spec(spec)
        prompt = nn.VirtualTokens(nn.initial_vectors(backbone, task, "vocab"))
        module.backbone, module.task, module.model = backbone, task, nn.SoftPrompt(backbone, task, prompt=prompt)
        sys.modules[path.stem] = module
        spec.loader.exec_module(module)
        return module

    return run


def source(task: PromptTask) -> PackedSource:
    """Five texts in rows of several, with an empty place."""
    encoded = task.encoder.encode_many([{"text": text} for text in TEXTS])
    rows = plan_rows([len(each.token_ids) for each in encoded], 4)
    return PackedSource(task.packer(encoded, [0, 1, 0, 1, 0], batch_size=4, rows=rows))


def test_a_content_free_batch_has_a_row_for_each_input(named: Callable[[str], Any]) -> None:
    found = named("N/A")
    assert found.scores.shape == (3, 2)
    rows = {key: len(array) for key, array in found.batch.inputs.items()}
    assert rows == dict.fromkeys(nn.Inputs.__annotations__, 3)


@pytest.mark.parametrize("made", ["ScaledPrompt", "Mixture", "MeanState"])
def test_a_model_of_the_guide_compiles_scores_and_learns(
    named: Callable[[str], Any], backbone: Any, task: PromptTask, made: str
) -> None:
    found = named(f"{made}(")
    model = found.build(backbone, task) if made == "Mixture" else getattr(found, made)(backbone, task)
    warnings: list[str] = []
    executor = Executor(model, "graph", warnings.append, Classification(2))
    batches = source(task)
    objective = executor.objective
    objective.check(executor.scores(batches))
    _, gradients = executor.loss_and_gradients(next(iter(batches.epoch(None))))
    assert all(np.isfinite(each.asnumpy()).all() and np.abs(each.asnumpy()).max() > 0 for each in gradients)
    assert len(gradients) == len(model.trainable_params()) > 0
    assert warnings == []


def test_the_mean_state_is_that_of_the_example_alone(
    named: Callable[[str], Any], backbone: Any, task: PromptTask
) -> None:
    model = named("MeanState(").MeanState(backbone, task)
    packed = Executor(model, "pynative", print).features(source(task))
    alone = model.features(nn.tensors(task.encode(TEXTS).inputs)).asnumpy()
    assert np.abs(packed - alone).max() < 1e-5


def test_the_mixture_folds_without_a_change(named: Callable[[str], Any], backbone: Any, task: PromptTask) -> None:
    found = named("Mixture(")
    model, inputs = found.build(backbone, task), nn.tensors(task.encode(TEXTS).inputs)
    model.encoder.gate.set_data(model.encoder.gate + 1.0)
    folded = model.folded()
    assert np.abs(model(inputs).asnumpy() - folded(inputs).asnumpy()).max() < 1e-5
    assert list(folded.own_parameters()) == ["prompt.values"]


def test_the_tiny_model_of_the_page_scores(named: Callable[[str], Any]) -> None:
    found = named("write_tiny_model")
    assert found.scores.shape == (2, 2)
    assert [[len(pieces) for pieces in words] for words in found.two_pieces.verbalizer.pieces] == [[2], [2, 2]]


@pytest.mark.parametrize("kind", ["masked", "causal"])
def test_a_tiny_model_knows_the_words_that_the_page_names(kind: Any, tmp_path: Path) -> None:
    (said,) = re.findall(r"Both models know (.+?)\.", BLOCKS, re.S)
    words = re.findall(r"\w+", said.replace(" and plot", " plot"))
    tokenizer = load_model(write_tiny_model(tmp_path / kind, kind)).tokenizer
    assert [tokenizer.token(*tokenizer.encode(word)) for word in words] == words
    assert len(words) == 14


def test_every_test_and_attribute_of_the_kit_is_on_the_page() -> None:
    kit = BLOCKS.split("\n## The kit\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)` \|", kit, re.M)
    tests = [name for name in vars(StrategyKit) if name.startswith("test_")]
    assert rows == [*StrategyKit.__annotations__, *tests]
