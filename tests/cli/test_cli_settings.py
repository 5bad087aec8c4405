"""The options of `run` and `compare` are made from what the settings of a run say of themselves."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import pytest
import typer

import promptkit
from promptkit.cli import compare as compare_command
from promptkit.cli.app import build_app
from promptkit.comparison import make_experiment
from promptkit.errors import UserError
from promptkit.hooks import PluginHost
from promptkit.running.config import RunConfig, flag_of, make_config, setting_of


def options(command: str) -> dict[str, Any]:
    """The options of a command: flag -> what click knows of it."""
    app = typer.main.get_command(build_app(PluginHost.from_plugins({})))
    return {name: it for it in app.commands[command].params for name in it.opts}


@pytest.mark.parametrize("name", RunConfig.model_fields)
def test_every_setting_says_what_it_is_and_has_its_option(name):
    setting = setting_of(name)
    assert setting.help.endswith(".")
    assert f"{name}: {setting.help}" in (RunConfig.__doc__ or "")
    assert (flag_of(name) in options("run")) is not setting.hidden
    if not setting.hidden:
        assert options("run")[flag_of(name)].help.startswith(setting.help)


def test_run_has_no_other_options():
    shown = {flag_of(it) for it in RunConfig.model_fields if not setting_of(it).hidden}
    assert set(options("run")) - shown <= {"--help"}


@pytest.mark.parametrize(
    "name", [it for it in RunConfig.model_fields if setting_of(it).scope in ("cell", "comparison")]
)
def test_compare_has_every_option_that_an_error_about_one_of_its_runs_may_name(name):
    assert flag_of(name) in options("compare")


def test_what_compare_is_given_reaches_its_runs_and_nought_is_a_value(monkeypatch, call):
    seen: list[Any] = []
    monkeypatch.setattr(compare_command, "make", lambda *given, **more: seen.append((given, more)) or 1 / 0)
    line = "compare --template '{text} {mask}' --template b --epochs 0 --readout head --clean --set soft.tokens=2"
    with pytest.raises(ZeroDivisionError):
        call(*shlex.split(line))
    assert seen[0][1]["shared"] == {
        "templates": ("{text} {mask}", "b"),
        "epochs": 0,
        "readout": "head",
        "clean": True,
    }


def test_a_template_of_a_comparison_is_that_of_every_run():
    experiment = make_experiment(settings={"templates": ("{text} {mask}",)}, strategies=["soft"])
    assert experiment.run_config("soft", None, 16, 0).templates == ("{text} {mask}",)


def test_a_setting_given_twice_is_refused(call):
    answer = call("compare", "--epochs", "1", "--set", "epochs=2")
    assert (answer.code, answer.err) == (2, "error: give --epochs or --set epochs, not both.\n")


def test_data_that_is_no_name_is_refused_without_being_printed():
    task = promptkit.load_task("reviews-en")
    with pytest.raises(UserError, match=r"^--data: give a name or a path \(got something of type Task\)\.$"):
        promptkit.run("hard", data=task)


@pytest.mark.parametrize(
    "value",
    ["x" * 10_000, 10**5000, ["long"] * 1000, {"a": "b" * 1000}, b"b" * 1000],
    ids=["text", "number", "list", "mapping", "bytes"],
)
def test_an_error_does_not_repeat_a_long_value(value):
    with pytest.raises(UserError) as caught:
        make_config(strategy="hard", epochs=value)
    assert len(str(caught.value)) < 250


def test_data_and_model_may_be_paths():
    config = make_config(strategy="hard", data=Path("films.tsv"), model=Path("bert"))
    assert (config.data, config.model) == ("films.tsv", "bert")


@pytest.mark.parametrize(("key", "value"), [("seeds", [-1]), ("seeds", [2**32]), ("shots", [0])])
def test_what_the_grid_decides_is_refused_by_the_name_it_has_there(key, value):
    with pytest.raises(UserError, match=rf"^experiment: {key}: give .+, not {value[0]} \(got"):
        make_experiment(**{key: value})


def test_a_single_template_or_metric_needs_no_list() -> None:
    config = make_config(strategy="hard", templates="{text} It was {mask}.", metrics="f1:positive")
    assert config.templates == ("{text} It was {mask}.",)
    assert config.metrics == ("f1:positive",)
