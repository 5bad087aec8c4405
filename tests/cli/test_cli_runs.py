"""`promptkit runs`, and runs of the store for `promptkit predict`."""

from __future__ import annotations

import errno
import json
import os
import shlex
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from command_line import Answer, Call
from fake_runs import add_baseline, add_run, cell, fake_record, write_directory

from promptkit.cli import app as cli_app
from promptkit.cli import main
from promptkit.runs import STORE_NAME, Store


@pytest.fixture
def filled(place: Path) -> Path:
    """A store with two runs, a baseline and a comparison that misses a run."""
    with Store.open(place / "runs") as store:
        add_run(store, "soft-001", "aa", seed=1)
        add_baseline(store, "majority", "bb", shots=None)
        add_run(store, "soft-full-002", shots=None, dev={"accuracy": None, "f1": None, "n": 0, "majority": None})
        cells = [cell("bb", strategy="majority", role="baseline"), cell("aa"), cell("cc", seed=2)]
        store.save_comparison("first", cells, spec={}, command=[])
    return place / "runs"


@pytest.fixture
def refused(call: Call) -> Callable[..., str]:
    """Run a command that must be refused; returns its one line."""

    def run(*arguments: object) -> str:
        answer: Answer = call(*arguments)
        assert (answer.code, answer.out) == (2, ""), answer
        assert answer.err.startswith("error: ")
        assert answer.err.count("\n") == 1
        return answer.err.removeprefix("error: ").strip()

    return run


def table_rows(text: str) -> list[list[str]]:
    """The cells of a table that is printed, columns apart by two spaces at least."""
    return [[part.strip() for part in line.split("  ") if part.strip()] for line in text.splitlines()]


def test_alone_it_shows_its_help(call: Call) -> None:
    answer = call("runs")
    assert (answer.code, answer.err) == (0, "")
    assert answer.out == call("runs", "--help").out == call("runs", "-h").out
    assert {"list", "show", "rm", "export"} <= set(answer.out.partition("Commands:")[2].split())


def test_no_store_and_an_empty_one_are_a_line_each(call: Call, place: Path) -> None:
    assert call("runs", "list") == Answer(0, "no runs: there is no store in 'runs'.\n", "")
    assert json.loads(call("runs", "list", "--json").out) == {"runs": [], "comparisons": []}
    assert list(place.iterdir()) == []
    Store.open(place / "runs").close()
    assert call("runs", "list") == Answer(0, "the store 'runs' is empty.\n", "")


def test_list_shows_runs_and_comparisons(call: Call, filled: Path) -> None:
    (filled / "soft-001" / "prompt.safetensors").unlink()
    rows = table_rows(call("runs", "list").out)
    date = "2024-05-01 12:30"
    assert rows[0] == ["id", "name", "strategy", "data", "shots", "seed", "dev", "test", "artifact", "created (UTC)"]
    assert rows[2] == ["1", "soft-001", "soft", "reviews-en", "16", "1", "62.5 %", "75.0 %", "deleted", date]
    assert rows[3] == ["2", "majority", "majority", "reviews-en", "full", "0", "62.5 %", "75.0 %", "-", date]
    assert rows[4] == ["3", "soft-full-002", "soft", "reviews-en", "full", "0", "-", "75.0 %", "15.5 KB", date]
    assert rows[6] == ["comparison", "finished", "created (UTC)"]
    assert rows[8][:2] == ["first", "2 of 3"]


def test_list_takes_a_comparison_and_another_folder(call: Call, filled: Path, refused: Callable[..., str]) -> None:
    filled.rename("elsewhere")
    rows = table_rows(call("runs", "list", "--comparison", "first", "--store", "elsewhere").out)
    assert [row[1] for row in rows[2:4]] == ["majority", "soft-001"]
    message = refused("runs", "list", "--comparison", "frist", "--store", "elsewhere")
    assert "no comparison 'frist' in 'elsewhere'. Did you mean 'first'?" in message
    assert "there is no store in 'runs'" in refused("runs", "list", "--comparison", "first")


def test_list_as_json(call: Call, filled: Path) -> None:
    data = json.loads(call("runs", "list", "--json").out)
    assert [run["id"] for run in data["runs"]] == [1, 2, 3]
    assert data["runs"][0] == {
        "id": 1,
        "name": "soft-001",
        "key": "aa",
        "kind": "run",
        "strategy": "soft",
        "data": "reviews-en",
        "shots": 16,
        "seed": 1,
        "dev": 0.625,
        "test": 0.75,
        "created": "2024-05-01T12:30:45+00:00",
        "directory": str(filled / "soft-001"),
        "artifact": str(filled / "soft-001" / "prompt.safetensors"),
    }
    assert (data["runs"][1]["kind"], data["runs"][1]["directory"], data["runs"][1]["artifact"]) == (
        "baseline",
        None,
        None,
    )
    (comparison,) = data["comparisons"]
    assert {key: comparison[key] for key in ("name", "finished", "whole", "missing")} == {
        "name": "first",
        "finished": 2,
        "whole": 3,
        "missing": 1,
    }


