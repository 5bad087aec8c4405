"""The prefix of a run: its size in every layer, beside the model's own, and how far it went."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("mindspore")

from models import prompt_task

from promptkit.inspection import inspect_prompt
from promptkit.inspection.page import report_page
from promptkit.inspection.text import report_text
from promptkit.nn import initial_prefix

TEMPLATE = "{text} it was {mask} ."
Artifact = Callable[..., Path]


def longer_keys(path: str, tensor: Any) -> Any:
    """Keys 0.25 larger in every number."""
    shift = np.array([0.25, 0.0], np.float32).reshape(1, 2, 1, 1, 1)
    return tensor + shift if path == "prompt.values" else tensor


def test_norms_and_moves_are_those_of_keys_and_values(artifact: Artifact, backbone: Any) -> None:
    kept: list[Any] = []

    def change(path: str, tensor: Any) -> Any:
        kept.append(longer_keys(path, tensor))
        return kept[-1]

    report = inspect_prompt(artifact("prefix", TEMPLATE, options={"tokens": 5, "layers": 2}, change=change))
    assert report.templates == ()
    (prefix,) = report.prefixes
    assert (prefix.length, prefix.heads, prefix.of_layers) == (5, 3, 3)
    assert [each.layer for each in prefix.layers] == [2, 3]
    norms = np.linalg.norm(kept[0], axis=-1).mean((2, 3))
    words = "negative=bad; positive=great"
    own = initial_prefix(backbone, prompt_task(backbone.tokenizer, TEMPLATE, words), "activations", 5, 3)
    own = np.linalg.norm(own, axis=-1).mean((2, 3))
    for place, each in enumerate(prefix.layers):
        assert (each.keys.norm, each.values.norm) == pytest.approx(tuple(norms[place]), rel=1e-5)
        assert (each.keys.own_norm, each.values.own_norm) == pytest.approx(tuple(own[place + 1]), rel=1e-5)
        assert each.keys.moved == pytest.approx(0.25 * np.sqrt(8), rel=1e-4)
        assert each.values.moved == 0
    assert not prefix.still

    text, page = report_text(report), report_page(report)
    said = "A prefix of length 5: keys and values for 3 heads in layers 2 to 3 of 3."
    assert said in text.replace("\n", " ")
    assert said in page
    assert "Nearest" not in text + page
    assert "<svg" not in page
    assert f"{prefix.layers[0].keys.norm:.2f}" in text
    assert f"{prefix.layers[1].keys.norm:.2f}" in page
    plain = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert set(plain["prefixes"][0]["layers"][0]) == {"layer", "keys", "values"}


@pytest.mark.parametrize(
    ("strategy", "readout", "options"),
    [("prefix", "cloze", {"init": "activations"}), ("ptuning-v2", "head", {"reparametrise": True, "width": 4})],
)
def test_a_prefix_that_has_not_learnt_has_not_moved(
    artifact: Artifact, strategy: str, readout: str, options: Any
) -> None:
    path = artifact(strategy, "{text} it was {mask}", readout=readout, options={"tokens": 3, **options})
    report = inspect_prompt(path)
    (prefix,) = report.prefixes
    assert prefix.still
    assert "It did not move" in report_text(report).replace("\n", " ")
    if options.get("init"):
        assert [each.keys.norm for each in prefix.layers] == [each.keys.own_norm for each in prefix.layers]
