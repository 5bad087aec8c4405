"""`promptkit compare` from the command line: what it prints, what it refuses, where it leaves its runs."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from invented import Pool
from models import GOLDENS

from promptkit import UserError
from promptkit.cli import main
from promptkit.cli.compare import split_settings
from promptkit.comparison.coordinator import _only_one
from promptkit.comparison.orders import Order
from promptkit.comparison.pools import _short
from promptkit.runs import Store

Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def call(
    tiny_reviews: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Call:
    """Run `promptkit compare` on the tiny task, in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> tuple[int, str, str]:
        tiny = [
            "--data", str(tiny_reviews), "--model", str(GOLDENS / "bert-short"), "--max-length", "40",
            "--verbalizer", "positive=great; negative=terrible",
        ]  # fmt: skip
        code = main(["compare", *arguments, *tiny])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


def test_it_says_what_it_runs_and_ends_with_the_table(call: Call, pool: Callable[..., Pool]) -> None:
    pool()
    code, out, err = call("--strategies", "hard,soft", "--shots", "4", "--seeds", "2", "--name", "mine")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0].startswith("mine: hard, soft on ")
    assert lines[0].endswith("shots 4; 2 seeds: 5 runs")
    assert lines[1] == "measuring 3 baselines without a model"
    assert lines[2] == "[1/5] hard, no training, seed 0: dev 50.0 %, test 50.0 %, 1 s"
    for label in ("majority class", "TF-IDF + logistic regression", "hard (zero-shot)", "linear probe", "soft"):
        assert any(line.startswith(label) for line in lines), label
    assert lines[-1] == "report:  promptkit report mine --out report.html"


