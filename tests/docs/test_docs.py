"""The docs say what the code does: names, options, keys, operators and links are compared with it."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import shlex
from pathlib import Path
from typing import Any, get_args

import pytest
import typer
from pydantic import BaseModel
from scripts import DOCS, load_script

import promptkit
from promptkit.cli.app import build_app
from promptkit.hooks import PluginHost
from promptkit.running.config import RunConfig
from promptkit.runs import RunRecord

ROOT = Path(__file__).resolve().parents[2]
SITE = [*sorted(DOCS.glob("*.md")), *sorted(DOCS.glob("strategies/*.md"))]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", ROOT / "CONTRIBUTING.md", *SITE]
BERT = ROOT / "tests" / "goldens" / "bert-odd"


def read(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


def in_code(text: str) -> set[str]:
    """What stands in `...` in a page."""
    return set(re.findall(r"`([^`\n]+)`", text))


class TestStrategies:
    def test_the_tables_are_those_of_the_live_registry(self):
        script = load_script("make_options")
        pages = script.read()
        assert script.render(pages) == pages, "run python docs/make_options.py"

    @pytest.mark.parametrize(("page", "old"), [("soft", "| `tokens` |"), ("index", "| `soft` | 5 |")])
    def test_a_table_that_is_not_current_is_found(self, page, old):
        script = load_script("make_options")
        pages = script.read()
        stale = pages | {page: pages[page].replace(old, "| `other` |")}
        assert stale != pages
        assert script.render(stale) == pages

    @pytest.mark.parametrize("gone", ["<!-- options: soft -->", "<!-- end options -->"])
    def test_a_strategy_without_a_place_is_found(self, gone):
        script = load_script("make_options")
        pages = script.read()
        with pytest.raises(SystemExit, match="soft"):
            script.render(pages | {"soft": pages["soft"].replace(gone, "")})

    def test_a_strategy_without_a_page_is_found(self):
        script = load_script("make_options")
        with pytest.raises(SystemExit, match="ptuning"):
            script.render({name: page for name, page in script.read().items() if name != "ptuning"})

    @pytest.mark.parametrize(
        "name",
        [
            "autoprompt",
            "bitfit",
            "finetune",
            "hard",
            "icl",
            "lmbff",
            "pet",
            "prefix",
            "ptuning",
            "ptuning-v2",
            "soft",
        ],
    )
    def test_every_page_has_its_parts(self, name):
        page = read(f"strategies/{name}.md")
        heads = ["The method", "The equation", "Options", "Source", "Where it departs", "When to use it", "Try it"]
        assert [head for head in heads if f"\n## {head}" not in page] == []
        assert "```math" in page.split("\n## The equation")[1].split("\n## ")[0]
        assert "arXiv:" in page.split("\n## Source")[1].split("\n## ")[0]
        assert f"promptkit run --strategy {name}" in page.split("\n## Try it")[1]


class TestSettings:
    def test_the_tables_are_those_of_the_settings(self):
        page = read("cli.md")
        assert load_script("make_options").render_settings(page) == page, "run python docs/make_options.py"

    def test_a_table_that_is_not_current_is_found(self):
        page = read("cli.md")
        stale = page.replace("| `--patience N` |", "| `--patients N` |")
        assert stale != page
        assert load_script("make_options").render_settings(stale) == page

    def test_a_command_without_a_place_is_found(self):
        with pytest.raises(SystemExit, match="compare"):
            load_script("make_options").render_settings(read("cli.md").replace("<!-- settings: compare -->", ""))


@pytest.mark.parametrize("module", ["promptkit", "promptkit.nn", "promptkit.backbones.face", "promptkit.testing"])
def test_every_public_name_is_in_api_md(module):
    if module == "promptkit.nn":
        pytest.importorskip("mindspore")
    section = read("api.md").split(f"\n## {module}\n")[1].split("\n## ")[0]
    rows = set(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE))
    assert rows == set(importlib.import_module(module).__all__)


@pytest.mark.parametrize(
    "name", ["load_model", "prompt_task", "write_tiny_model", "write_tiny_pairs", "write_tiny_task"]
)
def test_a_helper_of_tests_is_in_api_md_with_all_its_arguments(name):
    there = _arguments(getattr(importlib.import_module("promptkit.testing"), name))
    # Some defaults are said in words.
    assert [argument for argument, _ in _written_arguments(name)] == [argument for argument, _ in there]


@pytest.mark.parametrize("name", ["Task", "load_task"])
def test_what_a_data_set_is_made_with_is_in_api_md_with_all_its_arguments(name):
    assert _written_arguments(name) == _arguments(getattr(promptkit, name))


def _arguments(called: Any) -> list[tuple[str, str]]:
    given = inspect.signature(called).parameters.values()
    return [(it.name, "" if it.default is it.empty else repr(it.default)) for it in given]


def _written_arguments(name: str) -> list[tuple[str, str]]:
    """The arguments of the one call of a name in api.md, and their defaults."""
    (call,) = re.findall(rf"`{name}\(([^`]*)\)`", read("api.md"))
    found = re.findall(r"(?:^|, )\**(\w+)(?:=([^,]+))?", call)
    return [(argument, default.replace('"', "'")) for argument, default in found]


def test_every_setting_of_a_run_is_in_api_md():
    row = next(line for line in read("api.md").splitlines() if line.startswith("| `RunConfig`"))
    assert set(RunConfig.model_fields) <= in_code(row)


def _app() -> Any:
    return typer.main.get_command(build_app(PluginHost.from_plugins({})))


def _commands() -> dict[str, Any]:
    """Every command by its words: `run`, `runs list`."""
    found = {}
    for name, command in _app().commands.items():
        inner = getattr(command, "commands", None)
        found |= {f"{name} {word}": it for word, it in inner.items()} if inner else {name: command}
    return found


def _section(command: str) -> str:
    """Where a command is described: in cli.md, or on the page of its name."""
    own = DOCS / f"{command.split()[0]}.md"
    text = read("cli.md") + (own.read_text(encoding="utf-8") if own.is_file() else "")
    parts = text.split(f"\n## promptkit {command}\n")
    assert len(parts) == 2, f"no section, or two, for promptkit {command}"
    return parts[1].split("\n## ")[0]


@pytest.mark.parametrize("command", sorted(_commands()))
def test_every_option_of_a_command_is_in_its_section(command):
    section = _section(command)
    said = {code.split()[0] for code in in_code(section.replace("\\|", "|"))}
    options = {name for it in _commands()[command].params for name in it.opts if name.startswith("--")}
    assert options - {"--help"} <= said
    assert {it for it in said if it.startswith("--")} <= options, "an option that does not exist"


def _keys(model: type[BaseModel], prefix: str = "") -> set[str]:
    keys = set()
    for name, field in model.model_fields.items():
        key = prefix + (field.alias or name)
        keys.add(key)
        for part in (field.annotation, *get_args(field.annotation)):
            if inspect.isclass(part) and issubclass(part, BaseModel):
                keys |= _keys(part, f"{key}.")
    return keys


def test_cli_md_explains_exactly_the_keys_of_run_json():
    section = read("cli.md").split("\n## run.json\n")[1].split("\n## ")[0]
    first = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    assert {code for cell in first for code in in_code(cell)} == _keys(RunRecord)


OPERATOR = re.compile(r"\b(ops\.[A-Za-z_]+|nn\.LSTM|optim\.[A-Z]\w+)")


def _operator_rows() -> dict[str, str]:
    table = read("operators.md").split("<!-- operators -->")[1].split("<!-- end operators -->")[0]
    return dict(re.findall(r"^\| `([\w.]+)` \| ([^|]+?) \|", table, re.M))


def _called(path: Path) -> set[str]:
    """The operators that a module calls; comments and docstrings do not count."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {
        match[1]
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and (match := OPERATOR.fullmatch(ast.unparse(node)))
    }


