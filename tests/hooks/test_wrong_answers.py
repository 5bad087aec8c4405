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
from promptkit.prompting import Template

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


def told(**parts: Any) -> str:
    """What is said of a data set with these parts, behind its name and the plugin's."""
    usual = {"name": "own", "labels": ("n", "p"), "train": ROWS, "dev": ROWS, "test": ROWS}
    with pytest.raises(UserError) as caught:
        DatasetEntry("it", ORIGIN, lambda: Task(**{**usual, **parts})).read()
    who, _, fault = str(caught.value).partition(": ")
    assert who == "data set 'it' (plugin 'odd' of odd-dist 1.2)"
    return fault


@pytest.mark.parametrize(
    ("example", "said"),
    [
        (("good", "p"), " is a tuple, not a promptkit.Example."),
        ({"text": "good", "label": "p"}, " is a dict, not a promptkit.Example."),
        (None, " is nothing, not a promptkit.Example."),
        (Example(None, "p"), ", text: Input should be a valid string (got None)."),  # type: ignore[arg-type]
        (Example(3, "p"), ", text: Input should be a valid string (got 3)."),  # type: ignore[arg-type]
        (Example("good", 1), ", label: Input should be a valid string (got 1)."),  # type: ignore[arg-type]
        (Example("good", ["p"]), ", label: Input should be a valid string (got ['p'])."),  # type: ignore[arg-type]
        (Example("a", "p", 3), ", text_b: Input should be a valid string (got 3)."),  # type: ignore[arg-type]
        (Example.of({"q": 3}, "p"), ", others: Input should be a valid string (got 3)."),  # type: ignore[dict-item]
        (Example("good", "P"), ": unknown label 'P'. Did you mean 'p'? Known: n, p."),
    ],
)
def test_an_example_that_is_none(example: Any, said: str) -> None:
    assert told(dev=(ROWS[0], example)) == f"data 'own', dev example 2{said}"


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ({"labels": (0, 1)}, "labels.0: Input should be a valid string (got 0)."),
        ({"labels": "np"}, "labels: Input should be a valid tuple (got 'np')."),
        ({"labels": None}, "labels: Input should be a valid tuple (got None)."),
        ({"train": set(ROWS[:1])}, "train: Input should be a valid tuple (got {"),
        ({"language": None}, "language: Input should be a valid string (got None)."),
        ({"name": 3}, "name: Input should be a valid string (got 3)."),
        ({"cautions": "no tuple"}, "cautions: Input should be a valid tuple (got 'no tuple')."),
        ({"templates": "{text} {mask}"}, "templates: Input should be a valid tuple (got '{text} {mask}')."),
        ({"templates": (Template.parse("{text}"),)}, "templates.0: Input should be a valid string (got Template("),
        ({"verbalizer": {"n": "bad"}}, "verbalizer: Input should be a valid string (got {'n': 'bad'})."),
    ],
)
def test_a_part_that_is_of_another_type(parts: dict[str, Any], said: str) -> None:
    fault = told(**parts)
    assert fault.startswith(f"data '{parts.get('name', 'own')}': {said}")


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ({"labels": ("n", "p", "n")}, "data 'own' names a label twice: n, p, n."),
        ({"templates": ("{text",)}, "template, column 6: expected "),
        ({"templates": ("It was {mask}.",)}, "template 'It was {mask}.' has no field"),
        ({"verbalizer": "good, bad"}, "verbalizer: expected label=word,word in 'good, bad'"),
    ],
)
def test_what_a_data_set_is_asked_with_is_looked_at_when_it_is_read(parts: dict[str, Any], said: str) -> None:
    assert told(**parts).startswith(said)


@pytest.mark.parametrize("given", [list, iter])
def test_lists_and_generators_are_taken_for_tuples(given: Callable[[Any], Any]) -> None:
    def load() -> Task:
        return Task("own", given(("n", "p")), *(given(ROWS) for _ in range(3)), templates=given(("{text} {mask}",)))

    task = DatasetEntry("it", ORIGIN, load).read()
    assert (task.labels, task.templates) == (("n", "p"), ("{text} {mask}",))
    assert task.train == task.dev == task.test == ROWS


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