def test_show_says_everything(call: Call, filled: Path) -> None:
    text = call("runs", "show", "soft-001").out
    assert text == call("runs", "show", "1").out
    rows = table_rows(text)
    for row in (
        ["run", "1"],
        ["comparisons", "first"],
        ["files", "runs/soft-001"],
        ["artifact", "runs/soft-001/prompt.safetensors"],
        ["strategy", "soft"],
        ["templates", "{soft:10}{text} It was {mask}."],
        ["tokens", "10"],
        ["shots", "16"],
        ["clean", "false"],
        ["name", "reviews-en"],
        ["labels", "negative"],
        ["labels", "positive"],
        ["note", "dev was carved from train"],
        ["architecture", "bert"],
        ["split", "accuracy", "f1", "n", "majority"],
        ["dev", "62.5 %", "60.0 %", "32", "50.0 %"],
        ["test", "75.0 %", "74.0 %", "6", "50.0 %"],
        ["prompt", "3,840"],
        ["artifact", "15.5 KB"],
        ["train, s", "10"],
        ["history: 2 epochs, the best by dev is epoch 2"],
        ["0", "2", "0.5", "62.5 %", "0.625", "0"],
        ["the second"],
    ):
        assert row in rows, row


def test_show_of_a_baseline_and_as_json(call: Call, filled: Path) -> None:
    rows = table_rows(call("runs", "show", "majority").out)
    assert ["files", "none: it is a baseline"] in rows
    assert ["summary", "the most frequent label"] in rows
    assert ["shots", "full"] in rows
    data = json.loads(call("runs", "show", "soft-001", "--json").out)
    assert data["record"] == json.loads((filled / "soft-001" / "run.json").read_text())
    assert (data["id"], data["comparisons"]) == (1, ["first"])


def test_a_deleted_artifact_is_one_line(call: Call, filled: Path, refused: Callable[..., str]) -> None:
    shutil.rmtree(filled / "soft-001")
    answer = call("runs", "show", "soft-001")
    assert answer.code == 0
    (line,) = [line for line in answer.out.splitlines() if "was deleted" in line]
    assert "'runs/soft-001/prompt.safetensors' was deleted" in line
    assert json.loads(call("runs", "show", "1", "--json").out)["artifact"] is None
    for reference in ("soft-001", "1", "runs/soft-001"):
        assert "'runs/soft-001/prompt.safetensors' was deleted" in refused("predict", reference, "good")


