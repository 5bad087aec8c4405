"""The command line, called within the test's process, in an empty working directory."""

from __future__ import annotations

from pathlib import Path

import pytest
from command_line import Answer, Call, write_reviews
from models import GOLDENS

from promptkit.cli import main


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory."""
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    return work


@pytest.fixture
def call(capfd: pytest.CaptureFixture[str]) -> Call:
    """Run a command; what MindSpore's C++ writes to the streams is seen, too."""

    def run(*arguments: object) -> Answer:
        capfd.readouterr()
        code = main([str(argument) for argument in arguments])
        captured = capfd.readouterr()
        return Answer(code, captured.out, captured.err)

    return run


@pytest.fixture
def model() -> Path:
    """A checkpoint so small that a run takes a second."""
    return GOLDENS / "bert-short"


@pytest.fixture
def reviews(tmp_path: Path) -> Path:
    """A small data file, outside the working directory."""
    return write_reviews(tmp_path / "reviews.tsv")
