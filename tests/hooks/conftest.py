"""Plugins made on the spot: a module and a `.dist-info` folder are all that an installed plugin is."""

from __future__ import annotations

import importlib
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

InstallPlugin = Callable[..., str]

GOOD = """
    from promptkit import Strategy, hookimpl

    class Good(Strategy):
        name = "good-strategy"
        summary = "Does nothing well."

        def build(self, backbone, task):
            raise NotImplementedError

    @hookimpl
    def promptkit_register_strategies(register):
        register(Good)
"""


@pytest.fixture
def install_plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[InstallPlugin]:
    """Install a plugin from its source for the length of the test; returns its module's name."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delenv("PROMPTKIT_NO_PLUGINS", raising=False)
    modules: list[str] = []

    def install(name: str, source: str, version: str = "1.2", points_to: str | None = None) -> str:
        module = f"made_up_plugin_{name}"
        modules.append(module)
        (tmp_path / f"{module}.py").write_text(textwrap.dedent(source), encoding="utf-8")
        info = tmp_path / f"{name}_dist-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}-dist\nVersion: {version}\n")
        (info / "entry_points.txt").write_text(f"[promptkit]\n{name} = {points_to or module}\n")
        importlib.invalidate_caches()
        return module

    yield install
    for module in modules:
        sys.modules.pop(module, None)


@pytest.fixture
def good_source() -> str:
    """The source of a plugin without a fault; it registers `good-strategy`."""
    return GOOD