def test_predict_takes_a_run_of_the_store(
    call: Call, filled: Path, refused: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import promptkit.running.predictor

    class FoundError(Exception):
        """Carries what was to be loaded."""

    def load(path: Path, **_: Any) -> None:
        raise FoundError(path)

    monkeypatch.setattr(promptkit.running.predictor, "load", load)
    for reference in ("soft-001", "1"):
        with pytest.raises(FoundError) as caught:
            call("predict", reference, "good")
        assert caught.value.args == (filled / "soft-001",)
    filled.rename("elsewhere")
    with pytest.raises(FoundError) as caught:
        call("predict", "1", "good", "--store", "elsewhere")
    assert caught.value.args == (filled.parent / "elsewhere" / "soft-001",)
    assert "no store in 'runs' to look in; give the right one with --store DIR." in refused("predict", "1", "good")
    message = refused("predict", "soft-01", "good", "--store", "elsewhere")
    assert message.startswith("no path 'soft-01' exists, and there is no run 'soft-01' in the store 'elsewhere'.")


def test_rm_says_what_it_removed(call: Call, filled: Path, refused: Callable[..., str]) -> None:
    assert "no run 'soft-9'" in refused("runs", "rm", "soft-001", "soft-9")
    answer = call("runs", "rm", "soft-001", "3")
    assert answer == Answer(
        0,
        "removed run 1, soft-001\nremoved run 3, soft-full-002\ncomparison 'first' now has 1 of 3 runs.\n",
        "",
    )
    assert [path.name for path in filled.iterdir()] == [STORE_NAME]
    assert [row[1] for row in table_rows(call("runs", "list").out)[2:3]] == ["majority"]


def test_rm_spares_a_folder_that_holds_something_else(call: Call, filled: Path) -> None:
    shutil.rmtree(filled / "soft-001")
    write_directory(filled, "soft-001", fake_record(seed=9))
    answer = call("runs", "rm", "soft-001")
    assert "  'runs/soft-001' holds something else by now and was left alone.\n" in answer.out
    assert (filled / "soft-001" / "run.json").is_file()


def test_rm_forgets_a_comparison_and_keeps_its_runs(call: Call, filled: Path, refused: Callable[..., str]) -> None:
    for arguments in ([], ["1", "--comparison", "first"]):
        assert "give the runs to remove, or --comparison NAME" in refused("runs", "rm", *arguments)
    assert call("runs", "rm", "--comparison", "first").out == "forgot comparison 'first'; its runs stay.\n"
    assert "holds no comparison" in refused("runs", "rm", "--comparison", "first")
    assert len(json.loads(call("runs", "list", "--json").out)["runs"]) == 3


def test_export_takes_some_runs_or_all(call: Call, filled: Path, refused: Callable[..., str]) -> None:
    assert call("runs", "export", "--out", "all.jsonl").out == "wrote 3 runs to all.jsonl\n"
    assert call("runs", "export", "majority", "2", "--out", "one.csv").out == "wrote 1 run to one.csv\n"
    assert len(Path("all.jsonl").read_text().splitlines()) == 3
    assert len(Path("one.csv").read_text().splitlines()) == 2
    assert "exists; name another file" in refused("runs", "export", "--out", "one.csv")
    assert "has to end in one of" in refused("runs", "export", "--out", "one.xlsx")
    assert "no run 'x'" in refused("runs", "export", "x", "--out", "x.csv")
    assert "missing option '--out'" in refused("runs", "export").replace("Option ", "")
    shutil.rmtree(filled / "soft-001")
    answer = call("runs", "export", "--out", "all.zip")
    assert answer.out == "wrote 3 runs to all.zip\n"
    assert answer.err == "warning: the prompt of run 'soft-001' was deleted; what is left of the run was written.\n"


def test_export_of_nothing_is_refused(place: Path, refused: Callable[..., str]) -> None:
    Store.open(place / "runs").close()
    assert refused("runs", "export", "--out", "all.csv") == "the store 'runs' holds no runs to export."
    assert not Path("all.csv").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["lst"], "no such command 'lst'"),
        (["show"], "missing argument 'RUN'"),
        (["show", "soft-01"], "Did you mean 'soft-001'?"),
        (["show", "9" * 40], "there is no run '9999"),
        (["list", "--stor", "x"], "no such option '--stor'. Did you mean '--store'?"),
        (["show", "1", "--store", "nowhere"], "there is no store in 'nowhere'"),
        (["rm", "1", "--store", "nowhere"], "there is no store in 'nowhere'"),
        (["export", "--out", "x.csv", "--store", "nowhere"], "there is no store in 'nowhere'"),
    ],
)
def test_wrong_usage(filled: Path, refused: Callable[..., str], arguments: list[str], message: str) -> None:
    assert message in refused("runs", *arguments)


def test_a_store_in_trouble_is_one_line(filled: Path, refused: Callable[..., str]) -> None:
    with sqlite3.connect(filled / STORE_NAME) as raw:
        raw.execute("PRAGMA user_version = 99")
    raw.close()
    assert "made by a newer promptkit" in refused("runs", "list")
    assert "made by a newer promptkit" in refused("predict", "soft-001", "good")
    (filled / STORE_NAME).write_bytes(b"garbage " * 1000)
    assert "is not a SQLite file" in refused("runs", "list")


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS])
def test_a_disk_that_refuses_is_one_line_in_every_command(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def fail(_: list[str]) -> int:
        raise OSError(number, os.strerror(number), "runs/.soft-001.partial-7-00000000/run.json")

    monkeypatch.setattr(cli_app, "execute", fail)
    assert main(["run"]) == 2
    captured = capfd.readouterr()
    assert captured.err.startswith("error: cannot write 'runs/soft-001/run.json': ")
    assert "Finished runs are kept" in captured.err
    assert captured.err.count("\n") == 1


def test_any_other_error_of_the_system_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: list[str]) -> int:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(cli_app, "execute", fail)
    with pytest.raises(OSError, match="Input/output error"):
        main(["run"])


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full")
def test_standard_output_on_a_full_disk_is_one_line() -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "promptkit", "--help"], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert done.returncode == 2
    assert done.stderr.startswith("error: cannot write: no space is left on the disk.")
    assert done.stderr.count("\n") == 1


def test_the_command_that_is_shown_can_be_pasted(call: Call, place: Path) -> None:
    command = ("promptkit", "run", "--strategy", "soft", "--template", "{text} It's {mask}.", "--data", "my film.tsv")
    with Store.open(place / "runs") as store:
        add_run(store, "soft-001", command=command)
    line = next(line for line in call("runs", "show", "soft-001").out.splitlines() if "promptkit run" in line)
    assert shlex.split(line)[1:] == list(command)
