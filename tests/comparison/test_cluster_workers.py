"""The workers of a cluster are asked for their promptkit before any of them gets a cell."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import pytest

from promptkit import UserError
from promptkit.comparison.orders import Order
from promptkit.comparison.pools import run_on_cluster
from promptkit.version import __version__


class Client:
    """A cluster whose workers answer so; one that gets a cell fails the test."""

    def __init__(self, answers: dict[str, Any]) -> None:
        self._answers, self.closed = answers, False

    def run(self, _: Any, on_error: str) -> dict[str, Any]:
        assert on_error == "return"
        return self._answers

    def submit(self, *_: Any, **__: Any) -> None:
        pytest.fail("a cell was sent")

    def close(self) -> None:
        self.closed = True


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        ({}, "the Dask cluster has no worker."),
        ({"a": __version__, "b": "0.0.1"}, f"Dask worker 'b' has promptkit 0.0.1; this is promptkit {__version__}."),
        ({"a": ImportError()}, f"Dask worker 'a' has no promptkit; this is promptkit {__version__}."),
    ],
    ids=["nobody", "an older one", "none"],
)
def test_workers_that_cannot_carry_cells_out_are_said(
    monkeypatch: pytest.MonkeyPatch, answers: dict[str, Any], said: str
) -> None:
    client = Client(answers)
    monkeypatch.setitem(sys.modules, "distributed", SimpleNamespace(Client=lambda *_, **__: client))
    with pytest.raises(UserError) as caught:
        list(run_on_cluster([Order("key", "{}", "/cell", "/")], "tcp://127.0.0.1:8786"))
    assert str(caught.value) == said
    assert client.closed
