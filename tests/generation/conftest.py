"""The tiny causal model, and one run on it that learns to write, shared by the tests of this folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pairs import TEMPLATE, write_pairs

pytest.importorskip("mindspore")

import promptkit
from promptkit.testing import load_model, write_tiny_model


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `model`, `masked` and `pairs`."""
    folder = tmp_path_factory.mktemp("texts")
    write_tiny_model(folder / "model", "causal")
    write_tiny_model(folder / "masked")
    write_pairs(folder / "pairs")
    return folder


@pytest.fixture(scope="session")
def asked(place: Path) -> dict[str, Any]:
    """The settings of a run that writes."""
    return {
        "objective": "text", "data": str(place / "pairs"), "model": str(place / "model"), "max_tokens": 8,
        "mode": "pynative", "quiet": True,
    }  # fmt: skip


@pytest.fixture(scope="session")
def backbone(place: Path) -> Any:
    return load_model(place / "model")


@pytest.fixture(scope="session")
def learnt(place: Path, asked: dict[str, Any]) -> Any:
    """The result of a soft prompt's run, in the store `runs`."""
    return promptkit.run(
        "soft",
        **asked,
        templates=(TEMPLATE,),
        epochs=5,
        lr=0.1,
        batch_size=8,
        metrics=("rouge",),
        store=place / "runs",
    )