def test_operators_md_lists_exactly_the_operators_that_are_called():
    package = ROOT / "promptkit"
    files = [
        package / "nn.py",
        package / "ranks.py",
        *(f for room in ("backbones", "strategies", "training") for f in (package / room).rglob("*.py")),
    ]
    files += (ROOT / "plugins").glob("*/*.py")
    assert set().union(*map(_called, files)) == set(_operator_rows())


@pytest.mark.parametrize("name", sorted(_operator_rows()))
def test_the_platforms_are_those_that_mindspore_documents(name):
    pytest.importorskip("mindspore")
    from mindspore import nn, ops
    from mindspore.experimental import optim

    # ops.concat is documented as another name of ops.cat.
    documented = "ops.cat" if name == "ops.concat" else name
    home, attribute = documented.split(".")
    text = inspect.getdoc(getattr({"ops": ops, "nn": nn, "optim": optim}[home], attribute)) or ""
    match = re.search(r"Supported Platforms:\s+(.+)", text)
    assert match is not None
    assert match[1].replace("`", "").split() == _operator_rows()[name].split()


def _anchors(text: str) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    heads = re.findall(r"^#+ (.+)$", re.sub(r"^```.*?^```", "", text, flags=re.M | re.S), re.M)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_relative_links_lead_somewhere(page):
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), target
        if anchor:
            assert anchor in _anchors(file.read_text(encoding="utf-8")), target


