"""Every hook is documented as it is."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import typer

from promptkit.hooks import PluginHost, hookimpl
from promptkit.hooks.spec import hook_specifications

DOCS = Path(__file__).resolve().parents[2] / "docs"
GUIDE = (DOCS / "plugins.md").read_text(encoding="utf-8")
PAGE = (DOCS / "hooks.md").read_text(encoding="utf-8")
HOOKS = hook_specifications()
ADDING = [name for name in HOOKS if name.startswith("promptkit_register_")]
PUBLIC = {"promptkit", "promptkit.nn", "promptkit.backbones.face", "promptkit.testing"}


def sample(name: str, tmp_path: Path) -> Callable[..., None]:
    """An implementation of a hook that registers one thing called `thing`."""
    from promptkit import Strategy

    class Thing(Strategy):
        name = "thing"
        summary = "A sample."

        def build(self, backbone: Any, task: Any) -> Any:
            raise NotImplementedError

    methods = dict.fromkeys(("claims", "describe", "load"), print)
    arguments: dict[str, tuple[Any, ...]] = {
        "promptkit_register_strategies": (Thing,),
        "promptkit_register_datasets": ("thing", list),
        "promptkit_register_models": ("thing", list),
        "promptkit_register_engines": (SimpleNamespace(name="thing", summary="A sample.", **methods),),
        "promptkit_register_metrics": ("thing", tmp_path),
    }

    def register_one(register: Callable[..., None]) -> None:
        register(*arguments[name])

    def add_command(app: typer.Typer) -> None:
        app.command("thing")(lambda: None)

    return add_command if name == "promptkit_register_commands" else register_one


@pytest.mark.parametrize("name", HOOKS)
class TestEveryHook:
    def test_is_on_the_page_with_its_exact_signature(self, name):
        signature = str(inspect.signature(HOOKS[name])).replace("'", "")
        assert f"### {name}\n\n```python\ndef {name}{signature}\n```" in PAGE

    def test_documents_each_argument(self, name):
        text = inspect.getdoc(HOOKS[name]) or ""
        for argument in inspect.signature(HOOKS[name]).parameters:
            assert re.search(rf"Args:\n(    .*\n)*    {argument}: ", text)


@pytest.mark.parametrize("name", ADDING)
class TestEveryHookThatAdds:
    def test_puts_what_it_registers_where_promptkit_looks(self, name, tmp_path):
        plugin = SimpleNamespace(**{name: hookimpl(sample(name, tmp_path))})
        host, app = PluginHost.from_plugins({"it": plugin}), typer.Typer()
        host.register_commands(app)
        assert host.refusals == []
        kind = name.removeprefix("promptkit_register_")
        names = [it.name for it in app.registered_commands] if kind == "commands" else list(getattr(host, kind))
        assert names == ["thing"]


def test_the_page_documents_no_hook_that_does_not_exist():
    assert re.findall(r"^### (promptkit_\w+)$", PAGE, re.MULTILINE) == list(HOOKS)


def test_hook_names_are_found_where_they_are_declared():
    assert "promptkit_register_strategies" in HOOKS
    assert "promptkit_run_ended" in HOOKS
    assert (len(HOOKS), len(ADDING)) == (9, 6)


def test_the_guide_and_the_api_page_name_what_plugins_may_import():
    (rule,) = re.findall(r"^- Of promptkit, import only (.+?)\. Names elsewhere", GUIDE, re.M | re.S)
    assert set(re.findall(r"`(promptkit[\w.]*)`", rule)) == PUBLIC
    sections = re.findall(r"^## (.+)$", (DOCS / "api.md").read_text(encoding="utf-8"), re.M)
    assert set(sections) >= PUBLIC
