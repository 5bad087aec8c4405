"""`promptkit report`: comparisons of a store as tables, files and pages."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from command_line import Call
from fake_runs import add_baseline, add_run, cell

from promptkit.runs import Store


@pytest.fixture(autouse=True)
def store(place: Path) -> Path:
    """A store with two comparisons of the same baseline and runs; `second` is the latest."""
    with Store.open(place / "runs") as opened:
        add_baseline(opened, "majority", "bb", shots=None)
        add_run(opened, "soft-1", "aa", seed=1)
        add_run(opened, "soft-2", "cc", seed=2, predicted=[0, 1, 0, 1, 0, 0])
        majority = cell("bb", strategy="majority", role="baseline", shots=None)
        places = [majority, cell("aa", seed=1), cell("cc", seed=2)]
        opened.save_comparison("first", places, spec={}, command=["promptkit", "compare"])
        opened.save_comparison("second", places[:2], spec={}, command=["promptkit", "compare"])
    return place / "runs"


def refused(call: Call, *arguments: object) -> str:
    answer = call("report", *arguments)
    assert (answer.code, answer.out) == (2, ""), answer
    assert answer.err.count("\n") == 1
    return answer.err.removeprefix("error: ").strip()


def seeds(text: str) -> list[str]:
    return [row["seeds"] for row in csv.DictReader(io.StringIO(text))]


def test_without_a_name_the_latest_is_printed(call: Call) -> None:
    assert seeds(call("report", "--format", "csv").out) == ["1", "1"]
    assert seeds(call("report", "first", "--format", "csv").out) == ["1", "2"]


def test_the_default_is_a_table_to_read(call: Call) -> None:
    answer = call("report", "first")
    assert answer.code == 0
    assert answer.err == ""
    assert answer.out.splitlines()[1].startswith("---")
    assert "majority class" in answer.out


def test_another_store(call: Call, store: Path, tmp_path: Path) -> None:
    store.rename(tmp_path / "elsewhere")
    assert "there is no store in 'runs'" in refused(call)
    assert seeds(call("report", "--store", tmp_path / "elsewhere", "--format", "csv").out) == ["1", "1"]


def test_every_ending_has_its_format_and_several_files_are_written_at_once(call: Call, place: Path) -> None:
    begins = {
        "a.html": "<!doctype html>",
        "deep/er/a.md": "| strategy",
        "a.tex": "\\begin{tabular}",
        "a.csv": "role,",
        "a.TXT": "strategy",
    }
    arguments = [argument for name in begins for argument in ("--out", name)]
    answer = call("report", "first", *arguments)
    assert (answer.code, answer.err) == (0, "")
    assert answer.out.splitlines() == [f"report:  {name}" for name in begins]
    for name, begin in begins.items():
        text = (place / name).read_text(encoding="utf-8")
        assert text.startswith(begin)
        assert text.endswith("\n")


def test_what_is_printed_is_what_is_written(call: Call, place: Path) -> None:
    for kind, name in (("md", "a.md"), ("html", "a.html")):
        assert call("report", "--out", name).code == 0
        assert call("report", "--format", kind).out == (place / name).read_text(encoding="utf-8")


def test_a_format_that_is_named_wins_over_the_ending(call: Call, place: Path) -> None:
    assert call("report", "--format", "csv", "--out", "table.dat", "--out", "table.md").code == 0
    assert (place / "table.dat").read_text() == (place / "table.md").read_text()
    assert (place / "table.md").read_text().startswith("role,")


def test_an_older_report_is_replaced_also_through_a_link(call: Call, place: Path) -> None:
    (place / "real.md").write_text("old")
    (place / "link.md").symlink_to("real.md")
    assert call("report", "--out", "link.md").code == 0
    assert (place / "link.md").is_symlink()
    assert (place / "real.md").read_text().startswith("| strategy")
    assert sorted(path.name for path in place.iterdir()) == ["link.md", "real.md", "runs"]


def test_without_times(call: Call) -> None:
    assert "train_seconds" in call("report", "--format", "csv").out
    assert "train_seconds" not in call("report", "--format", "csv", "--no-times").out
    assert "figure-cost" not in call("report", "--format", "html", "--no-times").out


def test_a_comparison_that_is_not_there(call: Call) -> None:
    said = refused(call, "frist")
    assert "'frist'" in said
    assert "first" in said.replace("frist", "")


def test_a_store_without_comparisons(call: Call, tmp_path: Path) -> None:
    Store.open(tmp_path / "new").close()
    assert "no comparison" in refused(call, "--store", tmp_path / "new")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--format", "htlm"], "unknown format 'htlm'. Did you mean 'html'?"),
        (["--out", "a.pdf"], "the ending of 'a.pdf' is none of .txt, .md, .tex, .csv, .html"),
        (["--out", "a"], "the ending of 'a' is none of"),
        (["--out", "runs", "--format", "md"], "'runs' exists and is not a file"),
        (["--out", "runs/store.sqlite3/a.md"], "cannot be written"),
    ],
)
def test_a_bad_target_is_one_line_and_nothing_is_written(
    call: Call, place: Path, arguments: list[str], said: str
) -> None:
    assert said in refused(call, *arguments)
    assert sorted(path.name for path in place.iterdir()) == ["runs"]


def test_one_bad_ending_among_several_writes_nothing(call: Call, place: Path) -> None:
    assert "a.pdf" in refused(call, "--out", "good.md", "--out", "a.pdf")
    assert not (place / "good.md").exists()


def test_plots_are_files_of_their_own(call: Call, place: Path) -> None:
    answer = call("report", "first", "--plots", "plots", "--no-times")
    assert answer.code == 0
    names = sorted(path.name for path in (place / "plots").iterdir())
    assert "first-accuracy.svg" in names
    assert "first-cost.svg" not in names
    assert sorted(line.split("/")[-1] for line in answer.out.splitlines()) == names
    assert all((place / "plots" / name).read_text(encoding="utf-8").lstrip().startswith("<svg") for name in names)
