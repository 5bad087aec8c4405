"""What the host finds, in which order, and what it makes of it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import typer

from promptkit.errors import UserError
from promptkit.evaluation.sources import metric_file
from promptkit.hooks import Origin, PluginHost, hookimpl
from promptkit.hooks.entries import RESERVED

ROOT = Path(__file__).resolve().parents[2]


def plugin(**hooks: Any) -> SimpleNamespace:
    """A plugin of these functions, given by the last word of the hook's name."""
    marked = {}
    for kind, function in hooks.items():
        marked[f"promptkit_register_{kind}"] = hookimpl(function)
    return SimpleNamespace(**marked)


def fault_of(it: SimpleNamespace) -> str:
    """Load a plugin that must be refused and return why."""
    host = PluginHost.from_plugins({"it": it})
    for registry in (host.strategies, host.datasets, host.models, host.metrics):
        assert not registry
    (refusal,) = host.refusals
    return refusal.fault


class TestDiscovery:
    def test_an_installed_plugin_is_found_with_its_origin(self, install_plugin, good_source):
        install_plugin("good", good_source, version="4.5.6")
        entry = PluginHost.discover().strategy("good-strategy")
        assert entry.origin == Origin("good", "good-dist", "4.5.6")
        assert entry.cls.name == "good-strategy"

    @pytest.mark.parametrize("value", ["1", "yes"])
    def test_the_switch_keeps_third_parties_from_being_imported(
        self, value, install_plugin, good_source, monkeypatch
    ):
        module = install_plugin("good", good_source)
        with_plugins = set(PluginHost.discover().strategies)
        sys.modules.pop(module)
        monkeypatch.setenv("PROMPTKIT_NO_PLUGINS", value)
        assert set(PluginHost.discover().strategies) == with_plugins - {"good-strategy"}
        assert module not in sys.modules

    @pytest.mark.parametrize("value", ["", "0"])
    def test_an_empty_or_zero_switch_switches_nothing(self, value, install_plugin, good_source, monkeypatch):
        install_plugin("good", good_source)
        monkeypatch.setenv("PROMPTKIT_NO_PLUGINS", value)
        assert "good-strategy" in PluginHost.discover().strategies

    def test_the_first_by_distribution_keeps_a_name_whatever_was_installed_first(self, install_plugin, good_source):
        install_plugin("zebra", good_source)
        install_plugin("aardvark", good_source)
        host = PluginHost.discover()
        assert host.strategy("good-strategy").origin.plugin == "aardvark"
        assert [it.origin.plugin for it in host.refusals] == ["zebra"]

    def test_finding_and_listing_strategies_imports_nothing_heavy(self):
        code = (
            "import sys; from promptkit.hooks import get_host, strategy_card\n"
            "for entry in get_host().strategies.values(): strategy_card(entry)\n"
            "heavy = {'mindspore', 'torch', 'evaluate', 'datasets', 'pandas', 'scipy', 'sklearn'}\n"
            "print(sorted(heavy & set(sys.modules)))"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert done.stdout.strip() == "[]"


class TestNames:
    def test_an_unknown_strategy_names_the_nearest_one(self):
        from promptkit import Strategy

        class Soft(Strategy):
            name = "soft"
            summary = "A stand-in."

            def build(self, backbone, task):
                raise NotImplementedError

        host = PluginHost.from_plugins({"soft": plugin(strategies=lambda register: register(Soft))})
        with pytest.raises(UserError, match=r"unknown strategy 'sfot'\. Did you mean 'soft'\? Known: soft\."):
            host.strategy("sfot")

    @pytest.mark.parametrize("kind", RESERVED)
    def test_names_that_promptkit_serves_itself_cannot_be_taken(self, kind, tmp_path):
        hook = {"data set": "datasets", "model": "models", "metric": "metrics"}[kind]
        value = tmp_path if kind == "metric" else list
        for name in RESERVED[kind]:
            fault = fault_of(plugin(**{hook: lambda register, name=name: register(name, value)}))
            assert "wrong signature" in fault  # a default is no way to pass a value into a hook
            fault = fault_of(plugin(**{hook: registering(name, value)}))
            assert fault == f"the {kind} name '{name}' is taken by promptkit itself"

    def test_the_reserved_names_are_those_that_promptkit_ships(self):
        shipped = {folder.name for folder in (ROOT / "data").iterdir() if (folder / "dataset.json").exists()}
        assert RESERVED["data set"] == shipped
        models = {it.parent.name for it in (ROOT / "promptkit" / "models").glob("*/config.json")}
        assert RESERVED["model"] == models

    @pytest.mark.parametrize("name", ["", "a b", "../up", "-x", "naïve", 3, None])
    @pytest.mark.parametrize("hook", ["datasets", "models", "metrics"])
    def test_names_that_read_like_paths_or_options_are_refused(self, hook, name):
        assert "is no name for a" in fault_of(plugin(**{hook: registering(name, list)}))


def registering(*arguments: Any) -> Any:
    """A hook that registers these arguments."""

    def hook(register):
        register(*arguments)

    return hook


class TestOtherRegistries:
    def test_datasets_models_and_metrics_are_kept_under_their_names(self, tmp_path):
        def load():
            raise AssertionError("not called before it is used")

        host = PluginHost.from_plugins(
            {
                "all": plugin(
                    datasets=registering("set", load),
                    models=registering("model", load),
                    metrics=registering("metric", tmp_path),
                )
            }
        )
        assert host.refusals == []
        assert host.datasets["set"].load is load
        assert host.models["model"].locate is load
        assert host.metrics["metric"].path == tmp_path

    @pytest.mark.parametrize("hook", ["datasets", "models"])
    def test_a_loader_that_cannot_be_called_is_refused(self, hook):
        assert "needs a function without arguments" in fault_of(plugin(**{hook: registering("x", "path")}))

    @pytest.mark.parametrize("as_given", [str, Path])
    def test_the_path_of_a_metric_may_be_a_string_and_that_of_a_folder(self, as_given, tmp_path):
        folder = tmp_path / "kappa"
        folder.mkdir()
        (folder / "kappa.py").touch()
        host = PluginHost.from_plugins({"it": plugin(metrics=registering("mine", as_given(folder)))})
        assert host.metrics["mine"].path == folder
        assert metric_file("mine", host.metrics) == folder / "kappa.py"

    def test_the_file_of_a_metric_may_have_any_name(self, tmp_path):
        module = tmp_path / "kappa"
        module.touch()
        host = PluginHost.from_plugins({"it": plugin(metrics=registering("mine", module))})
        assert metric_file("mine", host.metrics) == module

    @pytest.mark.parametrize("path", ["as-text", b"/tmp", Path("no/such/place"), None])
    def test_a_metric_without_a_module_is_refused(self, path):
        assert "needs the path of a metric module that exists" in fault_of(plugin(metrics=registering("x", path)))

    @pytest.mark.parametrize("hook", ["datasets", "models", "metrics"])
    def test_the_second_taker_of_a_name_loses_all_it_registered(self, hook, tmp_path):
        value = tmp_path if hook == "metrics" else list
        second = plugin(**{hook: lambda register: [register(name, value) for name in ("other", "mine")]})
        host = PluginHost.from_plugins({"one": plugin(**{hook: registering("mine", value)}), "two": second})
        assert list(getattr(host, hook)) == ["mine"]
        assert getattr(host, hook)["mine"].origin.plugin == "one"
        assert "name 'mine' is taken by plugin 'one' of one 0" in str(host.refusals[0])

    def test_a_fault_in_a_later_hook_takes_back_what_an_earlier_one_registered(self):
        assert "boom" in fault_of(plugin(datasets=registering("set", list), models=raising))


def raising(register):
    """A hook that fails."""
    raise RuntimeError("boom")


class TestCommands:
    @pytest.fixture
    def app(self) -> typer.Typer:
        app = typer.Typer()
        app.command("run")(lambda: None)
        app.add_typer(typer.Typer(), name="tools")
        return app

    def load(self, hook: Any, app: typer.Typer) -> PluginHost:
        both = plugin(datasets=registering("set", list), commands=hook)
        host = PluginHost.from_plugins({"it": both})
        assert list(host.datasets) == ["set"]
        host.register_commands(app)
        return host

    def test_commands_and_groups_are_added(self, app):
        def hook(app):
            app.command()(shout_loudly)
            app.add_typer(typer.Typer(), name="more")

        host = self.load(hook, app)
        assert host.refusals == []
        assert [it.callback for it in app.registered_commands][1:] == [shout_loudly]
        assert [it.name for it in app.registered_groups] == ["tools", "more"]

    @pytest.mark.parametrize(
        ("add", "fault"),
        [
            (lambda app: app.command("run")(shout_loudly), "the command name 'run' is taken by promptkit itself"),
            (lambda app: app.command("tools")(shout_loudly), "the command name 'tools' is taken by promptkit itself"),
            (lambda app: app.command()(shout_loudly), "it adds the command name 'shout-loudly' twice"),
            (lambda app: app.callback()(shout_loudly), "it sets a callback on the command line"),
            (lambda app: app.add_typer(typer.Typer()), "it adds a group of commands without a name"),
            (lambda app: app.command()(of_unknown_types), "typer cannot make a command of it (NameError: name 'Pth'"),
            (lambda app: app.no_such_method(), "promptkit_register_commands failed: AttributeError"),
        ],
    )
    def test_a_fault_adds_no_command_and_refuses_the_whole_plugin(self, app, add, fault):
        def hook(app):
            app.command()(shout_loudly)
            add(app)

        host = self.load(hook, app)
        assert fault in host.refusals[0].fault
        assert len(app.registered_commands) == 1
        assert len(app.registered_groups) == 1
        assert app.registered_callback is None
        assert not host.datasets

    def test_a_command_that_another_plugin_adds_is_taken_by_that(self, app):
        def hook(app):
            app.command()(shout_loudly)

        host = PluginHost.from_plugins({"one": plugin(commands=hook), "two": plugin(commands=hook)})
        host.register_commands(app)
        (refusal,) = host.refusals
        assert refusal.origin.plugin == "two"
        assert refusal.fault == "the command name 'shout-loudly' is taken by plugin 'one' of one 0"


def of_unknown_types(where: "Pth") -> None:  # noqa: F821, UP037
    """A command whose annotation is there for type checkers alone."""


def shout_loudly() -> None:
    """A command."""
