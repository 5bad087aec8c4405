"""A run directory is there whole or not at all, and two runs never meet in one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from promptkit.errors import UserError
from promptkit.runs import RunDirectory
from promptkit.runs.files import folder_name

REPOSITORY = Path(__file__).resolve().parents[2]


def fill(directory: RunDirectory, text: str = "{}") -> RunDirectory:
    directory.file("run.json").write_text(text)
    return directory


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_out_appears_whole_at_commit_and_not_before(tmp_path: Path) -> None:
    out = tmp_path / "deep" / "mine"
    with RunDirectory.create(out, "soft") as directory:
        fill(directory)
        assert not out.exists()
        assert directory.path is None
        assert directory.commit() == out
        assert directory.path == out
    assert names(out.parent) == ["mine"]
    assert (out / "run.json").read_text() == "{}"


def test_without_out_runs_are_numbered_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for _ in range(2):
        fill(RunDirectory.create(None, "soft reviews/en")).commit()
    assert names(tmp_path / "runs") == ["soft-reviews-en-001", "soft-reviews-en-002"]
    (tmp_path / "runs" / "soft-reviews-en-041").mkdir()
    (tmp_path / "runs" / "soft-reviews-en-077.txt").touch()
    (tmp_path / "runs" / "soft-reviews-enough-099").mkdir()
    assert fill(RunDirectory.create(None, "soft reviews/en")).commit().name == "soft-reviews-en-042"


def test_the_working_directory_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rename would take its place, and the shell would stand in a folder that is gone."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    for out in (".", "../here", str(tmp_path / "here")):
        with pytest.raises(UserError, match="is the working directory; name a directory inside it"):
            RunDirectory.create(Path(out), "soft")
    assert names(tmp_path / "here") == []


def test_an_existing_out_is_refused_and_left_as_it_was(tmp_path: Path) -> None:
    full, file = tmp_path / "full", tmp_path / "file"
    full.mkdir()
    (full / "run.json").write_text("old")
    file.write_text("old")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(UserError, match="loop' cannot be used: a loop of links"):
        RunDirectory.create(tmp_path / "loop", "run")
    (tmp_path / "loop").unlink()
    with pytest.raises(UserError, match="exists and is not empty"):
        RunDirectory.create(full, "soft")
    with pytest.raises(UserError, match="exists and is not a directory"):
        RunDirectory.create(file, "soft")
    with pytest.raises(UserError, match="cannot write to"):
        RunDirectory.create(file / "below", "soft")
    assert names(tmp_path) == ["file", "full"]
    assert (full / "run.json").read_text() == file.read_text() == "old"


def test_an_empty_out_is_taken_also_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "link").symlink_to("empty")
    fill(RunDirectory.create(tmp_path / "link", "soft")).commit()
    assert names(tmp_path / "empty") == ["run.json"]


@pytest.mark.parametrize(
    ("stem", "name"),
    [
        ("soft-reviews-en-16shot-s0", "soft-reviews-en-16shot-s0"),
        ("soft-glue/sst2-full-s0", "soft-glue-sst2-full-s0"),
        ("../../etc\0\n", "etc"),
        ("..", "run"),
        ("好" * 100, "好" * 60),
    ],
)
def test_a_folder_name_is_made_of_anything(tmp_path: Path, stem: str, name: str) -> None:
    assert folder_name(stem) == name
    with RunDirectory.create(None, stem, runs=tmp_path) as directory:
        directory.file("run.json").write_text("{}")
        assert directory.commit() == tmp_path / f"{name}-001"


@pytest.mark.parametrize("failure", [KeyboardInterrupt, SystemExit, RuntimeError])
def test_an_exception_in_the_middle_leaves_nothing(tmp_path: Path, failure: type[BaseException]) -> None:
    def interrupted() -> None:
        with RunDirectory.create(tmp_path / "deep" / "mine", "soft") as directory:
            fill(directory)
            raise failure

    with pytest.raises(failure):
        interrupted()
    assert names(tmp_path) == []


def test_leaving_without_commit_leaves_nothing_and_spares_others(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    with RunDirectory.create(None, "soft", runs=runs) as directory:
        fill(directory)
        (runs / "of-someone-else").touch()
    assert names(runs) == ["of-someone-else"]


def test_an_exception_after_commit_keeps_the_run(tmp_path: Path) -> None:
    def late() -> None:
        with RunDirectory.create(tmp_path / "mine", "soft") as directory:
            fill(directory).commit()
            raise RuntimeError

    with pytest.raises(RuntimeError):
        late()
    assert names(tmp_path / "mine") == ["run.json"]


def test_an_empty_run_is_a_programming_error(tmp_path: Path) -> None:
    with (
        RunDirectory.create(tmp_path / "mine", "soft") as directory,
        pytest.raises(ValueError, match="without files"),
    ):
        directory.commit()
    assert names(tmp_path) == []


def test_an_out_that_comes_into_being_meanwhile_is_spared_and_the_run_kept(tmp_path: Path) -> None:
    out = tmp_path / "mine"
    first, second = fill(RunDirectory.create(out, "a"), "1"), fill(RunDirectory.create(out, "a"), "2")
    with first, second:
        first.commit()
        with pytest.raises(UserError, match=r"came into being .* this run is in '.*mine-001'"):
            second.commit()
    assert (out / "run.json").read_text() == "1"
    assert (tmp_path / "mine-001" / "run.json").read_text() == "2"
    assert names(tmp_path) == ["mine", "mine-001"]


def test_parallel_runs_get_a_directory_each(tmp_path: Path) -> None:
    count = 16
    together = Barrier(count)

    def one(number: int) -> Path:
        with RunDirectory.create(None, "soft", runs=tmp_path / "runs") as directory:
            fill(directory, str(number))
            together.wait(timeout=30)
            return directory.commit()

    with ThreadPoolExecutor(count) as pool:
        paths = list(pool.map(one, range(count)))
    assert sorted(path.name for path in paths) == [f"soft-{number:03d}" for number in range(1, count + 1)]
    assert [(path / "run.json").read_text() for path in paths] == [str(number) for number in range(count)]


CHILD = """
import sys, time
from pathlib import Path
from promptkit.runs import RunDirectory
with RunDirectory.create(Path(sys.argv[1]), "soft") as directory:
    directory.file("run.json").write_text("{")
    print("writing", flush=True)
    time.sleep(60)
    directory.commit()
