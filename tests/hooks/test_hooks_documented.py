"""Every hook is documented as it is, and the worked example is the plugin that is installed in the tests."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import inspect
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import typer

from promptkit.errors import UserError
from promptkit.hooks import PluginHost, hookimpl
from promptkit.hooks.spec import hook_specifications
from promptkit.prompting import Template

DOCS = Path(__file__).resolve().parents[2] / "docs"
GUIDE = (DOCS / "plugins.md").read_text(encoding="utf-8")
PAGE = (DOCS / "hooks.md").read_text(encoding="utf-8")
EXAMPLE = DOCS / "example-plugin" / "promptkit_null_prompt.py"
HOOKS = hook_specifications()
ADDING = [name for name in HOOKS if name.startswith("promptkit_register_")]
PUBLIC = {"promptkit", "promptkit.nn", "promptkit.backbones.face"}


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


@pytest.mark.parametrize("file", ["promptkit_null_prompt.py", "pyproject.toml"])
def test_the_guide_shows_the_example_word_for_word(file):
    kind = "python" if file.endswith(".py") else "toml"
    assert f"```{kind}\n{(EXAMPLE.parent / file).read_text(encoding='utf-8')}```\n" in GUIDE


@pytest.fixture(scope="module")
def example() -> ModuleType:
    """The example's module, loaded from its file."""
    spec = importlib.util.spec_from_file_location("promptkit_null_prompt", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class TestExample:
    def test_is_taken_by_the_host(self, example):
        host = PluginHost.from_plugins({"null-prompt": example})
        assert host.refusals == []
        assert host.strategy("null-prompt").cls is example.NullPrompt

    def test_takes_from_promptkit_only_public_names(self):
        modules = imported_from_promptkit()
        assert set(modules) <= PUBLIC
        public = importlib.import_module("promptkit")
        for name in modules["promptkit"]:
            assert hasattr(public, name), name

    def test_is_imported_without_mindspore(self):
        code = "import promptkit_null_prompt, sys; print('mindspore' in sys.modules)"
        done = subprocess.run(
            [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(EXAMPLE.parent)!r}); {code}"],
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.strip() == "False"

    @pytest.mark.parametrize(
        ("given", "mask_first", "expected"),
        [
            ("{text} It was {mask}.", False, "{text} {mask}"),
            ("{text} It was {mask}.", True, "{mask} {text}"),
            ("{text} and {text_b}? {mask}", False, "{text} {text_b} {mask}"),
        ],
    )
    def test_leaves_the_pattern_out(self, example, given, mask_first, expected):
        strategy = example.NullPrompt(example.NullPromptOptions(mask_first=mask_first))
        assert strategy.prepare(Template.parse(given)).source == expected

    def test_refuses_a_head(self, example):
        with pytest.raises(UserError, match="use --readout cloze"):
            example.NullPrompt().check("head", [])


def imported_from_promptkit() -> dict[str, set[str]]:
    """Return what the example imports from promptkit: module -> names."""
    found: dict[str, set[str]] = {}
    for node in ast.walk(ast.parse(EXAMPLE.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "promptkit":
            found.setdefault(str(node.module), set()).update(alias.name for alias in node.names)
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.split(".")[0] == "promptkit":
                    found.setdefault(alias.name, set())
    return found
