"""The tutorial is run: its commands one after the other in one empty folder, as a reader would."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

PAGE = Path(__file__).resolve().parents[2] / "docs" / "tutorial.md"
# What a reader's `promptkit` stands for here: the same command line, but trained for one epoch where it trains.
ONE_EPOCH = """#!{python}
import sys
from promptkit.cli import main
if sys.argv[1] in ("run", "compare"):
    sys.argv += ["--epochs", "1"]
sys.exit(main())
"""


@dataclass(frozen=True)
class Step:
    """A command of the page, and the lines of its answer that the page shows."""

    command: str
    shown: tuple[str, ...]


def steps(page: str) -> list[Step]:
    """Read the blocks marked `console`: a command behind `$ `, goes on after a backslash, then what it answers."""
    found = []
    for block in re.findall(r"^```console\n(.*?)^```", page, re.MULTILINE | re.DOTALL):
        for part in re.split(r"^\$ ", block.replace("\\\n", " "), flags=re.MULTILINE)[1:]:
            command, *shown = part.splitlines()
            found.append(Step(command, tuple(line for line in shown if line.strip())))
    return found


def outside_blocks(page: str) -> str:
    return re.sub(r"^```.*?^```", "", page, flags=re.MULTILINE | re.DOTALL)


def named_files(page: str) -> set[str]:
    """What the text says there is: paths in `runs/`, and names with the ending of a file."""
    return set(re.findall(r"`(runs/[^`\s]+|[\w.-]+\.(?:html|json|md|safetensors|tsv))`", outside_blocks(page)))


def test_blocks_are_read_as_they_are_meant():
    page = "```console\n$ a b \\\n    c\nx\n$ d\n```\n\n```\n$ not this\n```\n"
    assert steps(page) == [Step("a b      c", ("x",)), Step("d", ())]


def test_the_page_goes_from_preview_to_predict():
    commands = [step.command.split()[1] for step in steps(PAGE.read_text(encoding="utf-8"))]
    wanted = ["preview", "run", "run", "run", "compare", "runs", "report", "inspect", "inspect", "predict"]
    assert [it for it in commands if it in wanted] == wanted


def test_no_figure_stands_in_the_text_unless_a_command_has_it():
    page = PAGE.read_text(encoding="utf-8")
    assert not re.findall(r"\d+(?:\.\d+)? ?%|\d+\.\d+ ?(?:s|MB|KB)\b", outside_blocks(page))


@pytest.fixture
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """One in which `promptkit` trains for one epoch: how well it learns is for other tests."""
    folder = tmp_path_factory.mktemp("bin")
    (folder / "promptkit").write_text(ONE_EPOCH.format(python=sys.executable), encoding="utf-8")
    (folder / "promptkit").chmod(0o755)
    return {**os.environ, "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}", "PROMPTKIT_NO_PLUGINS": "1"}


@pytest.mark.slow
def test_every_command_runs_and_every_file_is_there(tmp_path, environment):
    page = PAGE.read_text(encoding="utf-8")
    for step in steps(page):
        result = subprocess.run(
            step.command, shell=True, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert result.returncode == 0, f"{step.command}\n{result.stderr}"
        assert "Traceback" not in result.stderr
        if step.command.startswith("promptkit run "):
            assert os.listdir(tmp_path) == ["runs"]
        answered = iter(result.stdout.splitlines())
        for line in step.shown:
            assert line in answered, f"{step.command} does not answer, in this order: {line}"
    record = json.loads((tmp_path / "runs/soft-reviews-en-full-s0-001/run.json").read_text(encoding="utf-8"))
    assert record["test"]["accuracy"] > record["test"]["majority"] + 0.1
    names = named_files(page)
    assert len(names) > 5
    for name in names:
        assert (tmp_path / name).exists() or list(tmp_path.glob(f"runs/*/{name}")), name
