"""Artifacts of tiny prompts, made without a run: the strategy builds the model, and its tensors are kept."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from models import GOLDENS, load

LABELS = ["negative", "positive"]
WORDS = "negative=bad; positive=great"


@pytest.fixture(scope="session")
def backbone() -> Any:
    pytest.importorskip("mindspore")
    from promptkit.backbones.device import set_device

    set_device("CPU")
    return load(GOLDENS / "bert-odd")


Artifact = Callable[..., Path]


@pytest.fixture
def artifact(backbone: Any, tmp_path: Path) -> Artifact:
    """Save the prompt of `strategy` as it starts; `change` is told every tensor and returns what to keep."""
    from promptkit.hooks import get_host
    from promptkit.running.restore import OpenedPrompt
    from promptkit.runs import save_artifact
    from promptkit.runs.card import Card
    from promptkit.strategies.contract import parse_options

    def make(
        strategy: str,
        *templates: str,
        change: Callable[[str, Any], Any] = lambda _, tensor: tensor,
        **more: Any,
    ) -> Path:
        card = {
            "format": 2, "strategy": strategy, "options": {}, "templates": list(templates), "verbalizer": WORDS,
            "readout": "cloze", "slots": "same", "labels": LABELS, "language": "en", "max_length": 40, "seed": 3,
            "clean": False, "model": str(GOLDENS / "bert-odd"), "promptkit": "0.1",
            "backbone": {
                "fingerprint": backbone.fingerprint, "engine": "native", "architecture": "bert", "hidden_size": 24,
            },
            **more,
        }  # fmt: skip
        cls = get_host().strategy(strategy).cls
        whole = Card(**card).model_dump()
        opened = OpenedPrompt(tmp_path, whole, {}, cls(parse_options(cls, card["options"])), backbone)
        tensors = {}
        for number in range(len(templates)):
            _, model = opened.rebuild(number)
            for path, parameter in model.own_parameters().items():
                tensors[f"{number}.{path}"] = change(path, parameter.asnumpy().copy())
        file = tmp_path / f"{strategy}-{len(list(tmp_path.iterdir()))}.safetensors"
        save_artifact(file, tensors, card)
        return file

    return make
