"""Fixtures of the data room."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from promptkit.data import Example, Task

SHARED = Path(__file__).resolve().parents[2] / ".." / "shared" / "data"


@pytest.fixture
def shared() -> Callable[[str], Path]:
    """Return the folder of a real data set, or skip the test where it is not there."""

    def find(name: str) -> Path:
        folder = SHARED / name
        if not folder.is_dir():
            pytest.skip(f"the real data set '{name}' does not lie beside the repository")
        return folder

    return find


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, str | bytes], Path]:
    """Write a file below the temporary folder and return its path."""

    def write_file(name: str, content: str | bytes) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write_file


@pytest.fixture
def toy() -> Callable[..., Task]:
    """Build a task with so many examples a class: `toy(train={"a": 3, "b": 2}, dev=..., test=...)`."""

    def build(**counts: dict[str, int]) -> Task:
        splits = {
            split: tuple(
                Example(f"{split} {label} {i}", label)
                for label, count in counts.get(split, {"a": 1, "b": 1}).items()
                for i in range(count)
            )
            for split in ("train", "dev", "test")
        }
        return Task(name="toy", labels=("a", "b"), **splits)

    return build
