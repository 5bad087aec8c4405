"""What a run is told of its training is what its models train by."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

import pytest

pytest.importorskip("mindspore")

from promptkit.training import TrainingSettings


class ReachedError(Exception):
    """Ends a run where its model would begin to train."""


def test_a_model_trains_by_the_settings_of_its_run(
    tiny_run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[TrainingSettings] = []

    def begin(*given: Any, **_: Any) -> NoReturn:
        found.extend(each for each in given if isinstance(each, TrainingSettings))
        raise ReachedError

    monkeypatch.setattr("promptkit.running.work.train", begin)
    asked: dict[str, Any] = {"epochs": 3, "lr": 0.25, "weight_decay": 0.9, "patience": 7, "accumulate": 2}
    with pytest.raises(ReachedError):
        tiny_run("pet", mode="pynative", shots=2, limit=4, **asked)
    assert found == [TrainingSettings(**asked)]
