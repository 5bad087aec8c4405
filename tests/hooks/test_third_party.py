"""A third party's distribution beside promptkit: installed, found, run, and gone again."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "docs" / "example-plugin"


class Environment:
    """A fresh virtual environment that borrows the running one's packages but not its promptkit."""

    def __init__(self, folder: Path) -> None:
        venv.create(folder, with_pip=True)
        self.folder = folder
        self.bin = folder / "bin"
        # A path file makes the running environment's packages visible behind the fresh one's own.
        site = Path(self.python("import sysconfig; print(sysconfig.get_path('purelib'))"))
        borrowed = dict.fromkeys([sysconfig.get_path("purelib"), sysconfig.get_path("platlib")])
        (site / "borrowed.pth").write_text("\n".join(borrowed) + "\n", encoding="utf-8")

    def execute(self, *command: str, expect: int = 0) -> subprocess.CompletedProcess[str]:
        """Run a program of the environment, away from the source tree."""
        variables = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PROMPTKIT_NO_PLUGINS")}
        done = subprocess.run(
            [str(self.bin / command[0]), *command[1:]],
            cwd=self.folder,
            env=variables,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == expect, f"{command}\n{done.stdout}\n{done.stderr}"
        return done

    def python(self, code: str) -> str:
        """Run Python code and return what it prints."""
        return self.execute("python", "-c", code).stdout.strip()

    def install(self, project: Path) -> None:
        """Install a project without its dependencies, built with the borrowed hatchling if there is one."""
        isolation = ["--no-build-isolation"] if _importable("hatchling") else []
        self.execute("python", "-m", "pip", "install", "--quiet", "--no-deps", *isolation, str(project))

    def strategies(self) -> dict[str, dict[str, object]]:
        """What `promptkit strategies --json` lists, by name."""
        done = self.execute("promptkit", "strategies", "--json")
        assert "is refused" not in done.stderr
        return {card["name"]: card for card in json.loads(done.stdout)}


def _importable(module: str) -> bool:
    return subprocess.run([sys.executable, "-c", f"import {module}"], capture_output=True).returncode == 0


@pytest.mark.slow
def test_a_third_partys_plugin_is_installed_found_run_and_removed(tmp_path):
    environment = Environment(tmp_path / "venv")
    environment.install(ROOT)
    built_in = environment.strategies()
    assert set(built_in) == {"autoprompt", "hard", "icl", "lmbff", "probe", "pet", "soft", "ptuning"}
    assert str(environment.folder) in environment.python("import promptkit; print(promptkit.__file__)")

    environment.install(EXAMPLE)
    listed = environment.strategies()
    assert set(listed) == {*built_in, "null-prompt"}
    assert listed["null-prompt"]["distribution"] == "promptkit-null-prompt"
    assert [option["name"] for option in listed["null-prompt"]["options"]] == ["mask_first"]

    out = tmp_path / "run"
    run = ["promptkit", "run", "--strategy", "null-prompt", "--shots", "4", "--epochs", "1"]
    environment.execute(*run, "--set", "mask_first=true", "--out", str(out))
    record = json.loads((out / "run.json").read_text(encoding="utf-8"))
    assert record["parameters"]["head"] == 2
    assert record["parameters"]["prompt"] == record["parameters"]["encoder"] == 0
    assert 0.0 <= record["test"]["accuracy"] <= 1.0
    predicted = environment.execute("promptkit", "predict", str(out), "A quiet, lovely film.").stdout
    assert "positive" in predicted or "negative" in predicted

    environment.execute("python", "-m", "pip", "uninstall", "--quiet", "--yes", "promptkit-null-prompt")
    assert set(environment.strategies()) == set(built_in)
    refused = environment.execute(*run, expect=2)
    assert "unknown strategy 'null-prompt'" in refused.stderr
