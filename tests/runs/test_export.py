"""An export holds every run, under the names of `run.json`, and its file is whole or not there."""

from __future__ import annotations

import csv
import errno
import io
import json
import os
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_runs import add_baseline, add_run

from promptkit.errors import UserError
from promptkit.runs import RunRecord, Store, StoredRun, export_runs
from promptkit.runs.baseline import BaselineRecord


@pytest.fixture
def runs(tmp_path: Path) -> Iterator[list[StoredRun]]:
    """Two runs and a baseline."""
    with Store.open(tmp_path / "runs") as store:
        add_run(store, "soft-001", "ab", seed=1, warnings=["one\u2028line", '"quoted", twice'])
        add_baseline(store, "majority", "cd", shots=None, settings={"ngrams": [1, 2]})
        add_run(
            store, "soft-002", shots=None, test={"accuracy": None, "f1": 0.5, "n": 6, "majority": 0.5, "mcc": 0.1}
        )
        yield store.runs()


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_csv_is_a_row_a_run_with_one_column_for_one_thing(runs: list[StoredRun], tmp_path: Path) -> None:
    assert export_runs(runs, tmp_path / "runs.csv") == []
    text = (tmp_path / "runs.csv").read_text(encoding="utf-8")
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    assert [row["id"] for row in rows] == ["1", "2", "3"]
    assert [row["kind"] for row in rows] == ["run", "baseline", "run"]
    assert [row["key"] for row in rows] == ["ab", "cd", ""]
    assert [row["options.strategy"] for row in rows] == ["soft", "majority", "soft"]
    assert [row["options.shots"] for row in rows] == ["16", "", ""]
    assert [row["options.seed"] for row in rows] == ["1", "0", "0"]
    assert [row["options.strategy_options.tokens"] for row in rows] == ["10", "", "10"]
    assert [row["test.accuracy"] for row in rows] == ["0.75", "0.75", ""]
    assert [row["test.mcc"] for row in rows] == ["", "", "0.1"]
    assert [row["cost.seconds.train"] for row in rows] == ["10.0"] * 3
    assert [row["options.clean"] for row in rows] == ["false", "", "false"]
    assert json.loads(rows[0]["warnings"]) == ["one\u2028line", '"quoted", twice']
    assert json.loads(rows[1]["settings.ngrams"]) == [1, 2]
    assert "\r" not in text


def test_jsonl_is_an_object_a_run(runs: list[StoredRun], tmp_path: Path) -> None:
    export_runs(runs, tmp_path / "runs.jsonl")
    lines = (tmp_path / "runs.jsonl").read_text(encoding="utf-8").splitlines()
    found = [json.loads(line) for line in lines]
    assert [each["name"] for each in found] == ["soft-001", "majority", "soft-002"]
    assert found[0]["test.accuracy"] == 0.75
    assert found[0]["warnings"] == ["one\u2028line", '"quoted", twice']
    assert found[0]["task.labels"] == ["negative", "positive"]
    assert found[2]["test.accuracy"] is None
    assert not any(isinstance(value, dict) for each in found for value in each.values())


def test_zip_holds_the_directories_and_the_records_of_what_has_none(runs: list[StoredRun], tmp_path: Path) -> None:
    assert runs[2].directory is not None
    shutil.rmtree(runs[2].directory)
    assert export_runs(runs, tmp_path / "runs.zip") == [
        "the prompt of run 'soft-002' was deleted; what is left of the run was written."
    ]
    with zipfile.ZipFile(tmp_path / "runs.zip") as archive:
        assert archive.testzip() is None
        assert archive.namelist() == [
            "soft-001/predictions.tsv",
            "soft-001/prompt.safetensors",
            "soft-001/run.json",
            "majority/baseline.json",
            "soft-002/run.json",
        ]
        for name in ("predictions.tsv", "prompt.safetensors", "run.json"):
            assert archive.read(f"soft-001/{name}") == (tmp_path / "runs" / "soft-001" / name).read_bytes()
        assert BaselineRecord.from_json(archive.read("majority/baseline.json").decode()) == runs[1].record
        assert RunRecord.from_json(archive.read("soft-002/run.json").decode()) == runs[2].record


