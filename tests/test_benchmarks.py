"""What a benchmark could not finish with it refuses before it measures anything."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def python_that(path: Path, does: str) -> Path:
    path.write_text(f"#!/bin/sh\n{does}\n")
    path.chmod(0o755)
    return path


def refusal(folder: Path, *arguments: object) -> str:
    """Return the line that the benchmark ends with; it measures nothing, for it would take minutes."""
    done = subprocess.run(
        [sys.executable, str(ROOT / "benchmarks" / "peft.py"), *map(str, arguments)],
        capture_output=True, text=True, cwd=folder, timeout=60,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "plugins")])},
    )  # fmt: skip
    assert done.returncode == 2, done.stderr
    return done.stderr.splitlines()[-1]


def test_a_python_that_is_not_there_or_lacks_a_package(tmp_path: Path) -> None:
    python_that(tmp_path / "bare", "echo \"ModuleNotFoundError: No module named 'torch'\" >&2; exit 1")
    assert refusal(tmp_path, "--torch-python", "absent") == "error: --torch-python: there is no program 'absent'."
    assert refusal(tmp_path, "--torch-python", "./bare") == (
        "error: --torch-python: './bare' cannot run PyTorch's side: ModuleNotFoundError: No module named 'torch'"
    )


def test_a_python_that_has_everything_is_taken_and_the_data_is_looked_at_next(tmp_path: Path) -> None:
    python_that(tmp_path / "full", "exit 0")
    assert "no file or folder 'absent.csv'" in refusal(tmp_path, "--torch-python", "./full", "--data", "absent.csv")


@pytest.mark.parametrize("option", ["--out", "--markdown"])
def test_a_file_that_cannot_be_written(tmp_path: Path, option: str) -> None:
    (tmp_path / "folder").mkdir()
    python = ("--torch-python", python_that(tmp_path / "full", "exit 0"))
    assert refusal(tmp_path, *python, option, "missing/x") == (
        "error: there is no folder 'missing' to write 'x' into."
    )
    assert refusal(tmp_path, *python, option, "folder") == "error: 'folder' is a folder; name a file."
