"""What plugins registered gives something else than it should: one line with the plugin's name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from promptkit import Example, Task, UserError
from promptkit.cli import main
from promptkit.hooks import PluginHost, get_host
from promptkit.hooks.entries import DatasetEntry, ModelEntry, Origin

ORIGIN = Origin("odd", "odd-dist", "1.2")
ROWS = (Example("good", "p"), Example("bad", "n"))
SOURCE = """
    from promptkit import hookimpl

    @hookimpl
    def promptkit_register_datasets(register):
        register("odd-data", lambda: ["a", "list"])

    @hookimpl
    def promptkit_register_models(register):
        register("odd-model", lambda: None)
"""


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (None, "data set 'it' (plugin 'odd' of odd-dist 1.2) gives nothing, not a promptkit.Task."),
        ([*ROWS], "gives a list, not a promptkit.Task."),
        (Task("it", ("n", "p"), ROWS, ROWS, ()), "(plugin 'odd' of odd-dist 1.2) has no test examples."),
        (Task("it", ("n", "p"), (), ROWS, ROWS), "has no train examples."),
    ],
)
def test_a_data_set_that_is_none(given: Any, said: str) -> None:
    with pytest.raises(UserError) as caught:
        DatasetEntry("it", ORIGIN, lambda: given).read()
    assert str(caught.value).endswith(said)


def test_a_data_set_that_is_one_is_handed_on() -> None:
    task = Task("it", ("n", "p"), ROWS, ROWS, ROWS)
    assert DatasetEntry("it", ORIGIN, lambda: task).read() is task


@pytest.mark.parametrize("example", [("good", "p"), {"text": "good", "label": "p"}, Example(None, "p"), None])  # type: ignore
def test_examples_that_are_none(example: Any) -> None:
    with pytest.raises(UserError, match=r"data 'it', dev example 2 is no promptkit\.Example with a text"):
        Task("it", ("n", "p"), ROWS, (ROWS[0], example), ROWS)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (None, "model 'it' (plugin 'odd' of odd-dist 1.2) gives nothing, not the path of a directory."),
        (3, "gives an int, not the path of a directory."),
        ("no/such/place", "lies in 'no/such/place', which is no directory."),
        (Path(__file__), "which is no directory."),
    ],
)
def test_a_model_that_lies_nowhere(given: Any, said: str) -> None:
    with pytest.raises(UserError) as caught:
        ModelEntry("it", ORIGIN, lambda: given).find()
    assert str(caught.value).endswith(said)


def test_a_model_may_be_named_by_a_string(tmp_path: Path) -> None:
    assert ModelEntry("it", ORIGIN, lambda: str(tmp_path)).find() == tmp_path  # type: ignore[arg-type,return-value]


@pytest.fixture
def odd(install_plugin: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PluginHost]:
    """Install a plugin whose data set and model are none."""
    monkeypatch.chdir(tmp_path)
    install_plugin("odd", SOURCE)
    get_host.cache_clear()
    yield get_host()
    get_host.cache_clear()


@pytest.mark.parametrize(
    "arguments",
    [
        ["run", "--strategy", "hard", "--data", "odd-data"],
        ["run", "--strategy", "hard", "--model", "odd-model"],
        ["preview", "--model", "odd-model"],
        ["compare", "--strategies", "hard", "--data", "odd-data", "--dry-run"],
        ["compare", "--strategies", "hard", "--model", "odd-model", "--dry-run"],
    ],
)
def test_every_command_says_so_in_one_line(
    odd: PluginHost, arguments: list[str], capsys: Any, tmp_path: Path
) -> None:
    before = set(tmp_path.iterdir())
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert "(plugin 'odd' of odd-dist 1.2) gives " in error
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    assert {path.name for path in set(tmp_path.iterdir()) - before} <= {"runs"}
