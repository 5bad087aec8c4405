"""What the classes of `hard` are measured against: the template without a text, or the median of texts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("mindspore")

from mindspore import Tensor
from models import load, prompt_task
from promptkit_hard import Hard, Options

import promptkit
from promptkit import UserError
from promptkit.nn import calibrated, tensors
from promptkit.strategies.contract import parse_options
from promptkit.testing import write_tiny_model, write_tiny_task

TEMPLATE = "{text} it was {mask}"
WORDS = "a=not good,bad; b=very very good,great; c=maybe"
TEXTS = ["the film is good", "a boring plot and a bad actor", "like it", "you have it all", "no film"]


@pytest.fixture(scope="module")
def causal(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return load(write_tiny_model(tmp_path_factory.mktemp("tiny") / "causal", "causal"))


@pytest.fixture(scope="module", params=["masked", "causal"])
def prompt(request: Any, causal: Any) -> tuple[Any, Any]:
    """A backbone, and a prompt of three classes."""
    if request.param == "causal":
        return causal, prompt_task(causal, TEMPLATE, WORDS, ("a", "b", "c"), kind="causal")
    backbone = load("bert-odd")
    words = "a=bad; b=great,good; c=film"
    return backbone, prompt_task(backbone, TEMPLATE, words, ("a", "b", "c"))


def centred(scores: Any) -> Any:
    return scores - scores.mean(-1, keepdims=True)


def test_pmi_takes_off_what_the_template_alone_gives(prompt: tuple[Any, Any]) -> None:
    """Holtzman et al. 2021: log p(word | prompt) - log p(word | premise), the mean over words."""
    backbone, task = prompt
    plain = calibrated(backbone, task, "none")
    found = calibrated(backbone, task, "pmi")(tensors(task.encode(TEXTS).inputs)).asnumpy()
    scores = plain(tensors(task.encode([*TEXTS, ""]).inputs)).asnumpy()
    assert np.allclose(centred(found), centred(scores[:-1] - scores[-1]), atol=1e-4)


def test_the_median_text_is_undecided_between_classes(prompt: tuple[Any, Any]) -> None:
    backbone, task = prompt
    model: Any = calibrated(backbone, task, "median")
    features = model.features(tensors(task.encode(TEXTS).inputs)).asnumpy()
    assert model.fit(features, None, None, None) == []
    scores = model.scores(Tensor(features)).asnumpy()
    plain = calibrated(backbone, task, "none").scores(Tensor(features)).asnumpy()
    assert np.abs(np.median(centred(scores), 0) - np.median(centred(scores), 0).mean()).max() < 1e-5
    moved = centred(plain) - centred(scores)
    assert np.abs(moved - moved[0]).max() < 1e-4


def test_a_calibration_that_is_not_known_is_refused(prompt: tuple[Any, Any]) -> None:
    with pytest.raises(UserError, match=r"unknown calibration 'mean'.* Known: content-free, median, none, pmi"):
        calibrated(*prompt, "mean")


def test_two_classes_get_half_of_the_training_texts_each(tmp_path: Path) -> None:
    """Through a whole run: the texts it is found on are the training texts, whose labels may be any."""
    data = write_tiny_task(tmp_path / "data")
    rows = (data / "test.tsv").read_text().splitlines()
    (data / "train.tsv").write_text("\n".join(rows) + "\n")
    asked: dict[str, Any] = {
        "data": str(data), "model": str(write_tiny_model(tmp_path / "model")), "mode": "pynative", "quiet": True,
        "verbalizer": "positive=great; negative=terrible", "options": {"calibrate": "median"},
    }  # fmt: skip
    result = promptkit.run("hard", **asked, out=tmp_path / "run")
    assert abs(float(np.median(np.diff(np.log(result.probabilities))))) < 1e-5
    loaded = promptkit.load(tmp_path / "run").probabilities([row.split("\t")[1] for row in rows[1:]])
    assert np.abs(loaded - result.probabilities).max() < 1e-6
    assert (result.record.parameters.total, result.record.history) == (2, ())
    swapped = [row.replace("positive\t", "x\t").replace("negative\t", "positive\t") for row in rows]
    (data / "train.tsv").write_text("\n".join(row.replace("x\t", "negative\t") for row in swapped) + "\n")
    assert np.array_equal(promptkit.run("hard", **asked, save=False).probabilities, result.probabilities)


def test_only_a_median_depends_on_examples() -> None:
    found = {each: Hard(Options(calibrate=each)).depends_on for each in ("none", "content-free", "pmi")}
    assert set(found.values()) == {frozenset()}
    assert Hard(Options(calibrate="median")).depends_on == {"examples"}


def test_another_way_is_refused_in_one_line() -> None:
    with pytest.raises(promptkit.UserError, match="option 'calibrate'"):
        parse_options(Hard, {"calibrate": "mean"})
