"""The house keeps its walls: who may import whom, and what stays light."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "promptkit"
# Rooms that no room below may know of.
UPPER = {"reports", "inspection", "comparison", "cli", "runner", "predictor"}
# room -> rooms it must not know of.
FORBIDDEN = {
    "prompting": {"data", "engine", "training", "evaluation", "runs", "hooks", "nn", *UPPER},
    "data": {"engine", "training", "evaluation", "runs", "hooks", "nn", *UPPER},
    "engine": {"training", "evaluation", "runs", "hooks", "strategy", "data", "nn", *UPPER},
    "training": {"evaluation", "runs", "hooks", "strategy", *UPPER},
    "evaluation": {"engine", "training", "runs", *UPPER},
    "runs": {"engine", "training", "evaluation", *UPPER},
    "reports": {"engine", "training", "nn", *(UPPER - {"reports"})},
    "inspection": {"training", "evaluation", *(UPPER - {"inspection", "reports", "predictor"})},
    # The comparison starts runs in processes of their own; only its worker knows the runner.
    "comparison": {"engine", "training", "nn", "reports", "inspection", "cli", "predictor"},
}


def imported(path: Path) -> set[str]:
    """Return the rooms of promptkit that a file imports."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        modules = []
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            modules = [node.module]
        names |= {name.split(".")[1] for name in modules if name.startswith("promptkit.")}
    return names


@pytest.mark.parametrize("room", sorted(FORBIDDEN))
def test_arrows_point_down(room: str) -> None:
    for path in (PACKAGE / room).rglob("*.py"):
        assert not imported(path) & FORBIDDEN[room], path.name


@pytest.mark.parametrize(
    "module",
    [
        "promptkit",
        "promptkit.prompting",
        "promptkit.data",
        "promptkit.hooks",
        "promptkit.runs",
        "promptkit.evaluation",
        "promptkit.reports",
        "promptkit.inspection",
        "promptkit.comparison",
        "promptkit.cli",
    ],
)
def test_light_rooms_import_nothing_heavy(module: str) -> None:
    heavy = ("mindspore", "evaluate", "datasets", "sklearn", "scipy", "matplotlib", "distributed", "torch")
    code = f"import sys, {module}; print([m for m in {heavy} if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_no_file_is_longer_than_a_sitting() -> None:
    for folder in (PACKAGE, PACKAGE.parent / "plugins", PACKAGE.parent / "tests"):
        for path in folder.rglob("*.py"):
            assert len(path.read_text(encoding="utf-8").splitlines()) < 400, path
