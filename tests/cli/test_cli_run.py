"""One small run from end to end, and predictions from it."""

from __future__ import annotations

import io
import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from command_line import write_reviews
from models import GOLDENS

import promptkit
from promptkit.cli import main


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of a run."""
    folder = tmp_path_factory.mktemp("finished")
    data = write_reviews(folder / "reviews.tsv")
    code = main([
        "run", "--strategy", "soft", "--data", str(data), "--model", str(GOLDENS / "bert-short"),
        "--set", "tokens=3", "--mode", "pynative", "--epochs", "1", "--seed", "3", "--device", "CPU",
        "--mirror", "https://user:secret@mirror.example", "--out", str(folder / "run"), "--quiet",
    ])  # fmt: skip
    assert code == 0
    return folder / "run"


def small_run(call, model, data, *more):
    return call("run", "--strategy", "hard", "--data", data, "--model", model, "--mode", "pynative", *more)


def test_a_run_says_what_it_does_shows_the_table_and_what_comes_next(call, model, reviews, place):
    answer = small_run(call, model, reviews, "--shots", "4")
    assert answer.code == 0
    lines = answer.out.splitlines()
    assert lines[0] == (f"hard on reviews (8 train, 6 dev, 6 test, 4 shots; labels negative, positive) with {model}")
    assert lines[1] == "template: {text} It was {mask}.; label words: positive=great; negative=terrible"
    assert any(line.startswith("strategy ") and "majority" in line for line in lines)
    assert lines[-2] == "run:     runs/hard-reviews-4shot-s0-001"
    assert lines[-1] == "predict: promptkit predict runs/hard-reviews-4shot-s0-001 'TEXT'"
    assert sorted(p.name for p in (place / "runs/hard-reviews-4shot-s0-001").iterdir()) == [
        "predictions.tsv",
        "prompt.safetensors",
        "run.json",
    ]


def test_quiet_leaves_the_result_alone(call, model, reviews):
    answer = small_run(call, model, reviews, "--quiet")
    assert answer.out.lstrip().startswith("strategy")
    assert answer.err == ""


def test_the_record_has_the_names_that_scripts_rely_on(finished):
    record = json.loads((finished / "run.json").read_text(encoding="utf-8"))
    for path in (
        "test.accuracy", "test.f1", "test.n", "test.majority", "dev.accuracy", "dev.f1", "options.strategy",
        "options.seed", "options.lr", "options.strategy_options.tokens", "task.fingerprint", "task.train",
        "backbone.fingerprint", "parameters.prompt", "parameters.head", "parameters.total",
        "cost.artifact_bytes", "cost.seconds.total", "cost.seconds.train", "cost.peak_memory_mb",
        "versions.mindspore", "epochs_run", "history", "warnings",
    ):  # fmt: skip
        value = record
        for name in path.split("."):
            value = value[name]
        assert value is not None, path
    assert record["parameters"]["prompt"] == record["parameters"]["total"] == 3 * 24
    assert record["options"]["seed"] == 3


def test_the_record_holds_the_command_without_a_password(finished):
    command = json.loads((finished / "run.json").read_text(encoding="utf-8"))["command"]
    assert command[:4] == ["promptkit", "run", "--strategy", "soft"]
    assert "https://***@mirror.example" in command


def test_predict_prints_label_probability_and_text(call, finished):
    answer = call("predict", finished, "the film was good", "a\tb\nc")
    assert (answer.code, answer.err) == (0, "")
    rows = [line.split("\t") for line in answer.out.splitlines()]
    assert [row[2] for row in rows] == ["the film was good", "a\\tb\\nc"]
    assert all(row[0] in ("positive", "negative") and 0.5 <= float(row[1]) <= 1 for row in rows)


def test_predictions_are_those_of_the_run(call, finished):
    lines = (finished / "predictions.tsv").read_text(encoding="utf-8").splitlines()
    header, rows = lines[0].split("\t"), [line.split("\t") for line in lines[1:]]
    texts = [row[header.index("text")] for row in rows]
    answer = call("predict", finished, *texts, "--json")
    for line, row in zip(answer.out.splitlines(), rows, strict=True):
        found = json.loads(line)
        assert found["label"] == row[header.index("predicted")]
        assert found["text"] == row[header.index("text")]
        for label, probability in found["probabilities"].items():
            assert probability == pytest.approx(float(row[header.index(f"p_{label}")]), abs=2e-5)


def test_the_same_in_python(finished):
    predictor = promptkit.load(finished)
    one, many = predictor.predict(["good film"])[0], predictor.predict(["good film", "a very boring story !"])
    assert many[0].probabilities == pytest.approx(one.probabilities, abs=1e-5)


def test_predict_reads_a_file_line_by_line(call, finished, tmp_path):
    file = tmp_path / "texts.txt"
    file.write_bytes("\ufeffgood film\r\n\n   \nbad\x85movie\nthe end".encode())
    answer = call("predict", finished, "--file", file, "--json")
    assert [json.loads(line)["text"] for line in answer.out.splitlines()] == [
        "good film",
        "bad\x85movie",
        "the end",
    ]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("mine.csv", 'id,Text,label\n1,"good film,\nreally",x\n2,,x\n3,bad\tmovie,x\n'),
        ("mine.jsonl", '{"text": "good film,\\nreally"}\n{"text": ""}\n{"text": "bad\\tmovie"}\n'),
    ],
)
def test_predict_reads_the_texts_of_a_table_and_no_header(call, finished, tmp_path, name, content):
    (tmp_path / name).write_text(content, encoding="utf-8")
    answer = call("predict", finished, "--file", tmp_path / name, "--json")
    assert [json.loads(line)["text"] for line in answer.out.splitlines()] == ["good film,\nreally", "bad\tmovie"]
    assert answer.err == "warning: 1 row left out: the text is empty\n"


def test_predict_takes_the_column_it_is_told_in_the_encoding_it_is_told(call, finished, tmp_path):
    (tmp_path / "mine.tsv").write_bytes("a\tb\nno\tcafé\n".encode("latin-1"))
    answer = call("predict", finished, "--file", tmp_path / "mine.tsv", "--text-column", "b", "--encoding", "latin-1")
    assert [line.split("\t")[2:] for line in answer.out.splitlines()] == [["café"]]


@pytest.mark.parametrize("arguments", [(), ("--file", "-")])
def test_predict_reads_standard_input(call, finished, monkeypatch, arguments):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO("good film\n好\n".encode())))
    answer = call("predict", finished, *arguments)
    assert [line.split("\t")[2] for line in answer.out.splitlines()] == ["good film", "好"]


def test_predict_waits_for_no_terminal(call, finished, monkeypatch):
    monkeypatch.setattr("sys.stdin", SimpleNamespace(isatty=lambda: True))
    answer = call("predict", finished)
    assert (answer.code, answer.err) == (
        2,
        "error: no text: give TEXT, --file F, or lines on standard input.\n",
    )


def test_predict_with_pairs_of_texts(call, model, tmp_path, place):
    rows = [f"good film\tthe plot {n % 7}\tpositive\nbad film\tno plot {n}\tnegative\n" for n in range(20)]
    (tmp_path / "pairs.tsv").write_text("text\ttext_b\tlabel\n" + "".join(rows), encoding="utf-8")
    data = tmp_path / "pairs.tsv"
    answer = small_run(call, model, data, "--template", "{text} ? {mask}, {text_b}", "--out", "run")
    assert answer.code == 0
    assert answer.out.splitlines()[-1] == "predict: promptkit predict run 'TEXT' --text-b 'SECOND TEXT'"
    (tmp_path / "texts.txt").write_text("good film\tthe plot\nbad\tvery bad\n", encoding="utf-8")
    from_file = call("predict", "run", "--file", tmp_path / "texts.txt").out.splitlines()
    alone = call("predict", "run", "good film", "--text-b", "the plot").out.splitlines()
    assert [line.split("\t")[2:] for line in from_file] == [["good film", "the plot"], ["bad", "very bad"]]
    assert from_file[0] == alone[0]
    (tmp_path / "texts.txt").write_text("good film\tthe plot\nbad\n", encoding="utf-8")
    broken = call("predict", "run", "--file", tmp_path / "texts.txt")
    assert broken.code == 2
    assert "line 2" in broken.err
    assert "{text_b}" in call("predict", "run", "good film").err
    (tmp_path / "pairs.csv").write_text("q,text,text_b\nbad,good film,the plot\n", encoding="utf-8")
    assert call("predict", "run", "--file", tmp_path / "pairs.csv").out == from_file[0] + "\n"
    named = call("predict", "run", "--file", tmp_path / "pairs.csv", "--text-column", "q", "--text-b-column", "text")
    assert [line.split("\t")[2:] for line in named.out.splitlines()] == [["bad", "good film"]]
    (tmp_path / "pairs.csv").write_text("text\ngood film\tthe plot\n", encoding="utf-8")
    assert "no second text column (text_b" in call("predict", "run", "--file", tmp_path / "pairs.csv").err


def test_a_model_elsewhere_is_named(call, finished, model, tmp_path):
    import shutil

    copy = shutil.copytree(model, tmp_path / "moved")
    text = "a good film"
    there, here = call("predict", finished, text), call("predict", finished, text, "--model", copy)
    assert there.out == here.out != ""


def test_models_and_datasets_are_listed_and_as_json(call):
    models = {card["name"]: card for card in json.loads(call("models", "--json").out)}
    assert models["promptkit-mini"]["architecture"] == "bert"
    datasets = {card["name"]: card for card in json.loads(call("datasets", "--json").out)}
    assert datasets["reviews-en"]["sizes"]["train"] >= 400
    assert datasets["reviews-zh"]["language"] == "zh"
    for name, command in (("promptkit-mini", "models"), ("reviews-zh", "datasets")):
        assert any(line.startswith(name) for line in call(command).out.splitlines())
