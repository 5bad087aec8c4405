"""A tiny model and a tiny task on which a run takes a second or two."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from models import GOLDENS

from promptkit import Strategy
from promptkit.hooks import get_host
from promptkit.hooks.entries import Origin, StrategyEntry

GOOD = ["good", "great"]
BAD = ["bad", "terrible"]


@pytest.fixture(scope="session")
def tiny_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of separable texts in the tiny vocabulary: 48 train, 16 dev, 24 test."""
    folder = tmp_path_factory.mktemp("tiny")
    fillers = ["the film is", "a movie", "the plot was", "it was", "this story is", "one actor"]
    for split, count in (("train", 48), ("dev", 16), ("test", 24)):
        lines = ["label\ttext"]
        for i in range(count):
            label, words = (("positive", GOOD), ("negative", BAD))[i % 2]
            lines.append(f"{label}\t{fillers[i % len(fillers)]} {words[(i // 2) % 2]} {'film ' * (i % 5)}".strip())
        (folder / f"{split}.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def tiny_run(tiny_data: Path) -> Callable[..., Any]:
    """`promptkit.run` on the tiny task and the tiny BERT, unsaved unless `out` is given."""
    import promptkit

    def run(strategy: str, **settings: Any) -> Any:
        defaults: dict[str, Any] = {
            "data": str(tiny_data), "model": str(GOLDENS / "bert-short"), "mode": "graph", "quiet": True,
            "save": "out" in settings, "verbalizer": "positive=great; negative=terrible",
            "max_length": 40, "batch_size": 16,
        }  # fmt: skip
        return promptkit.run(strategy, **{**defaults, **settings})

    return run


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Callable[[type[Strategy]], None]:
    """Have a strategy class as if a plugin had brought it."""

    def installed(cls: type[Strategy]) -> None:
        entry = StrategyEntry(cls.name, Origin("it", "its", "0"), cls)
        monkeypatch.setitem(get_host()._registered.strategies, cls.name, entry)

    return installed


@pytest.fixture(scope="session")
def causal_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny causal Llama of `promptkit.testing`."""
    from promptkit.testing import write_tiny_model

    return write_tiny_model(tmp_path_factory.mktemp("tiny") / "causal", "causal")


@pytest.fixture(scope="session")
def causal(causal_folder: Path) -> Any:
    """The same, loaded."""
    from promptkit.testing import load_model

    return load_model(causal_folder)
