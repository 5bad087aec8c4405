"""`promptkit new` writes a sound plugin, for a strategy the one that the docs show, or nothing."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from promptkit.cli import main
from promptkit.errors import UserError
from promptkit.hooks import PluginHost, get_host
from promptkit.prompting import Template
from promptkit.scaffolding import KINDS, NewPlugin, write_plugin

PAGE = Path(__file__).resolve().parents[2] / "docs" / "write-a-strategy.md"
PUBLIC = {"promptkit", "promptkit.nn", "promptkit.backbones.face", "promptkit.testing"}
FILES = ["README.md", "promptkit_null_prompt.py", "pyproject.toml", "tests/test_null_prompt.py"]


def written(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


@pytest.fixture(scope="module")
def plugin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("new") / "deep" / "null-prompt"
    write_plugin(NewPlugin("strategy", "null-prompt"), folder, {})
    return folder


@pytest.fixture(scope="module")
def module(plugin: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("promptkit_null_prompt", plugin / "promptkit_null_prompt.py")
    assert spec is not None
    assert spec.loader is not None
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


def test_the_command_writes_a_distribution_and_says_how_it_goes_on(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["new", "strategy", "null-prompt"]) == 0
    folder = tmp_path / "promptkit-null-prompt"
    assert written(folder) == FILES
    assert [path.name for path in tmp_path.iterdir()] == [folder.name]
    first, second = capsys.readouterr().out.splitlines()
    assert first == f"wrote {folder.name}: pyproject.toml, README.md, promptkit_null_prompt.py, {FILES[-1]}"
    assert second == f"next: pip install -e '{folder.name}[test]' && pytest {folder.name}"


def test_it_goes_where_it_is_told(tmp_path, capsys):
    assert main(["new", "strategy", "my_prompt2", "--folder", str(tmp_path / "my plugin")]) == 0
    assert "promptkit_my_prompt2.py" in written(tmp_path / "my plugin")
    assert "'" + str(tmp_path / "my plugin") + "[test]'" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("soft", "there is a strategy 'soft' already, of plugin 'soft' of promptkit "),
        ("native", "there is a module 'promptkit_native' already"),
        ("Null", "'Null' is no name for a new strategy; use up to 40 lower-case letters"),
        ("null--prompt", "is no name"),
        ("2nd", "is no name"),
        ("../x", "is no name"),
        ("", "is no name"),
        ("x" * 41, "is no name"),
        ("prompt-é", "is no name"),
        ("template", "the name 'template' makes a class 'Template', which is taken"),
        ("strategy", "makes a class 'Strategy"),
        ("biased-cloze", "makes a class 'BiasedCloze'"),
    ],
)
def test_a_bad_name_is_one_line_and_leaves_nothing(name, said, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["new", "strategy", name]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert said in error
    assert error.count("\n") == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["none", "true", "false"])
@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_class_is_no_word_of_pythons_own(kind, name, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    # A data set has no class.
    assert main(["new", kind, name]) == (0 if kind == "dataset" else 2)
    if kind != "dataset":
        cls = name.capitalize()
        said = f"the name '{name}' makes a class '{cls}', which is a word of Python's own; choose another."
        assert capsys.readouterr().err == f"error: {said}\n"
        assert not list(tmp_path.iterdir())


def test_what_is_there_is_left_alone(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for place in ("promptkit-null-prompt", "other"):
        (tmp_path / place).mkdir()
    assert main(["new", "strategy", "null-prompt"]) == 2
    assert main(["new", "strategy", "null-prompt", "--folder", "other"]) == 2
    assert capsys.readouterr().err.splitlines() == [
        f"error: '{place}' exists already; name another --folder, or remove it."
        for place in ("promptkit-null-prompt", "other")
    ]
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["other", "promptkit-null-prompt"]


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path, capsys):
    (tmp_path / "file").touch()
    assert main(["new", "strategy", "null-prompt", "--folder", str(tmp_path / "file" / "sub")]) == 2
    assert capsys.readouterr().err == f"error: cannot write to '{tmp_path / 'file'}': Not a directory\n"


def test_a_write_that_fails_half_way_leaves_nothing(tmp_path, monkeypatch):
    write = Path.write_text

    def fails(path: Path, *given: object, **more: object) -> int:
        if path.name.startswith("test_"):
            raise OSError(28, "No space left on device", str(path))
        return write(path, *given, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(Path, "write_text", fails)
    with pytest.raises(OSError, match="No space left"):
        write_plugin(NewPlugin("strategy", "null-prompt"), tmp_path / "deep" / "new", {})
    assert not list(tmp_path.iterdir())


def test_names_follow_from_the_name():
    plugin = NewPlugin("strategy", "attention_pool-2")
    assert (plugin.distribution, plugin.module) == ("promptkit-attention-pool-2", "promptkit_attention_pool_2")
    assert plugin.class_name == "AttentionPool2"


def test_nothing_of_a_template_is_left_over():
    for path, content in NewPlugin("strategy", "my-own").files().items():
        assert "<<" not in content, path
        assert "null" not in path
        assert "NullPrompt" not in content, path
        assert content.endswith("\n")
        assert not content.endswith("\n\n")


@pytest.mark.parametrize("file", FILES[1:])
def test_the_page_shows_what_is_written_word_for_word(plugin, file):
    kind = "python" if file.endswith(".py") else "toml"
    assert f"```{kind}\n{(plugin / file).read_text(encoding='utf-8')}```\n" in PAGE.read_text(encoding="utf-8")


class TestModule:
    def test_is_shorter_than_a_screenful_or_two(self, plugin):
        assert len((plugin / "promptkit_null_prompt.py").read_text(encoding="utf-8").splitlines()) < 70

    def test_is_taken_by_the_host(self, module):
        host = PluginHost.from_plugins({"null-prompt": module})
        assert host.refusals == []
        assert host.strategy("null-prompt").cls is module.NullPrompt

    @pytest.mark.parametrize("file", [FILES[1], FILES[3]])
    def test_takes_from_promptkit_only_public_names(self, plugin, file):
        for node in ast.walk(ast.parse((plugin / file).read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "promptkit":
                assert node.module in PUBLIC
                if node.module != "promptkit.nn":  # it imports MindSpore
                    assert {name.name for name in node.names} <= set(importlib.import_module(node.module).__all__)

    @pytest.mark.parametrize(
        ("given", "mask_first", "expected"),
        [
            ("{text} It was {mask}.", False, "{text} {mask}"),
            ("{text} It was {mask}.", True, "{mask} {text}"),
            ("{text} and {text_b}? {mask}", False, "{text} {text_b} {mask}"),
        ],
    )
    def test_leaves_the_pattern_out(self, module, given, mask_first, expected):
        strategy = module.NullPrompt(module.NullPromptOptions(mask_first=mask_first))
        assert strategy.prepare(Template.parse(given)).source == expected

    def test_refuses_a_head(self, module):
        with pytest.raises(UserError, match="use --readout cloze"):
            module.NullPrompt().check("head", [])

    def test_refuses_virtual_tokens_that_it_would_leave_out(self, module):
        with pytest.raises(UserError, match="has virtual tokens, which strategy 'null-prompt' does not learn"):
            module.NullPrompt().prepare(Template.parse("{soft:3}{text} It was {mask}."))

    def test_is_formatted(self, plugin):
        pytest.importorskip("ruff")
        for command in (["check", "--isolated", "--select", "E,F,UP,B"], ["format", "--isolated", "--check"]):
            done = subprocess.run(
                [sys.executable, "-m", "ruff", *command, "--line-length", "118", str(plugin)],
                capture_output=True, text=True, check=False,
            )  # fmt: skip
            assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("kind", ["dataset", "metric", "engine"])
def test_others_are_written_too_and_pass_their_own_tests(kind, tmp_path, monkeypatch, capsys, request):
    assert main(["new", kind, f"my-{kind}", "--folder", str(tmp_path / "new")]) == 0
    for path in (tmp_path / "new").rglob("*"):
        assert path.is_dir() or "<<" not in path.read_text(encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path / "new")
    monkeypatch.syspath_prepend(tmp_path / "new" / "tests")
    if kind == "engine":
        pytest.importorskip("mindspore")
        installed = tmp_path / "new" / "promptkit_my_engine-0.1.0.dist-info"
        installed.mkdir()
        (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: promptkit-my-engine\nVersion: 0.1.0\n")
        (installed / "entry_points.txt").write_text("[promptkit]\nmy-engine = promptkit_my_engine\n")
        importlib.invalidate_caches()
        get_host.cache_clear()
        request.addfinalizer(get_host.cache_clear)
    assert pytest.main(["-q", "-p", "no:cacheprovider", str(tmp_path / "new")]) == 0
    assert " passed" in capsys.readouterr().out
    taken = {"dataset": "reviews-en", "metric": "accuracy", "engine": "native"}[kind]
    assert main(["new", kind, taken, "--folder", str(tmp_path / "other")]) == 2
    whose = "of plugin 'native' of promptkit " if kind == "engine" else "promptkit's own; choose another name."
    assert f"'{taken}' already, {whose}" in capsys.readouterr().err


def test_every_file_of_a_distribution_is_in_its_wheel():
    for kind in KINDS:
        files = NewPlugin(kind, "my-own").files()
        (line,) = [line for line in files["pyproject.toml"].splitlines() if line.startswith("only-include")]
        assert ast.literal_eval(line.partition(" = ")[2]) == [path for path in files if re.match(r"\w+\.py", path)]


def test_the_engine_of_our_own_tests_is_the_one_that_is_written():
    ours = Path(__file__).resolve().parents[1] / "hooks" / "promptkit_bag.py"
    assert NewPlugin("engine", "bag").files()["promptkit_bag.py"] == ours.read_text(encoding="utf-8")
