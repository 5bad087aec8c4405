"""A strategy that learns keys and values in every layer, written as a plugin would be: the port carries it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("mindspore")

import promptkit_native

import promptkit
from promptkit import Defaults, Strategy, StrategyOptions, hookimpl
from promptkit.hooks import PluginHost, get_host

Run = Callable[..., Any]
TEMPLATE = "{text} it was {mask} ."
SHAPE = (3, 2, 3, 4, 8)  # L, keys and values, A, P, D of the tiny BERT


class Options(StrategyOptions):
    """Options of `prefix`."""

    tokens: int = 4


class Prefix(Strategy):
    """Prefix tuning without its reparameterisation (Li & Liang 2021; Liu et al. 2022)."""

    name = "prefix"
    summary = "keys and values in front of every layer learn"
    Options = Options
    defaults = Defaults(epochs=30, lr=0.3)

    def build(self, backbone: Any, task: Any) -> Any:
        from promptkit.nn import LayerPrefix, PrefixPrompt

        info = backbone.info
        shape = (info.layers, 2, info.kv_heads, self.options.tokens, info.head_width)
        return PrefixPrompt(backbone, task, prompt=LayerPrefix(task.rng.normal(0.0, 0.02, shape)))


@pytest.fixture(autouse=True)
def only_the_prefix(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A host that knows the native engine and this strategy."""

    @hookimpl
    def promptkit_register_strategies(register: Callable[[type[Strategy]], None]) -> None:
        register(Prefix)

    plugin = SimpleNamespace(promptkit_register_strategies=promptkit_register_strategies)
    host = PluginHost.from_plugins({"native": promptkit_native, "prefix": plugin})
    monkeypatch.setattr(PluginHost, "discover", lambda: host)
    get_host.cache_clear()
    yield
    get_host.cache_clear()


@pytest.mark.parametrize(
    "settings",
    [
        {"templates": (TEMPLATE,)},
        {"templates": ("{text}",), "readout": "head", "lr": 0.1, "epochs": 12},
    ],
    ids=["cloze", "head"],
)
def test_a_prefix_learns_a_separable_task_and_its_artifact_predicts_the_same(
    tiny_run: Run, tiny_data: Path, tmp_path: Path, settings: dict[str, Any]
) -> None:
    result = tiny_run("prefix", patience=0, out=tmp_path / "run", **settings)
    record = result.record
    losses = [epoch.loss for epoch in record.history]
    assert min(losses) < 0.6 * losses[0]
    assert record.test.accuracy > record.test.majority + 0.3
    head = 2 * 24 + 2 if "readout" in settings else 0
    assert (record.parameters.prompt, record.parameters.head) == (np.prod(SHAPE), head)
    assert (record.parameters.encoder, record.parameters.backbone) == (0, 0)
    assert record.options.mode == "graph"

    texts = [line.split("\t")[1] for line in (tiny_data / "test.tsv").read_text().splitlines()[1:]]
    loaded = promptkit.load(tmp_path / "run").probabilities(texts)
    assert np.abs(loaded - result.probabilities).max() < 1e-6
