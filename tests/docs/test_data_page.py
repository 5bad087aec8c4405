"""The plugin of data.md, which brings a file of its own: it is installed as a folder, and its data is read."""

from __future__ import annotations

import importlib
import re
import sys
from pathlib import Path

import pytest
from scripts import DOCS

from promptkit.hooks import PluginHost


def test_the_plugin_finds_its_file_and_relabels_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (code,) = re.findall(r"^```python\n(.*?)^```", (DOCS / "data.md").read_text(encoding="utf-8"), re.M | re.S)
    package, elsewhere = tmp_path / "promptkit_stars", tmp_path / "elsewhere"
    package.mkdir()
    elsewhere.mkdir()
    (package / "__init__.py").write_text(code, encoding="utf-8")
    rows = [f"{stars},review {number} with {stars} stars" for stars in range(1, 6) for number in range(20)]
    (package / "stars.csv").write_text("\n".join(["stars,review", "5,", *rows]), encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(elsewhere)
    try:
        host = PluginHost.from_plugins({"stars": importlib.import_module("promptkit_stars")})
        assert not host.refusals
        task = host.datasets["stars"].read()
    finally:
        sys.modules.pop("promptkit_stars", None)
    assert [len(split) for split in (task.train, task.dev, task.test)] == [64, 8, 8]
    for example in (*task.train, *task.dev, *task.test):
        assert example.label == ("negative" if example.text.split()[3] in "12" else "positive")
    assert "Reviews with three stars are left out." in task.notes
    assert task.cautions == ("1 example dropped: the text is empty",)
