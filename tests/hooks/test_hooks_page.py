"""The examples of hooks.md: all are installed as plugins, and one run uses what they add and hears what they hear."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from promptkit import EpochInfo
from promptkit.cli import main
from promptkit.hooks import get_host
from promptkit.hooks.spec import hook_specifications

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "hooks.md").read_text(encoding="utf-8")
HOOKS = list(hook_specifications())


def examples() -> dict[str, list[str]]:
    """The pieces of code under each hook's signature."""
    found = {}
    for name in HOOKS:
        section = re.split(r"^##", PAGE.split(f"\n### {name}\n")[1], maxsplit=1, flags=re.M)[0]
        found[name] = re.findall(r"^```python\n(.*?)^```", section, re.M | re.S)[1:]
    return found


def test_every_hook_has_an_example() -> None:
    for name, (code, *_) in examples().items():
        assert f"@hookimpl\ndef {name}(" in code


@pytest.fixture
def plugins(install_plugin: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Every example installed, beside the file that one of them names, with a model where another looks for it."""
    for name, (code, *more) in examples().items():
        install_plugin(name.removeprefix("promptkit_"), code)
        for module in more:
            (tmp_path / "error_rate.py").write_text(module, encoding="utf-8")
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "my-bert").symlink_to(ROOT / "tests" / "goldens" / "bert-odd")
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    get_host.cache_clear()
    yield sys.modules
    get_host.cache_clear()


def test_one_run_uses_all_of_them(plugins: Any, capfd: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("mindspore")
    host = get_host()
    assert not host.refusals
    assert "bag" in host.engines
    asked = ["--strategy", "plain", "--data", "opinions", "--model", "my-bert", "--metric", "error_rate"]
    how = ["--verbalizer", "like=great; dislike=bad", "--max-length", "32", "--mode", "pynative", "--out", "out"]
    assert main(["run", *asked, *how]) == 0
    record = json.loads(Path("out/run.json").read_text(encoding="utf-8"))
    assert (record["options"]["strategy"], record["task"]["name"]) == ("plain", "opinions")
    assert record["test"]["error_rate"] == pytest.approx(1 - record["test"]["accuracy"])
    assert re.search(r"^plain on opinions, seed 0, \d+ epochs$", capfd.readouterr().err, re.M)
    accuracy = record["test"]["accuracy"]
    said = f"plain, seed 0: finished. test accuracy {accuracy}\n"
    assert Path("diary.txt").read_text(encoding="utf-8") == said

    assert main(["words", "diary.txt"]) == 0
    assert int(capfd.readouterr().out) == len(said.split())

    listener = plugins["made_up_plugin_epoch_ended"]
    for accuracy, expected in ((0.875, "epoch 3: dev 87.5%\n"), (None, "")):
        listener.promptkit_epoch_ended(None, EpochInfo(3, 0, 0.5, accuracy, accuracy, 0.01, 2.0))
        assert capfd.readouterr().err == expected