def test_test_texts_in_train_are_noted_first_and_below_the_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for split in ("train", "dev", "test"):
        Path("set").mkdir(exist_ok=True)
        Path(f"set/{split}.tsv").write_text("label\ttext\npositive\tfine\nnegative\tdull\n", encoding="utf-8")
    assert main(["compare", "--strategies", "none", "--shots", "full", "--data", "set"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].startswith("note: 2 of 2 test texts stand in the data's train as well, e.g. 'fine': ")
    assert sum("2 of 2 test texts stand in the data's train" in line for line in lines[2:]) == 1


@pytest.mark.parametrize("name", ["glue/sst2", "../up", "two words", ".", "很" * 200])
def test_data_may_be_called_anything(
    pool: Callable[..., Pool], tiny_reviews: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    pool()
    monkeypatch.chdir(tmp_path)
    shutil.copytree(tiny_reviews, tmp_path / "data")
    Path("data/dataset.json").write_text(json.dumps({"name": name}), encoding="utf-8")
    grid = ["--strategies", "soft", "--shots", "4", "--seeds", "1"]
    model = ["--model", str(GOLDENS / "bert-short"), "--verbalizer", "positive=great; negative=terrible"]
    assert main(["compare", *grid, *model, "--data", "data"]) == 0
    with Store.open(Path("runs"), create=False) as store:
        runs, comparison = store.runs(), store.comparison()
    assert comparison.missing == 0
    assert {run.record.task.name for run in runs} == {name}
    assert sorted(path.name for path in Path("runs").iterdir() if path.is_dir() and path.name != "cells") == sorted(
        run.name for run in runs if run.directory
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "pool", "runs"]


def test_again_it_runs_nothing_and_prints_the_same_table(call: Call, pool: Callable[..., Pool]) -> None:
    pool()
    arguments = ("--strategies", "soft", "--shots", "4", "--seeds", "1", "--quiet", "--no-times")
    first = call(*arguments)
    again = pool()
    assert call(*arguments) == first
    assert again.seen == []


def test_the_runs_are_in_the_store_with_the_command_that_made_them(call: Call, pool: Callable[..., Pool]) -> None:
    made = pool()
    call("--strategies", "soft", "--shots", "4", "--seeds", "1", "--store", "elsewhere", "--set", "soft.tokens=3")
    with Store.open(Path("elsewhere"), create=False) as store:
        comparison = store.comparison()
    assert comparison.command[:3] == ("promptkit", "compare", "--strategies")
    assert comparison.spec["strategy"] == {"soft": {"options": {"tokens": "3"}}}
    assert len(made.seen) == 3
    assert not list(Path("elsewhere/cells").glob("*"))


def test_a_toml_file_says_the_same_as_options(call: Call, pool: Callable[..., Pool]) -> None:
    pool()
    call("--strategies", "soft", "--shots", "4", "--seeds", "2", "--set", "epochs=2", "--name", "a")
    Path("b.toml").write_text('strategies = ["soft"]\nshots = [4]\nseeds = 2\n[settings]\nepochs = 2\n')
    again = pool()
    assert call("b.toml", "--name", "b")[0] == 0
    assert again.seen == []


def test_the_name_is_said_that_a_file_gets_whose_experiment_options_change(
    call: Call, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("mine.toml").write_text('name = "评论 比较"\nstrategies = []\n', encoding="utf-8")
    changed = call("mine.toml", "--shots", "4", "--dry-run")[1].splitlines()
    title = changed[0].partition(":")[0]
    assert title.startswith("tiny-reviews")
    assert changed[1:] == [
        f"note: options change what 'mine.toml' compares, so this is '{title}'; --name gives it another name"
    ]
    assert not any("mine.toml" in line for line in call("mine.toml", "--name", "b", "--dry-run")[1].splitlines())
    assert call("--strategies", "none", "--dry-run")[1].count("\n") == 1
    assert main(["compare", "mine.toml", "--dry-run", "--offline", "--store", "elsewhere"]) == 0
    (only,) = capsys.readouterr().out.splitlines()
    assert only.startswith("评论 比较: ")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--strategies", "sofd"], "unknown strategy 'sofd'. Did you mean 'soft'?"),
        (["--strategies", "hard,hard"], "'hard' is there twice (got hard,hard)."),
        (["--strategies", ","], "--strategies takes names separated by commas"),
        (["--shots", "16,0"], "--shots takes a whole number above 0, or 'full', not '0'."),
        (["--shots", "16,16"], "'16' is there twice"),
        (["--seeds", "many"], "--seeds takes a number of seeds"),
        (["--seeds", "0"], "a number of seeds lies between 1 and 1000"),
        (["--set", "soft.token=3"], "strategy 'soft' has no option 'token'. Did you mean 'tokens'?"),
        (["--set", "epochs"], "--set takes key=value"),
        (["--set", "epoch=3"], "no key 'epoch'. Did you mean 'epochs'?"),
        (["--set", "calibrate=pmi"], "is written NAME.KEY=VALUE with --set. Known: accumulate"),
        (["--set", "soft.lr=fast"], "--lr"),
        (["--jobs", "2", "--dask", "tcp://127.0.0.1:1"], "give --jobs or --dask, not both"),
        (["--jobs", "0"], "invalid value for '--jobs'"),
        (["verbalizer"], "unknown experiment 'verbalizer'. Did you mean 'verbalizers'?"),
        (["missing.toml"], "there is no experiment file 'missing.toml'"),
        (["--name", "a/b"], "name"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(
    call: Call, pool: Callable[..., Pool], arguments: list[str], message: str
) -> None:
    made = pool()
    code, out, err = call(*arguments)
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    assert message in err
    assert len(err.splitlines()) == 1
    assert made.seen == []
    assert os.listdir() == []


def test_failed_runs_are_named_last_and_the_exit_code_says_so(call: Call, pool: Callable[..., Pool]) -> None:
    pool(fail="pet")
    code, out, err = call("--strategies", "pet,soft", "--shots", "4", "--seeds", "1")
    assert code == 2
    assert "soft" in out
    assert err.splitlines()[-1].startswith("error: a run failed (pet, 4 shots, seed 0): training diverged")


def test_a_bug_in_a_run_shows_its_traceback(call: Call, pool: Callable[..., Pool]) -> None:
    pool(bug="soft")
    with pytest.raises(RuntimeError, match="Traceback"):
        call("--strategies", "soft", "--shots", "4", "--seeds", "1")


def test_a_store_of_a_newer_version_is_refused_before_anything_runs(call: Call, pool: Callable[..., Pool]) -> None:
    import sqlite3

    pool()
    call("--strategies", "none")
    with sqlite3.connect("runs/store.sqlite3") as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    made = pool()
    code, _, err = call("--strategies", "soft", "--shots", "4")
    assert code == 2
    assert "newer" in err
    assert made.seen == []


def test_numbers_on_record_are_those_of_the_run(call: Call, pool: Callable[..., Pool]) -> None:
    pool()
    call("--strategies", "soft", "--shots", "4", "--seeds", "1")
    with Store.open(Path("runs"), create=False) as store:
        run = next(run for run in store.runs() if not run.is_baseline and run.record.options.shots == 4)
    assert run.directory is not None
    stored = json.loads((run.directory / "run.json").read_text(encoding="utf-8"))
    assert stored["test"]["accuracy"] == run.record.test.accuracy


def test_an_option_of_a_strategy_comes_before_a_setting_of_its_name() -> None:
    general, own = split_settings(["lmbff.templates=auto", "lmbff.slots=3", "soft.lr=0.1", "epochs=2", "odd.slots=1"])
    assert general == {"epochs": "2"}
    assert own == {
        "lmbff": {"options": {"templates": "auto", "slots": "3"}},
        "soft": {"lr": "0.1"},
        "odd": {"slots": "1"},
    }


def test_the_next_command_names_the_store(call: Call, pool: Callable[..., Pool]) -> None:
    pool()
    code, out, err = call(
        "--strategies", "hard", "--shots", "4", "--seeds", "1", "--name", "a b", "--store", "else where"
    )
    assert (code, err) == (0, "")
    assert out.splitlines()[-1] == "report:  promptkit report 'a b' --store 'else where' --out report.html"


def test_a_store_of_somebody_else_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "compare.lock").mkdir()
    said = r"^cannot write '.*compare\.lock': Is a directory; give another --store\.$"
    with pytest.raises(UserError, match=said), _only_one(tmp_path):
        pass


def test_two_stores_are_two_tasks_of_a_cluster() -> None:
    names = {_short(Order("key", "{}", folder, "/")) for folder in ("/a/cells/key", "/b/cells/key")}
    assert len(names) == 2
