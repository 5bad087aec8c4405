"""Data of named fields from end to end: a run, its files, predictions, a comparison with baselines."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from models import GOLDENS

from promptkit import run
from promptkit.cli import main
from promptkit.cli.texts import rows_of_table
from promptkit.data.tables import Columns, open_table
from promptkit.errors import UserError

CHOICE = "{q} a . {a} b . {b} . the story is {mask} ."
WORDS = "A=a; B=b"


@pytest.fixture(scope="module")
def quiz(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table of questions with two options."""
    path = tmp_path_factory.mktemp("quiz") / "quiz.csv"
    rows = [f"is movie {chr(97 + n % 26)}{n} good ?,good,bad,{'AB'[n % 2]}\n" for n in range(40)]
    path.write_text("q,a,b,label\n" + "".join(rows), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def finished(quiz: Path) -> Path:
    """The directory of a run with named fields."""
    common = ["--data", str(quiz), "--model", str(GOLDENS / "bert-short"), "--mode", "pynative", "--quiet"]
    place = quiz.with_name("run")
    assert main([
        "run", "--strategy", "hard", *common, "--template", CHOICE, "--verbalizer", WORDS, "--max-length", "18",
        "--out", str(place),
    ]) == 0  # fmt: skip
    return place


def test_the_template_alone_decides_what_is_read(finished: Path) -> None:
    record = json.loads((finished / "run.json").read_text(encoding="utf-8"))
    (said,) = (each for each in record["warnings"] if "were cut" in each)
    assert said.startswith("100% of the texts were cut to --max-length 18 ({q} 100%")
    header, first, *_ = (finished / "predictions.tsv").read_text(encoding="utf-8").splitlines()
    assert header.split("\t")[5:] == ["q", "a", "b"]
    assert first.split("\t")[6:] == ["good", "bad"]


def test_predictions_take_a_table_or_tabs(call, finished, quiz, tmp_path) -> None:
    table = tmp_path / "new.csv"
    table.write_text("B,question,a\nbad,is it good ?,good\n", encoding="utf-8")
    named = call("predict", finished, "--file", table, "--fields", "q=question")
    assert named.out.split("\t")[2:] == ["is it good ?", "good", "bad\n"]
    assert call("predict", finished, "is it good ?\tgood\tbad").out == named.out
    assert named.out.split("\t")[0] == promptkit_load(finished)
    missing = call("predict", finished, "--file", table)
    assert missing.code == 2
    assert "no {q} column 'q'. " in missing.err
    few = call("predict", finished, "is it good ?")
    assert "the run's template has {q}, {a} and {b}: give 3 texts in this order, separated by tabs" in few.err


def promptkit_load(finished: Path) -> str:
    from promptkit import load

    return load(finished).predict([{"q": "is it good ?", "a": "good", "b": "bad"}])[0].label


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--template", "{q} {aa} {mask}"], "no {aa} column 'aa'. Did you mean 'a'?"),
        (["--template", "{a} {mask}", "--fields", "b,q"], "the template uses {a}, but data 'quiz' has only: b, q."),
        (["--fields", "q,q"], "--fields: the field 'q' is there twice"),
        (["--fields", "q", "--template", "{q} {msk}"], "has only: q. Did you mean '{mask}'?"),
    ],
)
def test_wrong_fields(call, quiz, arguments, message) -> None:
    answer = call("run", "--strategy", "hard", "--data", quiz, "--model", GOLDENS / "bert-short", *arguments)
    assert answer.code == 2
    assert message in answer.err
    assert answer.err.count("\n") == 1


def test_every_field_is_seen_without_a_template(quiz: Path) -> None:
    settings = {"data": quiz, "model": str(GOLDENS / "bert-short"), "mode": "pynative", "quiet": True, "save": False}
    result = run("probe", fields=("q", "b"), verbalizer=WORDS, **settings)
    assert result.record.options.templates == ("{q} {b} It was {mask}.",)
    assert result.record.options.fields == ("q", "b")


def test_a_data_set_brings_its_own_prompt() -> None:
    from promptkit.running.config import make_config
    from promptkit.running.plan import make_plan

    own = make_plan(make_config(strategy="hard", data="entailment-en")).settings
    assert own.templates == ("{text} ? {mask} , {text_b}",)
    assert own.verbalizer == "entailment=Yes; neutral=Maybe; contradiction=No"
    given = make_plan(
        make_config(
            strategy="hard", data="news-en", templates=("{text} {mask}",),
            verbalizer="business=money; culture=art; health=body; science=fact; sports=game",
        )
    ).settings  # fmt: skip
    assert (given.templates, given.verbalizer[:14]) == (("{text} {mask}",), "business=money")
    assert make_plan(make_config(strategy="hard")).settings.templates == ("{text} It was {mask}.",)


def test_a_comparison_reads_the_fields_of_all_its_templates(call, quiz, place) -> None:
    (place / "choice.toml").write_text(
        f"strategies = ['hard']\nshots = ['full']\nseeds = 1\nbaselines = ['probe']\ndata = '{quiz}'\n"
        f"model = '{GOLDENS / 'bert-odd'}'\n[settings]\nverbalizer = '{WORDS}'\nmode = 'pynative'\n"
        "[[variants]]\nname = 'question'\ntemplates = ['{q} {mask}']\n"
        "[[variants]]\nname = 'options'\ntemplates = ['{a} , {b} {mask}']\n",
        encoding="utf-8",
    )
    answer = call("compare", "choice.toml", "--quiet", "--store", "store")
    assert answer.code == 0, answer.err
    for row in ("majority class", "TF-IDF", "linear probe", "hard, question", "hard, options"):
        assert row in answer.out
    fields = {
        tuple(path.read_text(encoding="utf-8").split("\n")[0].split("\t")[5:])
        for path in place.glob("store/*/predictions.tsv")
    }
    assert fields == {("q", "a", "b")}


def test_a_table_may_name_the_column_of_a_field_as_the_text(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("review,title\nfine,Oh\n", encoding="utf-8")
    table = open_table(tmp_path / "a.csv")
    assert rows_of_table(table, Columns(text="review"), ("review",)) == [{"review": "fine"}]
    with pytest.raises(UserError, match=r"--text-column: the run's template has no \{text\}, but \{review\}\."):
        rows_of_table(table, Columns(text="title"), ("review",))
