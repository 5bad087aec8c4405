"""`promptkit inspect`, on runs of a tiny model."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import write_reviews
from models import GOLDENS

from promptkit.cli import main
from promptkit.runs import Store


def make_run(folder: Path, strategy: str, *more: str, model: str = "bert-short") -> Path:
    data = write_reviews(folder / "reviews.tsv")
    code = main([
        "run", "--strategy", strategy, "--data", str(data), "--model", str(GOLDENS / model),
        "--mode", "pynative", "--epochs", "1", "--device", "CPU", "--out", str(folder / strategy), "--quiet", *more,
    ])  # fmt: skip
    assert code == 0
    return folder / strategy


@pytest.fixture(scope="module")
def soft(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with three virtual tokens."""
    return make_run(tmp_path_factory.mktemp("soft"), "soft", "--set", "tokens=3")


@pytest.fixture(scope="module")
def hard(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two templates without virtual tokens."""
    templates = ("--template", "{text} it was {mask} .", "--template", "{mask} ! {text}")
    return make_run(tmp_path_factory.mktemp("hard"), "hard", *templates)


@pytest.fixture(scope="module")
def prefix(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with a prefix."""
    more = ("--set", "tokens=3", "--set", "layers=1")
    return make_run(tmp_path_factory.mktemp("prefix"), "prefix", *more, model="bert-odd")


def refused(call, *arguments):
    answer = call("inspect", *arguments)
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.startswith("error: ")
    assert answer.err.count("\n") == 1
    return answer.err


def test_virtual_tokens_are_shown_with_their_words_and_a_caution(call, soft):
    answer = call("inspect", soft, "--nearest", "2")
    assert (answer.code, answer.err) == (0, "")
    lines = answer.out.splitlines()
    assert "template: {soft:3}{text} It was {mask}." in lines
    first = [line.split() for line in lines if line.startswith("V0 ")]
    assert len(first) == 2
    assert first[1].count("V0") == 1
    assert sum(cell.startswith("(") for cell in first[1]) == 2
    assert "Khashabi et al. (2022" in answer.out
    assert "Lester et al. (2021, section 7)" in answer.out


def test_in_a_process_of_its_own_nothing_else_is_said(soft):
    """MindSpore warns, when it is imported, of devices that are not there."""
    environment = {name: value for name, value in os.environ.items() if name != "GLOG_v"}
    command = [sys.executable, "-m", "promptkit", "inspect", str(soft)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stderr == ""


def test_the_same_as_json(call, soft):
    found = json.loads(call("inspect", soft, "--json").out)
    (prompt,) = found["templates"]
    assert [token["name"] for token in prompt["tokens"]] == ["V0", "V1", "V2"]
    assert all(len(token["nearest"]) == 5 and token["moved"] > 0 for token in prompt["tokens"])


def test_plot_and_page_are_written_and_named(call, soft, place):
    answer = call("inspect", soft, "--plot", "tokens.svg", "--html", "tokens.html")
    assert answer.out.endswith("\nplot: tokens.svg\npage: tokens.html\n")
    assert sorted(path.name for path in place.iterdir()) == ["tokens.html", "tokens.svg"]
    assert "<svg" in (place / "tokens.html").read_text(encoding="utf-8")
    json.loads(call("inspect", soft, "--json", "--plot", "tokens.png").out)
    assert (place / "tokens.png").is_file()


def test_a_text_is_taken_apart_for_any_strategy(call, soft, hard, place):
    answer = call("inspect", soft, "the film was good")
    assert answer.code == 0
    assert answer.out.startswith("prediction: ")
    rows = [line.split() for line in answer.out.splitlines() if " text " in line]
    assert [row[-1] for row in rows] == ["the", "film", "was", "good"]
    both = call("inspect", hard, "the film was good", "--html", "page.html")
    assert "(mean over 2 templates)" in both.out
    assert both.out.count("template: ") == 2
    assert "the film" not in (place / "page.html").read_text(encoding="utf-8")
    found = json.loads(call("inspect", hard, "the film was good", "--json").out)
    label = call("predict", hard, "the film was good").out.split("\t")[0]
    assert found["label"] == label
    assert found["fields"] == {"text": "the film was good"}
    assert [piece["role"] for piece in found["templates"][1]["pieces"]][:3] == ["special", "mask", "template"]


def test_a_pair_of_texts(call, tmp_path):
    rows = [f"good film\tthe plot {n % 7}\tpositive\nbad film\tno plot {n}\tnegative\n" for n in range(20)]
    (tmp_path / "pairs.tsv").write_text("text\ttext_b\tlabel\n" + "".join(rows), encoding="utf-8")
    arguments = (
        "--model",
        GOLDENS / "bert-short",
        "--template",
        "{text} ? {mask}, {text_b}",
        "--out",
        tmp_path / "run",
    )
    assert call("run", "--strategy", "hard", "--data", tmp_path / "pairs.tsv", "--quiet", *arguments).code == 0
    answer = call("inspect", tmp_path / "run", "good film", "--text-b", "the plot")
    assert sum(" text_b " in line for line in answer.out.splitlines()) == 2
    assert "{text_b}" in refused(call, tmp_path / "run", "good film")


def test_a_run_is_found_by_path_or_by_its_name_in_a_store(call, soft, place):
    shutil.copytree(soft, place / "runs" / "soft-1")
    with Store.open(place / "runs") as store:
        store.adopt("soft-1", key="k")
    assert call("inspect", "soft-1").out == call("inspect", soft).out
    assert "no store in 'elsewhere'" in refused(call, "soft-1", "--store", "elsewhere")
    assert call("inspect", soft / "prompt.safetensors", "--json").code == 0


def test_without_virtual_tokens_and_without_a_text(call, hard):
    assert "has no virtual tokens; give a TEXT" in refused(call, hard)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--plot", "tokens.pdf"), "--plot takes a file name ending in .svg or .png, not 'tokens.pdf'."),
        (("--plot", "nowhere/tokens.svg"), "there is no folder 'nowhere'"),
        (("--html", "nowhere/tokens.html"), "there is no folder 'nowhere'"),
        (("--html", "/"), "cannot write '/': that is no name for a file."),
        (("--html", "x" * 300), "that is no name for a file."),
        (("--nearest", "0"), "the number of nearest words must be from 1 to 100, got 0."),
        (("good", "--nearest", "3"), "--nearest is about virtual tokens and does not go with a TEXT."),
        (("good", "--plot", "tokens.svg"), "--plot is about virtual tokens and does not go with a TEXT."),
        (("--text-b", "good"), "--text-b goes with a TEXT."),
        (("good", "--text-b", "bad"), "--text-b: the run's template has no {text_b}."),
        ((" ",), "TEXT is empty."),
    ],
)
def test_what_does_not_go_together_is_refused(call, soft, place, arguments, message):
    assert message in refused(call, soft, *arguments)
    assert not list(place.iterdir())


def test_a_prefix_is_shown_by_layers_and_not_drawn(call, prefix, tmp_path):
    answer = call("inspect", prefix)
    assert (answer.code, answer.err) == (0, "")
    assert "A prefix of length 3: keys and values for 3 heads in layer 3 of 3." in answer.out
    assert [line.split()[0] for line in answer.out.splitlines() if line.strip()[:1].isdigit()] == ["3"]
    assert call("inspect", prefix, "--json").code == 0
    said = refused(call, prefix, "--plot", str(tmp_path / "a.svg"))
    assert "--plot draws virtual tokens among words, and this run has none" in said
