"""The prompt encoder of `ptuning` is as its options have it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from models import load, prompt_task
from promptkit_ptuning import Options, PTuning

pytest.importorskip("mindspore")

from promptkit.nn import initial_vectors

TEMPLATE = "{soft:4}{text} it was {mask} ."


@pytest.fixture(scope="module")
def backbone() -> Any:
    return load("bert-short")


@pytest.mark.parametrize(
    ("given", "width", "layers"),
    [({}, 24 // 2, 2), ({"lstm_hidden": 5}, 5, 2), ({"lstm_layers": 1}, 24 // 2, 1)],
    ids=["default", "width", "layers"],
)
def test_the_lstm_has_the_width_and_layers_that_are_asked(
    backbone: Any, given: dict[str, int], width: int, layers: int
) -> None:
    encoder: Any = PTuning(Options(**given)).build(backbone, prompt_task(backbone.tokenizer, TEMPLATE)).encoder
    assert encoder.lstm.w_hh_list[0].shape == (4 * width, width)
    assert len(encoder.lstm.w_hh_list) == 2 * layers


@pytest.mark.parametrize("init", ["random", "vocab", "text"])
def test_its_inputs_start_where_they_are_asked_to(backbone: Any, init: Any) -> None:
    task, again = (prompt_task(backbone.tokenizer, TEMPLATE) for _ in range(2))
    encoder: Any = PTuning(Options(init=init)).build(backbone, task).encoder
    assert np.array_equal(encoder.inputs.asnumpy()[0], initial_vectors(backbone, again, init))
