"""`promptkit strategies` shows what the live registry holds."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any, Literal

import pytest
import typer
from pydantic import Field
from typer.testing import CliRunner

from promptkit import Defaults, Strategy, StrategyOptions
from promptkit.cli.strategies import render, strategies
from promptkit.errors import UserError
from promptkit.hooks import PluginHost, get_host, hookimpl, strategy_card


class WideOptions(StrategyOptions):
    """Options that do not fit their columns."""

    an_option_with_quite_a_long_name: int = Field(5, ge=1, description="what it does " * 20)
    choice: Literal["first_choice", "second_choice", "third_choice", "fourth"] = Field("first_choice")
    start: str = Field("", description="x" * 150)
    ratio: float | None = Field(None, description="a share")
    fast: bool = Field(False, description="skip the rest")
    must: int = Field(description="no default")


class Wide(Strategy):
    """A strategy with everything too long."""

    name = "wide"
    summary = "A summary that goes on and on, " * 8
    Options = WideOptions
    defaults = Defaults(
        epochs=7, min_steps=9, causal=(("min_steps", 3),), templates=(("en", ("{text} So: {mask}." * 12,)),)
    )

    def build(self, backbone: Any, task: Any) -> Any:
        """Never called."""
        raise NotImplementedError


class Plain(Wide):
    """A strategy without options."""

    name = "plain"
    summary = "Has no options."
    Options = StrategyOptions


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> PluginHost:
    """A registry of two strategies and a refused plugin."""

    def promptkit_register_strategies(register: Any) -> None:
        register(Wide)
        register(Plain)

    made = SimpleNamespace(promptkit_register_strategies=hookimpl(promptkit_register_strategies))
    host = PluginHost.from_plugins({"made": made, "broken": SimpleNamespace()})
    monkeypatch.setattr("promptkit.hooks.get_host", lambda: host)
    return host


def invoke(*arguments: str) -> Any:
    app = typer.Typer()
    app.callback()(lambda: None)
    app.command()(strategies)
    return CliRunner().invoke(app, ["strategies", *arguments])


def test_the_listing_shows_every_strategy_and_option_of_the_registry(host):
    result = invoke()
    assert result.exit_code == 0
    assert "wide  (made 0)\n" in result.stdout
    assert "plain  (made 0)\n  Has no options." in result.stdout
    rows = {line.split()[0]: line.split() for line in result.stdout.splitlines() if line.strip()}
    assert rows["option"] == ["option", "type", "default", "help"]
    assert rows["ratio"] == ["ratio", "float", "or", "none", "none", "a", "share"]
    assert rows["fast"] == ["fast", "bool", "false", "skip", "the", "rest"]
    assert rows["must"] == ["must", "int", "(required)", "no", "default"]
    assert rows["start"][:3] == ["start", "text", '""']


@pytest.mark.parametrize("arguments", [(), ("wide",)])
def test_no_line_is_longer_than_100_characters_and_nothing_is_lost(host, arguments):
    text = invoke(*arguments).stdout
    assert max(map(len, text.splitlines())) <= 100
    assert "".join(text.split()).count("x") >= 150
    assert text.count("goes") == 8
    assert sum(line.split().count("does") for line in text.splitlines()) == 20


def test_a_name_shows_that_strategy_only_with_what_it_trains_with(host):
    text = invoke("plain").stdout
    assert "wide" not in text
    assert "epochs 7, min steps 9" in text
    assert "on a causal model: min steps 3" in text
    assert "template (en): {text} So: {mask}." in text


def test_json_holds_what_the_text_shows(host):
    listed = json.loads(invoke("--json").stdout)
    assert [it["name"] for it in listed] == ["wide", "plain"]
    assert listed == json.loads(json.dumps([_as_dict(entry) for entry in host.strategies.values()]))
    assert json.loads(invoke("plain", "--json").stdout) == listed[1:]
    first = listed[0]["options"][0]
    assert first["name"] == "an_option_with_quite_a_long_name"
    assert (first["type"], first["default"], first["required"]) == ("int >= 1", 5, False)


def _as_dict(entry: Any) -> dict[str, Any]:
    from dataclasses import asdict

    return asdict(strategy_card(entry))


def test_a_refused_plugin_is_a_warning_on_standard_error(host):
    result = invoke("--json")
    assert result.exit_code == 0
    assert result.stderr.startswith("warning: plugin 'broken' of broken 0 is refused: it implements no hook.")


def test_an_unknown_name_is_the_users_error(host):
    result = invoke("wyde")
    assert isinstance(result.exception, UserError)
    assert "Did you mean 'wide'?" in str(result.exception)


def test_an_empty_registry_says_what_is_missing():
    assert "No strategy is installed" in render([])


@pytest.mark.parametrize(
    "name",
    ["autoprompt", "bitfit", "finetune", "hard", "icl", "lmbff", "pet", "prefix", "ptuning", "ptuning-v2", "soft"],
)
def test_the_built_in_strategies_are_listed_from_promptkits_own_entry_points(name):
    if name not in get_host().strategies:
        pytest.skip("promptkit is not installed: its entry points are not there")
    (card,) = json.loads(invoke(name, "--json").stdout)
    assert card["distribution"] == "promptkit"
    assert card["summary"]
    assert all(option["help"] for option in card["options"])