def test_the_index_names_every_page():
    index = read("index.md")
    names = [page.relative_to(DOCS).as_posix() for page in SITE]
    assert [name for name in names if f"({name})" not in index] == ["index.md"]


def _written_commands() -> list[Any]:
    """Every `promptkit` command in a block of a page."""
    found = []
    for page in (ROOT / "README.md", *SITE):
        for block in re.findall(r"^```(?:console)?\n(.*?)^```", page.read_text(encoding="utf-8"), re.M | re.S):
            for line in block.replace("\\\n", " ").splitlines():
                if match := re.search(r"(?:^|^\$ |&& )promptkit (.+?)(?: && .*)?$", line):
                    found.append(pytest.param(match[1], id=f"{page.name}: {match[1]}"))
    return found


@pytest.mark.parametrize("written", _written_commands())
def test_commands_on_the_pages_have_options_that_exist(written):
    words = shlex.split(written, comments=True)
    command = _app()
    while hasattr(command, "commands"):
        command = command.commands[words.pop(0)]
    command.make_context(command.name, words)


def _snippets() -> list[Any]:
    found = []
    for page in (ROOT / "README.md", DOCS / "api.md"):
        codes = re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), re.M | re.S)
        found += [pytest.param(code, id=f"{page.name}-{i}") for i, code in enumerate(codes)]
    return found


@pytest.mark.parametrize("code", _snippets())
def test_the_python_snippets_run(code, tmp_path, monkeypatch):
    pytest.importorskip("mindspore")
    run = promptkit.run

    def run_small(strategy: str, **settings: Any) -> Any:
        """The same call on a tiny model, eagerly, for one epoch."""
        small = {"model": str(BERT), "epochs": 1, "mode": "pynative", "quiet": True}
        return run(strategy, **{**settings, **small})

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(promptkit, "run", run_small)
    exec(compile(code, "snippet", "exec"), {})


def test_the_readme_has_the_two_commands():
    blocks = re.findall(r"^```\n(.*?)^```", (ROOT / "README.md").read_text(encoding="utf-8"), re.M | re.S)
    venv = "python3 -m venv .venv && . .venv/bin/activate && "
    assert blocks[0] == f"{venv}pip install . && promptkit run --strategy soft\n"
    assert f"{venv}pip install -e '.[dev]' && pytest\n" in blocks
    ci = ROOT / ".ci" / "run"
    assert ci.is_file()
    assert re.search(r"^pytest\b", ci.read_text(encoding="utf-8"), re.M)


def test_measured_tables_stand_on_the_pages_as_the_scripts_wrote_them():
    tables = load_script("make_tables")
    assert set(SITE) <= set(tables.pages())
    for page in tables.pages():
        text = page.read_text(encoding="utf-8")
        assert tables.filled(text) == text, "run python docs/make_tables.py"


def test_a_table_that_was_not_measured_is_said_to_be_missing():
    tables = load_script("make_tables")
    page = "<!-- table: no-such-table -->\n<!-- end table -->"
    assert tables.filled(page) == f"<!-- table: no-such-table -->\n{tables.NOT_YET}<!-- end table -->"


def test_a_page_may_show_some_columns_of_a_table_and_its_verdict():
    tables = load_script("make_tables")
    body = "| a   | b b | c |\n|-----|-----|---|\n| one |   2 | 3 |\n\n- Verdict.\n- Another note.\n"
    assert tables.narrowed(body, ["a", "c"]) == "| a   | c |\n|-----|---|\n| one | 3 |\n\n- Verdict.\n"
    begin = "<!-- table: front, columns: ratio -->\n"
    shown = tables.filled(begin + "<!-- end table -->").removeprefix(begin)
    assert shown.splitlines()[0] == "| ratio   |"
