"""The house keeps its walls: who may import whom, and what stays light."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "promptkit"
# Room or file -> what else of promptkit it may import. What is not listed fails, so that no new file escapes.
ALLOWED: dict[str, set[str]] = {
    "version": set(),
    "errors": set(),
    "interrupts": set(),
    # Processes that train together, and how they find each other.
    "ranks": {"errors"},
    # What files and settings hold is checked in one place, with one way of saying what is wrong.
    "checking": {"errors"},
    # Knows ids, hosts and caches; what is in the files is for other rooms.
    "hub": {"errors"},
    "prompting": {"checking", "errors", "backbones", "data"},
    "data": {"checking", "errors", "hub", "backbones"},
    "backbones": {"checking", "errors", "hub"},
    "strategies": {"checking", "errors", "backbones", "data", "prompting"},
    "nn": {"backbones", "strategies"},
    "hooks": {"errors", "version", "backbones", "strategies", "data", "prompting", "runs"},
    "training": {"errors", "interrupts", "ranks", "backbones", "data", "evaluation", "nn"},
    "evaluation": {"checking", "errors", "data"},
    # Writes texts with a prompted model; knows nothing of how it learnt.
    "generation": {"errors", "interrupts", "backbones", "nn", "prompting"},
    "runs": {"checking", "errors", "version", "data"},
    # Figures, plots of figures, words about both: each knows those before it.
    "analysis": {"errors", "evaluation", "runs"},
    "drawing": {"analysis", "runs"},
    "reports": {"errors", "analysis", "drawing", "runs"},
    "running": {
        "checking", "errors", "interrupts", "ranks", "version", "hooks", "hub", "data", "prompting", "backbones",
        "strategies", "nn", "training", "evaluation", "generation", "runs",
    },
    # What a prompt has learnt is read from runs; nothing there trains.
    "inspection": {
        "errors", "hooks", "hub", "backbones", "evaluation", "nn", "prompting", "running", "runs", "drawing",
    },
    # The comparison starts runs in processes of their own; only its worker knows the runner.
    "comparison": {
        "checking", "errors", "interrupts", "version", "hooks", "data", "prompting", "evaluation", "running", "runs",
    },
    # Looks at everything that is installed, and lets it compute a little.
    "doctor": {
        "errors", "hooks", "data", "prompting", "backbones", "strategies", "training",
    },
    # Writes plugins, from templates; knows nothing of what they do.
    "scaffolding": {"checking", "errors", "version", "runs"},
    # For the tests of plugins: runs them through every other room, and no other room knows it.
    "testing": {
        "checking", "errors", "hooks", "data", "prompting", "backbones", "strategies", "nn", "running",
    },
    "cli": {
        "checking", "errors", "interrupts", "ranks", "version", "hooks", "data", "prompting", "backbones",
        "strategies", "running", "runs", "comparison", "analysis", "reports", "drawing", "inspection", "scaffolding",
        "doctor",
    },
}  # fmt: skip
# The package's own names, and `python -m promptkit`, lead to every room.
DOORS = {"__init__", "__main__"}


def modules(path: Path) -> set[str]:
    """Return the modules that a file imports, for type checkers alone too."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: an import that does not say from where"
            assert node.module
            names.add(node.module)
            # `from promptkit import running` leads into a room as well.
            names |= {f"promptkit.{alias.name}" for alias in node.names} if node.module == "promptkit" else set()
    return names


def imported(path: Path) -> set[str]:
    """Return the rooms of promptkit that a file imports."""
    return {name.split(".")[1] for name in modules(path) if name.startswith("promptkit.")}


def test_every_room_has_its_walls() -> None:
    rooms = {path.stem for path in PACKAGE.glob("*.py")} | {
        path.parent.name for path in PACKAGE.glob("*/__init__.py")
    }
    assert rooms - DOORS == set(ALLOWED)


@pytest.mark.parametrize("room", sorted(ALLOWED))
def test_a_room_imports_only_what_it_may(room: str) -> None:
    for path in [*(PACKAGE / room).rglob("*.py"), *PACKAGE.glob(f"{room}.py")]:
        assert imported(path) <= ALLOWED[room] | {room}, path.name


@pytest.mark.parametrize("room", ["analysis", "drawing", "reports", "inspection"])
def test_no_file_of_these_rooms_leads_back_to_itself(room: str) -> None:
    files = {
        f"promptkit.{room}.{path.stem}": path for path in (PACKAGE / room).glob("*.py") if path.stem != "__init__"
    }
    left = {name: modules(path) & set(files) for name, path in files.items()}
    while free := {name for name, needs in left.items() if not needs & set(left)}:
        left = {name: needs for name, needs in left.items() if name not in free}
    assert left == {}


def test_inspection_draws_with_what_drawing_hands_out() -> None:
    inside = {name for path in (PACKAGE / "inspection").glob("*.py") for name in modules(path)}
    assert not {name for name in inside if name.startswith("promptkit.drawing.")}


LIGHT = (
    "promptkit", "promptkit.checking", "promptkit.prompting", "promptkit.data", "promptkit.backbones.face",
    "promptkit.hooks", "promptkit.hub", "promptkit.runs", "promptkit.evaluation", "promptkit.analysis",
    "promptkit.drawing", "promptkit.reports", "promptkit.inspection", "promptkit.comparison", "promptkit.cli",
    "promptkit.scaffolding", "promptkit.testing", "promptkit.doctor",
)  # fmt: skip
HEAVY = ("mindspore", "evaluate", "datasets", "sklearn", "scipy", "matplotlib", "distributed", "torch")


@pytest.fixture(scope="module")
def brought() -> dict[str, list[str]]:
    """For each light module what heavy ones are there once it has been imported, one behind the other."""
    code = (
        "import importlib, json, sys\n"
        f"for name in {LIGHT}:\n"
        "    importlib.import_module(name)\n"
        f"    print(json.dumps([name, [each for each in {HEAVY} if each in sys.modules]]))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return dict(json.loads(line) for line in found.stdout.splitlines())


@pytest.mark.parametrize("module", LIGHT)
def test_light_rooms_import_nothing_heavy(brought: dict[str, list[str]], module: str) -> None:
    assert brought[module] == []


def test_no_file_is_longer_than_a_sitting() -> None:
    for folder in (PACKAGE, PACKAGE.parent / "plugins", PACKAGE.parent / "tests"):
        for path in folder.rglob("*.py"):
            assert len(path.read_text(encoding="utf-8").splitlines()) < 400, path
