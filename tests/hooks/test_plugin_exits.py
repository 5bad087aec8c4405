"""A plugin that calls `sys.exit()` ends nothing, and never looks like success."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from models import GOLDENS

import promptkit
from promptkit.cli import main
from promptkit.comparison.folders import BAD_INPUT, FAILURE, ORDER
from promptkit.hooks import get_host
from promptkit.running.config import make_config

LEAVING = """
    import sys
    from promptkit import Strategy, hookimpl

    class Leaving(Strategy):
        name = "leaving"
        summary = "Goes when it pleases."
        moment = "WHEN"

        def check(self, readout, templates):
            self.leave("check")

        def prepare(self, template):
            self.leave("prepare")
            return template

        def build(self, backbone, task):
            self.leave("build")
            from promptkit.nn import ClozePrompt

            class Model(ClozePrompt):
                def construct(self, inputs):
                    if Leaving.moment == "training":
                        sys.exit(0)
                    return super().construct(inputs)

            return Model(backbone, task)

        def fold(self, model):
            self.leave("fold")
            return model

        def leave(self, moment):
            if moment == self.moment:
                sys.exit(0)

    def load():
        sys.exit(0)

    @hookimpl
    def promptkit_register_strategies(register):
        register(Leaving)

    @hookimpl
    def promptkit_register_datasets(register):
        register("leaving-data", load)

    @hookimpl
    def promptkit_register_models(register):
        register("leaving-model", load)

    @hookimpl
    def promptkit_register_commands(app):
        @app.command("leave")
        def leave():
            sys.exit(7)
"""
BLAMED = (
    "plugin 'leaving' of leaving-dist 1.2 tried to end promptkit: SystemExit: 0 (made_up_plugin_leaving.py, line "
)


@pytest.fixture
def leaving(install_plugin, tmp_path, monkeypatch) -> Iterator[object]:
    """Install the plugin that leaves at a moment."""
    monkeypatch.chdir(tmp_path)

    def install(moment: str) -> None:
        install_plugin("leaving", LEAVING.replace("WHEN", moment))
        get_host.cache_clear()

    yield install
    get_host.cache_clear()


def arguments(moment: str) -> list[str]:
    words = ["run", "--strategy", "leaving", "--model", str(GOLDENS / "bert-short"), "--mode", "pynative"]
    words += ["--shots", "4", "--epochs", "1", "--max-length", "32", "--quiet", "--out", "out"]
    return words + {"data": ["--data", "leaving-data"], "model": ["--model", "leaving-model"]}.get(moment, [])


@pytest.mark.parametrize("moment", ["data", "model", "check", "prepare", "build", "training", "fold"])
def test_it_is_one_line_that_names_the_plugin_at_whatever_moment(leaving, capfd, moment, tmp_path):
    if moment in ("build", "training", "fold"):
        pytest.importorskip("mindspore")
    leaving(moment)
    assert main(arguments(moment)) == 2
    error = capfd.readouterr().err
    assert error.startswith(f"error: {BLAMED}")
    assert error.count("\n") == 1
    assert not list(tmp_path.glob("*out*"))


def test_from_python_it_is_an_error_like_any_other(leaving):
    leaving("check")
    with pytest.raises(promptkit.UserError, match="'leaving' of leaving-dist"):
        promptkit.run("leaving", save=False)


@pytest.mark.parametrize("command", ["preview --strategy leaving", "compare --strategies leaving --dry-run"])
def test_commands_that_train_nothing_are_ended_by_none(leaving, capfd, command):
    leaving("check")
    assert main(command.split()) == 2
    assert f"error: {BLAMED}" in capfd.readouterr().err


def test_a_command_of_a_plugin_ends_as_it_likes(leaving):
    leaving("never")
    with pytest.raises(SystemExit) as ended:
        main(["leave"])
    assert ended.value.code == 7


def test_a_run_of_a_comparison_that_a_plugin_ends_has_failed_and_says_why(leaving, tmp_path):
    from promptkit.comparison import worker
    from promptkit.running.session import Session

    leaving("check")
    (tmp_path / ORDER).write_text(make_config(strategy="leaving").model_dump_json(), encoding="utf-8")
    assert worker._run(tmp_path, Session()) == BAD_INPUT
    assert (tmp_path / FAILURE).read_text(encoding="utf-8").startswith(BLAMED)


@pytest.mark.parametrize("moment", ["build", "fold", "training"])
def test_prediction_is_ended_by_none_either(leaving, capfd, moment):
    """What was well behaved when it ran may be another version by now."""
    pytest.importorskip("mindspore")
    leaving("never")
    assert main([*arguments("never"), "--data", "reviews-en", "--template", "{text} it was {mask} ."]) == 0
    capfd.readouterr()
    get_host().strategy("leaving").cls.moment = moment
    for command in ("predict", "inspect"):
        assert main([command, "out", "the film is good"]) == 2
        assert capfd.readouterr().err.startswith(f"error: {BLAMED}")
    with pytest.raises(promptkit.UserError, match="'leaving' of leaving-dist"):
        promptkit.load("out").predict(["the film is good"])
