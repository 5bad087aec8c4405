"""A tiny task and the tiny model, and cells that cost nothing because nobody runs them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from invented import Pool
from models import GOLDENS

from promptkit.comparison import Experiment, make_experiment


@pytest.fixture(scope="session")
def tiny_reviews(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of texts in the tiny vocabulary: 48 train, 16 dev, 24 test, none in two of them."""
    folder = tmp_path_factory.mktemp("tiny-reviews")
    fillers = ["the film is", "a movie", "the plot was", "it was", "this story is", "one actor"]
    words = {"positive": ("good", "great"), "negative": ("bad", "terrible")}
    for split, count, first in (("train", 48, ""), ("dev", 16, "one "), ("test", 24, "this ")):
        lines = ["label\ttext"]
        for i in range(count):
            label = ("positive", "negative")[i % 2]
            text = f"{first}{fillers[i % len(fillers)]} {words[label][(i // 2) % 2]} {'film ' * (i % 5)}"
            lines.append(f"{label}\t{text.strip()}")
        (folder / f"{split}.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


@pytest.fixture
def tiny(tiny_reviews: Path) -> Callable[..., Experiment]:
    """Make an experiment on the tiny task and model; what is None is left to its default."""

    def make(**values: Any) -> Experiment:
        settings = {
            "verbalizer": "positive=great; negative=terrible", "max_length": 40, "batch_size": 16,
            **values.pop("settings", {}),
        }  # fmt: skip
        fields = {
            "data": str(tiny_reviews),
            "model": str(GOLDENS / "bert-short"),
            "shots": [4],
            "seeds": 2,
            "baselines": ["hard"],
        }
        given = {name: value for name, value in {**fields, **values}.items() if value is not None}
        return make_experiment(settings=settings, **given)

    return make


@pytest.fixture
def pool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Pool]:
    def use(**how: Any) -> Pool:
        made = Pool(tmp_path, **how)
        monkeypatch.setattr("promptkit.comparison.coordinator.run_here", made)
        return made

    return use
