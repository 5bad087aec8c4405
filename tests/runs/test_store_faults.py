"""What the store answers when the file is not its own, locked, damaged, or the disk refuses: one line."""

from __future__ import annotations

import contextlib
import errno
import os
import random
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_runs import TRUTH, add_baseline, add_run, cell, fake_baseline, fake_record, write_directory

from promptkit.analysis import summarise
from promptkit.errors import UserError
from promptkit.reports import comparison_table
from promptkit.reports.sheet import comparison_list, run_list, run_sheet
from promptkit.runs import STORE_NAME, Store, export_runs
from promptkit.runs.faults import disk_fault, sqlite_faults

NOBODY = 65534


def refusal(folder: Path, *, create: bool = True) -> str:
    """Open a store that must be refused; returns the line."""
    with pytest.raises(UserError) as caught:
        Store.open(folder, create=create, timeout=0.05)
    message = str(caught.value)
    assert "\n" not in message
    return message


@pytest.fixture
def filled(tmp_path: Path) -> Path:
    """A folder with a store of one run and one baseline."""
    with Store.open(tmp_path / "runs") as store:
        add_run(store, "soft-001", "a")
        add_baseline(store, "majority", "b")
        store.save_comparison("one", [cell("a"), cell("b")], spec={}, command=[])
    return tmp_path / "runs"


def change(folder: Path, *statements: str) -> None:
    raw = sqlite3.connect(folder / STORE_NAME)
    for statement in statements:
        raw.execute(statement)
    raw.commit()
    raw.close()


def test_no_store_is_no_store_and_none_is_made(tmp_path: Path) -> None:
    assert "there is no store in" in refusal(tmp_path / "absent", create=False)
    (tmp_path / STORE_NAME).touch()
    assert "is empty" in refusal(tmp_path, create=False)
    assert (tmp_path / STORE_NAME).stat().st_size == 0
    assert not (tmp_path / "absent").exists()


def test_a_creation_that_was_cut_short_is_made_good(tmp_path: Path) -> None:
    (tmp_path / STORE_NAME).touch()
    with Store.open(tmp_path) as store:
        assert store.runs() == []


def test_a_newer_store_is_refused(filled: Path) -> None:
    change(filled, "PRAGMA user_version = 2")
    assert "version 2, made by a newer promptkit; this one reads version 1" in refusal(filled)
    assert "newer" in refusal(filled, create=False)


def test_a_database_of_someone_else_is_refused_and_left_as_it_was(tmp_path: Path) -> None:
    change(tmp_path, "CREATE TABLE run (id INTEGER)")
    before = (tmp_path / STORE_NAME).read_bytes()
    assert "is a SQLite file, but not a store of promptkit" in refusal(tmp_path)
    assert (tmp_path / STORE_NAME).read_bytes() == before


@pytest.mark.parametrize("size", [50, 100, 5000])
def test_garbage_is_refused_and_left_as_it_was(tmp_path: Path, size: int) -> None:
    garbage = bytes(number * 37 % 251 for number in range(size))
    (tmp_path / STORE_NAME).write_bytes(garbage)
    assert "is not a SQLite file" in refusal(tmp_path)
    assert (tmp_path / STORE_NAME).read_bytes() == garbage


def test_a_damaged_file_is_said_to_be_damaged(filled: Path) -> None:
    path = filled / STORE_NAME
    whole = path.read_bytes()
    path.write_bytes(whole[:4096])
    assert "is damaged" in refusal(filled)
    path.write_bytes(whole[:4096] + b"\xff" * (len(whole) - 4096))
    with Store.open(filled) as store, pytest.raises(UserError, match="is damaged"):
        store.runs()


def test_a_schema_of_another_format_is_one_line(filled: Path) -> None:
    path = filled / STORE_NAME
    whole = bytearray(path.read_bytes())
    # "Schema format number", of which SQLite knows 1 to 4.
    whole[44:48] = (9).to_bytes(4, "big")
    path.write_bytes(whole)
    assert "is of another format of SQLite's" in refusal(filled)


def test_a_table_or_a_value_that_is_gone_is_damage(filled: Path) -> None:
    change(filled, "UPDATE run SET truth = x'00' WHERE name = 'soft-001'")
    with Store.open(filled) as store, pytest.raises(UserError, match=r"run soft-001': the predictions are damaged"):
        store.runs()
    change(filled, "UPDATE run SET truth = predicted, record = '{' WHERE name = 'soft-001'")
    with (
        Store.open(filled) as store,
        pytest.raises(UserError, match="runs, run soft-001', line 1, column 2: not valid JSON"),
    ):
        store.find("1")
    change(filled, "DROP TABLE cell")
    with Store.open(filled) as store, pytest.raises(UserError, match="something is missing in it"):
        store.comparisons()


