"""A loaded prompt reads texts as its run read the data, and computes as it is asked to."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("mindspore")

import promptkit


@pytest.fixture(scope="module")
def cleaned(tiny_run: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of a run that cleaned its data."""
    place = tmp_path_factory.mktemp("cleaned") / "run"
    tiny_run(
        "hard", templates=("{text} it was {mask} .",), clean=True, mode="pynative", shots=2, limit=4, out=place
    )  # fmt: skip
    return place


def test_texts_are_cleaned_as_the_data_was(cleaned: Path) -> None:
    told, plain = promptkit.load(cleaned).probabilities(["GOOD!!! film 7", "good film"])
    assert np.abs(told - plain).max() < 1e-6


def test_products_are_of_the_precision_that_is_asked(cleaned: Path) -> None:
    whole, half = (
        promptkit.load(cleaned, precision=precision).probabilities(["good film"]) for precision in ("fp32", "fp16")
    )
    assert 0 < np.abs(whole - half).max() < 1e-2