"""


@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGINT])
def test_a_process_killed_in_the_middle_leaves_nothing_under_the_name(tmp_path: Path, sent: signal.Signals) -> None:
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY)}
    out = tmp_path / "mine"
    with subprocess.Popen(
        [sys.executable, "-c", CHILD, str(out)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment,
        text=True,
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "writing\n"
        child.send_signal(sent)
        assert child.wait(timeout=30) != 0
    left = names(tmp_path)
    if sent == signal.SIGINT:
        assert left == []
    assert all(name.startswith(".mine.partial-") for name in left)
    # The leftovers of the killed one do not stand in the way of the next.
    assert fill(RunDirectory.create(out, "soft")).commit() == out


def test_a_place_that_cannot_be_written_to_is_found_before_the_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from promptkit.running.config import make_config
    from promptkit.running.runner import _check_places

    places = ({"out": tmp_path / "a/b"}, {"store": tmp_path / "a/c"})
    configs = [make_config(strategy="hard", **place) for place in places]
    for config in configs:
        _check_places(config)
    assert not list(tmp_path.iterdir()), "it only looks"
    monkeypatch.setattr("promptkit.runs.faults.os.access", lambda *_, **__: False)
    for config in configs:
        with pytest.raises(
            UserError, match=f"^cannot write to the folder '{tmp_path}'. Make it writable or name another one"
        ):
            _check_places(config)


def test_what_is_put_into_place_is_on_the_disk_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a loss of power a directory under its name must not hold empty files."""
    synced: set[int] = set()
    sync, rename = os.fsync, os.rename

    def note(descriptor: int) -> None:
        synced.add(os.fstat(descriptor).st_ino)
        sync(descriptor)

    def check(source: Path, target: Path) -> None:
        assert {each.stat().st_ino for each in (source, *source.rglob("*"))} <= synced
        rename(source, target)

    monkeypatch.setattr(os, "fsync", note)
    monkeypatch.setattr(os, "rename", check)
    directory = fill(RunDirectory.create(tmp_path / "mine", "soft"))
    directory.file("prompt.safetensors").write_bytes(b"1")
    assert directory.commit().stat().st_ino in synced