def test_zip_follows_no_link_out_of_a_run(
    runs: list[StoredRun], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    secret, folder = tmp_path / "secret", tmp_path / "runs" / "soft-001"
    (secret / "within").mkdir(parents=True)
    (secret / "key").write_text("private")
    (folder / "away").symlink_to(secret / "key")
    (folder / "folder").symlink_to(secret)
    (folder / "nowhere").symlink_to("absent")
    (folder / "loop").symlink_to("loop")
    (folder / "inside").symlink_to("run.json")
    (folder / "run.json").rename(secret / "run.json")
    (folder / "run.json").symlink_to(secret / "run.json")
    missing = export_runs(runs[:1], tmp_path / "runs.zip")
    assert missing == [
        f"'runs/soft-001/{name}' is a symbolic link to no file of the run's folder and was left out."
        for name in ("away", "folder", "inside", "loop", "nowhere", "run.json")
    ]
    with zipfile.ZipFile("runs.zip") as archive:
        assert archive.namelist() == [
            "soft-001/predictions.tsv", "soft-001/prompt.safetensors", "soft-001/run.json",
        ]  # fmt: skip
        assert RunRecord.from_json(archive.read("soft-001/run.json").decode()) == runs[0].record


def test_a_run_folder_that_is_itself_a_link_is_archived_whole(runs: list[StoredRun], tmp_path: Path) -> None:
    folder = tmp_path / "runs" / "soft-001"
    folder.rename(tmp_path / "other-disk")
    folder.symlink_to(tmp_path / "other-disk")
    (folder / "again").symlink_to("predictions.tsv")
    assert export_runs(runs[:1], tmp_path / "runs.zip") == []
    with zipfile.ZipFile(tmp_path / "runs.zip") as archive:
        assert [name.partition("/")[2] for name in archive.namelist()] == [
            "again", "predictions.tsv", "prompt.safetensors", "run.json",
        ]  # fmt: skip


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n", "＝"])
def test_csv_holds_no_text_that_a_spreadsheet_executes(tmp_path: Path, start: str) -> None:
    nasty = f"{start}HYPERLINK(1)"
    with Store.open(tmp_path / "runs") as store:
        settings = {nasty: nasty, "negative": -1.5, "text": "-1e-3", "word": "plain"}
        add_baseline(store, "tfidf", "ab", shots=None, settings=settings)
        export_runs(store.runs(), tmp_path / "runs.csv")
        export_runs(store.runs(), tmp_path / "runs.jsonl")
    text = (tmp_path / "runs.csv").read_bytes().decode()
    (row,) = csv.DictReader(io.StringIO(text, newline=""))
    assert row[f"settings.{nasty}"] == f"'{nasty}"
    assert (row["settings.negative"], row["settings.text"], row["settings.word"]) == ("-1.5", "-1e-3", "plain")
    assert json.loads((tmp_path / "runs.jsonl").read_text())[f"settings.{nasty}"] == nasty


def test_a_file_of_before_1980_can_be_archived(runs: list[StoredRun], tmp_path: Path) -> None:
    os.utime(runs[0].artifact(), (0, 0))
    export_runs(runs[:1], tmp_path / "runs.zip")
    assert zipfile.is_zipfile(tmp_path / "runs.zip")


@pytest.mark.parametrize("name", ["runs", "runs.txt", "runs.CSV", ".csv"])
def test_another_suffix_is_refused(runs: list[StoredRun], tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match=r"has to end in one of \.csv, \.jsonl, \.zip"):
        export_runs(runs, tmp_path / name)
    assert names(tmp_path) == ["runs"]


def test_a_file_that_exists_is_refused_and_left_alone(runs: list[StoredRun], tmp_path: Path) -> None:
    (tmp_path / "runs.csv").write_text("mine")
    (tmp_path / "runs.zip").symlink_to("nowhere")
    for name in ("runs.csv", "runs.zip"):
        with pytest.raises(UserError, match=f"{name}' exists; name another file or remove it"):
            export_runs(runs, tmp_path / name)
    assert (tmp_path / "runs.csv").read_text() == "mine"


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "zip"])
def test_a_full_disk_leaves_nothing(
    runs: list[StoredRun], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(UserError, match="no space is left on the disk"):
        export_runs(runs, tmp_path / f"runs.{suffix}")
    assert names(tmp_path) == ["runs"]


def test_what_cannot_be_read_or_written_is_named(
    runs: list[StoredRun], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"^cannot write 'absent/runs\.csv': No such file or directory\.$"):
        export_runs(runs, Path("absent/runs.csv"))

    def fail(*_: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(tmp_path / "runs/soft-001/run.json"))

    monkeypatch.setattr(zipfile.ZipFile, "write", fail)
    with pytest.raises(UserError, match=r"'runs\.zip': 'runs/soft-001/run\.json': Permission denied"):
        export_runs(runs, Path("runs.zip"))
    assert names(tmp_path) == ["runs"]