def test_a_locked_store_is_waited_for_and_then_refused(filled: Path) -> None:
    other = sqlite3.connect(filled / STORE_NAME, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    assert "is locked by another process" in refusal(filled)
    assert "is locked by another process" in refusal(filled, create=False)
    other.execute("ROLLBACK")
    with Store.open(filled, timeout=0.05) as store:
        other.execute("BEGIN IMMEDIATE")
        assert len(store.runs()) == 2, "a writer at work keeps no one from reading"
        with pytest.raises(UserError, match="is locked by another process"):
            add_baseline(store, "tfidf", "c")
        with pytest.raises(UserError, match="is locked by another process"):
            store.remove(["soft-001"])
        other.execute("ROLLBACK")
        assert len(store.runs()) == 2
        assert store.find("soft-001").artifact().is_file()
        assert add_baseline(store, "tfidf", "c").id == 3
    other.close()


def test_a_full_disk_keeps_what_is_finished_and_the_directory_can_be_adopted(filled: Path) -> None:
    record = fake_record(seed=1, warnings=["long " * 50_000])
    write_directory(filled, "soft-c", record)
    with Store.open(filled) as store:
        connection = store._database.connection
        connection.execute(f"PRAGMA max_page_count = {connection.execute('PRAGMA page_count').fetchone()[0]}")
        with pytest.raises(UserError, match=r"no space is left on the disk\. Finished runs are kept; free some"):
            store.add(record, TRUTH, TRUTH, name="soft-c", key="c")
        with pytest.raises(UserError, match="no space is left"):
            store.save_comparison("one", [cell(f"{number}") for number in range(5000)], spec={}, command=[])
        assert [run.key for run in store.runs()] == ["a", "b"]
        assert len(store.comparison("one").entries) == 2
        store.remove(["majority"])
    with Store.open(filled) as store:
        assert store.adopt("soft-c", key="c").record == record
        assert store._database.rows("PRAGMA integrity_check") == [("ok",)]


def test_removing_runs_makes_space_on_a_full_disk(filled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Store.open(filled) as store:
        transaction = store._database.transaction

        @contextlib.contextmanager
        def full_while_there_is_a_run(*_: object) -> Iterator[sqlite3.Connection]:
            with transaction() as connection:
                yield connection
                if (filled / "soft-001").exists() or list(filled.glob(".soft-001.removed-*")):
                    with sqlite_faults(filled):
                        raise sqlite3.OperationalError("database or disk is full")

        monkeypatch.setattr(store._database, "transaction", full_while_there_is_a_run)
        assert [run.name for run in store.remove(["soft-001"])] == ["soft-001"]
        assert [run.name for run in store.runs()] == ["majority"]
    assert [path.name for path in filled.iterdir()] == [STORE_NAME]


def test_a_disk_that_is_full_at_the_commit_undoes_a_removal(filled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "soft-001")

    monkeypatch.setattr(os, "rename", fail)
    with Store.open(filled) as store:
        with pytest.raises(UserError, match="no space is left on the disk"):
            store.remove(["soft-001"])
        assert store.find("soft-001").artifact().is_file()


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    assert "cannot make the folder" in refusal(tmp_path / "file")
    assert "it is a file" in refusal(tmp_path / "file")
    assert "Not a directory" in refusal(tmp_path / "file" / "below")

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system", str(tmp_path / "new"))

    monkeypatch.setattr(Path, "mkdir", full)
    assert "the file system is read-only" in refusal(tmp_path / "new")


@pytest.fixture
def powerless() -> Iterator[Path]:
    """A folder that everyone can reach and, from `drop` on, the process cannot write to."""
    folder = Path(tempfile.mkdtemp(prefix="promptkit-read-only-"))
    yield folder
    if os.getuid() == 0:
        os.seteuid(0)
    folder.chmod(0o755)
    shutil.rmtree(folder)


def drop(folder: Path) -> None:
    """Give up writing; root writes anywhere, so it becomes nobody."""
    folder.chmod(0o555)
    if os.getuid() == 0:
        os.seteuid(NOBODY)


def test_a_read_only_folder_can_be_read(powerless: Path) -> None:
    with Store.open(powerless) as store:
        add_run(store, "soft-001", "a")
    drop(powerless)
    with Store.open(powerless, create=False) as store:
        assert store.find("soft-001").key == "a"
        with pytest.raises(UserError, match=r"read-only|cannot be opened"):
            store.add(fake_baseline(), TRUTH, TRUTH, name="majority")
        with pytest.raises(UserError, match=r"read-only|cannot be opened"):
            store.remove(["soft-001"])
        assert store.find("soft-001").artifact().is_file()
    assert "cannot write to the folder" in refusal(powerless)


def test_a_store_cannot_be_made_in_a_read_only_folder(powerless: Path) -> None:
    drop(powerless)
    assert "cannot write to the folder" in refusal(powerless)
    assert "Permission denied" in refusal(powerless / "below")


def test_only_faults_of_the_disk_are_made_one_line() -> None:
    for number, said in (
        (errno.ENOSPC, "no space is left on the disk. Finished runs are kept"),
        (errno.EDQUOT, "the disk quota is used up. Finished runs are kept"),
        (errno.EROFS, "the file system is read-only. Finished runs are kept"),
    ):
        at = "runs/.soft-001.partial-12-0123abcd/run.json"
        assert str(disk_fault(OSError(number, "x", at))).startswith(f"cannot write 'runs/soft-001/run.json': {said}")
        assert str(disk_fault(OSError(number, "x"))).startswith(f"cannot write: {said}")
    assert disk_fault(FileNotFoundError(errno.ENOENT, "x")) is None


def test_a_bug_in_the_stores_own_sql_keeps_its_traceback(tmp_path: Path) -> None:
    with pytest.raises(sqlite3.OperationalError, match="syntax error"), sqlite_faults(tmp_path):
        sqlite3.connect(":memory:").execute("SELEC 1")
    with Store.open(tmp_path) as store:
        store.close()
        with pytest.raises(sqlite3.ProgrammingError, match="closed database"):
            store.runs()


def everything(folder: Path, out: Path) -> None:
    """Do with a store what the commands do."""
    with Store.open(folder, create=False) as store:
        run_list(store.runs())
        run_sheet(store.find("1"))
        comparison_list(store.comparisons())
        for suffix in (".csv", ".jsonl", ".zip"):
            export_runs(store.runs(), out.with_suffix(suffix))
            out.with_suffix(suffix).unlink()
        comparison_table(summarise(store.comparison("one")))


def remove(folder: Path) -> None:
    with Store.open(folder) as store:
        store.add(fake_baseline(seed=7), TRUTH, TRUTH, name="late", key="late")
        store.save_comparison("one", [cell("a"), cell("b")], spec={}, command=[])
        store.remove(["soft-001"])
        store.remove_comparison("one")


def damage(content: bytearray, draw: random.Random) -> bytearray:
    at, kind = draw.randrange(len(content)), draw.randrange(5)
    if kind == 0:
        return content[:at]
    if kind == 1:
        size = draw.choice([4, 40, 400])
        content[at : at + size] = draw.randbytes(len(content[at : at + size]))
    elif kind == 2:
        content[at] = draw.randrange(256)
    else:
        # In the header and the table of tables, or in what is there at all.
        first = draw.randrange(4096) if kind == 3 else draw.choice([n for n, byte in enumerate(content) if byte])
        content[first] = draw.randrange(256)
    return content


def test_any_damage_to_the_file_is_runs_or_one_line(filled: Path, tmp_path: Path) -> None:
    whole, draw = (filled / STORE_NAME).read_bytes(), random.Random(0)
    refused = 0
    for number in range(120):
        (filled / STORE_NAME).write_bytes(damage(bytearray(whole), draw))
        try:
            everything(filled, tmp_path / "out")
            if number % 5 == 0:
                remove(filled)
        except UserError as error:
            refused += 1
            assert len(str(error).splitlines()) == 1  # noqa: PT017
        if not (filled / "soft-001").exists():
            write_directory(filled, "soft-001", fake_record())
    assert refused > 30


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("UPDATE run SET name = '../soft-001' WHERE id = 1", "that is no name of a folder"),
        ("UPDATE run SET name = x'00ff' WHERE id = 1", "is damaged: name: Input should be a valid string"),
        ("UPDATE run SET name = CAST(x'ff' AS TEXT) WHERE id = 1", "a text in it is none"),
        ("UPDATE run SET record = x'00' WHERE id = 1", "is damaged: record: "),
        ("UPDATE run SET truth = 'x' WHERE id = 1", "is damaged: truth: "),
        ("UPDATE run SET predicted = zeroblob(8) WHERE id = 1", "the predictions are damaged"),
        ("UPDATE run SET predicted = zeroblob(20) || x'09000000' WHERE id = 1", "is damaged: predicted"),
        ("UPDATE run SET record = replace(record, ': 3840', ': \"x\"') WHERE id = 1", "parameters.prompt"),
        ("UPDATE comparison SET command = '3'", "a comparison is damaged: command: Input should be a valid list"),
        ("UPDATE comparison SET spec = '[]'", "a comparison is damaged: a JSON object is expected"),
        ("UPDATE comparison SET spec = '{\"notes\": 3}'", "a comparison is damaged: notes: "),
        ("UPDATE cell SET shots = 'some'", "a place of a comparison is damaged: shots: "),
        ("UPDATE cell SET role = x'00'", "a place of a comparison is damaged: role: "),
    ],
)  # fmt: skip
def test_rows_of_another_type_are_damage(filled: Path, tmp_path: Path, statement: str, said: str) -> None:
    change(filled, statement)
    with pytest.raises(UserError) as caught:
        everything(filled, tmp_path / "out")
    assert said in str(caught.value)


def test_a_store_that_is_a_pipe_or_a_folder_is_none(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / STORE_NAME)
    assert "is not a file" in refusal(tmp_path)
    (tmp_path / "other" / STORE_NAME).mkdir(parents=True)
    assert "is not a file" in refusal(tmp_path / "other", create=False)
