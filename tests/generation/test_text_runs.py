"""Runs that learn to write, through the doors that a user takes: what they leave and refuse, how they go on."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pairs import TEMPLATE

pytest.importorskip("mindspore")

import promptkit
from promptkit import UserError
from promptkit.cli import main
from promptkit.running.config import make_config
from promptkit.running.plan import make_plan
from promptkit.runs import Store
from promptkit.runs.checkpoint import Checkpoint
from promptkit.runs.contents import holds_run
from promptkit.training import loop


def test_a_soft_prompt_lowers_the_perplexity_of_held_out_answers(learnt: Any, asked: dict[str, Any]) -> None:
    plain = promptkit.run("hard", **asked, templates=("{instruction} ? {mask}",), save=False).record
    assert plain.epochs_run == 0
    assert learnt.record.test.perplexity < 0.6 * plain.test.perplexity
    assert learnt.record.dev.perplexity < 0.6 * plain.dev.perplexity
    assert min(each.dev_loss for each in learnt.record.history) == pytest.approx(np.log(learnt.record.dev.perplexity))


def test_the_record_has_no_accuracies(learnt: Any, place: Path) -> None:
    record = json.loads((learnt.directory / "run.json").read_text(encoding="utf-8"))
    assert record["test"]["accuracy"] is record["test"]["majority"] is None
    assert {"perplexity", "rouge1", "rouge2", "rougeL"} <= set(record["test"])
    assert record["options"]["objective"] == "text"
    assert record["options"]["readout"] == "answer"
    assert record["task"]["labels"] == []
    with Store.open(place / "runs") as store:
        assert store.find(learnt.directory.name).record == learnt.record


def test_without_its_record_a_run_is_known_by_its_prompt(learnt: Any, place: Path, tmp_path: Path) -> None:
    with Store.open(place / "runs") as store:
        run = store.find(learnt.directory.name)
    shutil.copy(learnt.directory / "prompt.safetensors", tmp_path)
    assert holds_run(tmp_path, run)
    (tmp_path / "prompt.safetensors").unlink()
    assert not holds_run(tmp_path, run)


def test_answers_are_written_beside_the_expected_ones(learnt: Any, place: Path) -> None:
    header, *rows = (learnt.directory / "predictions.tsv").read_text(encoding="utf-8").splitlines()
    assert header.split("\t") == ["index", "answer", "written", "log_likelihood", "tokens", "instruction"]
    cells = [row.split("\t") for row in rows]
    assert [row[1] for row in cells] == list(learnt.truth)
    assert [row[2] for row in cells] == list(learnt.predictions)
    total, count = (sum(float(row[place]) for row in cells) for place in (3, 4))
    assert np.exp(-total / count) == pytest.approx(learnt.record.test.perplexity, rel=1e-5)


def test_a_loaded_prompt_writes_what_the_run_wrote_whole_or_streamed(learnt: Any, place: Path) -> None:
    writer = promptkit.load_writer(learnt.directory)
    texts = [row.split("\t")[0] for row in (place / "pairs" / "test.tsv").read_text().splitlines()[1:]]
    assert writer.write(texts) == list(learnt.predictions)
    assert "".join(writer.stream(texts[0])) == learnt.predictions[0]
    short = writer.write(texts[:1], max_tokens=2)
    assert learnt.predictions[0].startswith(short[0])
    assert writer.cut([texts[0], "the film was good " * 200]) == 1
    with pytest.raises(UserError, match="batch_size is 0"):
        writer.write(texts, batch_size=0)


def test_generate_prints_answers(learnt: Any, place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run, store = learnt.directory.name, ["--store", str(place / "runs")]
    assert main(["generate", run, "the film was good", *store]) == 0
    one = capsys.readouterr().out
    assert main(["generate", run, "the film was good", "it was bad", *store, "--json"]) == 0
    both = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert both[0] == {"instruction": "the film was good", "answer": one.strip()}
    hot = ["--temperature", "5", "--top-p", "0.9", "--seed", "5"]
    again = ["generate", run, "the film was good", *store, *hot, "--max-tokens", "6"]
    assert main(again) == 0
    drawn = capsys.readouterr().out
    assert drawn != one
    assert main(again) == 0
    assert capsys.readouterr().out == drawn
    plain = ["generate", "--model", str(place / "model"), "--template", "{text} ? {mask}", "it", "--max-tokens", "3"]
    assert main(plain) == 0
    assert len(capsys.readouterr().out.split()) <= 3
    assert main([*plain, "--max-length", "8", "it was bad " * 9]) == 0
    assert capsys.readouterr().err == "warning: 1 of 2 texts are too long and were cut\n"


def test_lists_and_sheets_show_perplexities(learnt: Any, place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = ["--store", str(place / "runs")]
    assert main(["runs", "list", *store]) == 0
    assert f"{learnt.record.test.perplexity:.4g} ppl" in capsys.readouterr().out
    assert main(["runs", "show", learnt.directory.name, *store]) == 0
    assert "rougeL" in capsys.readouterr().out


def test_answers_are_learnt_in_as_many_steps_as_on_any_model(asked: dict[str, Any]) -> None:
    """What differs for causal models is for classes, of which a few steps are enough."""
    plan = make_plan(make_config(strategy="soft", templates=(TEMPLATE,), **asked))
    assert plan.settings.epochs * -(-len(plan.task.train) // plan.settings.batch_size) == 100


class KilledError(Exception):
    """Stands in for the kill."""


def test_a_run_that_was_killed_goes_on_to_the_same_numbers(
    asked: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {**asked, "templates": (TEMPLATE,), "epochs": 2, "batch_size": 4, "accumulate": 2, "save": False}
    whole = promptkit.run("soft", **settings).record
    monkeypatch.setattr(Checkpoint, "due", lambda _: True)
    step, taken = loop._Training._step, list[int]()

    def dying(self: Any) -> None:
        if len(taken) == 3:
            taken.append(0)
            raise KilledError
        taken.append(1)
        step(self)

    monkeypatch.setattr(loop._Training, "_step", dying)
    with pytest.raises(KilledError):
        promptkit.run("soft", **settings, checkpoint=tmp_path / "state")
    resumed = promptkit.run("soft", **settings, checkpoint=tmp_path / "state").record
    assert sum(taken) == 4
    assert resumed.test == whole.test
    assert resumed.history == whole.history


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--strategy", "soft", "--model", "masked"], "takes a causal language model"),
        (["--strategy", "pet"], "strategy 'pet' scores classes and writes no text. Those that do: hard, prefix"),
        (["--strategy", "soft", "--data", "labelled"], "no answer column (answer, response"),
        (["--strategy", "soft", "--data", "empty"], "line 3: the answer is empty"),
        (["--strategy", "soft", "--template", "{instruction} {mask} ."], "put {mask} last"),
        (["--strategy", "soft", "--template", "{instruction}"], "has no {mask}, where the answer is to stand"),
        (["--strategy", "soft", "--template", "{mask}", "--template", "a {mask}"], "takes one template"),
        (["--strategy", "soft", "--verbalizer", "a=b; c=d"], "--verbalizer is for classes"),
        (["--strategy", "soft", "--readout", "head"], "--readout is for classes"),
        (["--strategy", "soft", "--metric", "accuracy"], "metric 'accuracy' is for classes"),
        (["--strategy", "soft", "--set", "init=text"], "init=text takes label words"),
        (["--strategy", "soft", "--clean"], "--clean is for classes"),
        (["--strategy", "soft", "--shots", "17"], "17 shots are more than data 'pairs' has: 16 pairs"),
    ],
)
def test_what_does_not_go_is_one_line(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], said: str
) -> None:
    for name, header, row in (("labelled", "label\ttext", "a\tb"), ("empty", "instruction\tanswer", "it\tyes\nit\t")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "train.tsv").write_text(f"{header}\n{row}\n", encoding="utf-8")
    where = {"masked": place / "masked", "labelled": tmp_path / "labelled", "empty": tmp_path / "empty"}
    options = [str(where.get(option, option)) for option in options]
    usual = {"--data": place / "pairs", "--model": place / "model", "--out": tmp_path / "out"}
    given = [part for flag, value in usual.items() if flag not in options for part in (flag, str(value))]
    assert main(["run", "--objective", "text", "--mode", "pynative", "--quiet", *given, *options]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_pairs_are_no_classes_and_a_writer_no_classifier(learnt: Any, place: Path) -> None:
    with pytest.raises(UserError, match=r"holds pairs with an answer each.*--objective text"):
        promptkit.run("hard", data="dialogue-en", save=False)
    with pytest.raises(UserError, match="promptkit generate"):
        promptkit.load(learnt.directory)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "name a RUN"),
        (["--template", "{text} {mask}", "it"], "name it with --model"),
        (["RUN", "it", "--temperature", "-1"], "--temperature takes a number from 0"),
        (["RUN", "it", "--top-p", "0"], "--top-p takes a number above 0"),
        (["RUN", "it", "--max-tokens", "0"], "--max-tokens takes a whole number above 0"),
        (["RUN", "it", "--max-tokens", "1000"], "lower --max-tokens"),
        (["--model", "MODEL", "--template", "{text}{mask}", "--max-tokens", "1000", "it"], "leaves 0 for a prompt"),
    ],
)
def test_generate_refuses_in_one_line(
    learnt: Any, place: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    paths = {"RUN": str(learnt.directory), "MODEL": str(place / "model")}
    assert main(["generate", *(paths.get(each, each) for each in arguments)]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
