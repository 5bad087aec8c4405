"""AutoPrompt: the gradient it goes by, the words it takes, and a search that is killed and goes on."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("mindspore")

from models import load, prompt_task
from promptkit_autoprompt import AutoPrompt, Options
from promptkit_autoprompt.model import TriggerPrompt

import promptkit
from promptkit import Template, UserError
from promptkit.data import plan_rows
from promptkit.nn import SoftPrompt, VirtualTokens, count_parameters, word_vectors
from promptkit.training import Classification, Executor, PackedSource

TEMPLATE = "{text} {soft:3}{mask} ."
TEXTS = ["the film is good", "it was bad", "a great plot", "the actor was terrible"]


@pytest.fixture(scope="module")
def backbone() -> Any:
    return load("bert-odd")


@pytest.fixture
def model(backbone: Any) -> TriggerPrompt:
    return TriggerPrompt(backbone, prompt_task(backbone.tokenizer, TEMPLATE), 1000, 2)


def executor_of(model: Any) -> tuple[Executor, PackedSource]:
    task = prompt_task(model.backbone.tokenizer, TEMPLATE)
    encoded = task.encoder.encode_many([{"text": text} for text in TEXTS])
    rows = plan_rows([len(each.token_ids) for each in encoded], 4)
    source = PackedSource(task.packer(encoded, [1, 0, 1, 0], batch_size=4, rows=rows))
    return Executor(model, "pynative", print, Classification(2)), source


class Recording:
    """A search over one batch that remembers every loss."""

    def __init__(self, model: Any) -> None:
        self.executor, self.source = executor_of(model)
        self.rng = np.random.default_rng(0)
        self.losses: list[tuple[tuple[int, ...], float]] = []
        self.began: list[int] = []
        self.offered: list[tuple[int, ...]] = []

    def turns(self, count: int) -> Iterator[int]:
        for number in range(1, count + 1):
            self.began.append(len(self.losses))
            yield number

    def batch(self) -> Any:
        return next(iter(self.source.epoch(None)))

    def ids(self) -> tuple[int, ...]:
        return tuple(int(each) for each in self.executor.model.prompt.ids.asnumpy())

    def loss(self, batch: Any) -> float:
        scores, real = self.executor.scores_of_batch(batch), batch.weights > 0
        self.losses.append((self.ids(), Classification(2).judge(scores[real], batch.labels[real])[1]))
        return self.losses[-1][1]

    def gradients(self, batch: Any) -> tuple[float, tuple[Any, ...]]:
        loss, gradients = self.executor.loss_and_gradients(batch)
        return float(loss.asnumpy()), tuple(each.asnumpy() for each in gradients)

    def offer(self, loss: float | None = None) -> None:
        self.offered.append(self.ids())


def test_its_gradient_is_that_of_virtual_tokens_which_are_these_words(backbone: Any, model: TriggerPrompt) -> None:
    task = prompt_task(backbone.tokenizer, TEMPLATE)
    soft = SoftPrompt(backbone, task, prompt=VirtualTokens(word_vectors(backbone, [task.tokenizer.mask_id] * 3)))
    (mine, theirs) = (Recording(each) for each in (model, soft))
    loss, (gradient,) = mine.gradients(mine.batch())
    expected_loss, (expected,) = theirs.gradients(theirs.batch())
    assert loss == pytest.approx(expected_loss, abs=1e-6)
    assert np.abs(expected).max() > 1e-4
    assert np.abs(gradient - expected).max() < 1e-6


def test_with_every_word_as_a_candidate_a_turn_finds_the_best_word_there_is(model: TriggerPrompt) -> None:
    """All words but special ones and label words may be tried, and the lowest loss wins; loss never rises."""
    tokenizer = model.backbone.tokenizer
    taken = {tokenizer.token(n) for n in range(tokenizer.vocab_size) if not model.allowed[n]}
    assert {"[MASK]", "[PAD]", "great", "terrible"} <= taken
    # A few words do: each is a pass of the model.
    model.allowed[np.flatnonzero(model.allowed)[8:]] = False
    search = Recording(model)
    model.search(search)
    ends = [*search.began[1:], len(search.losses)]
    turns = [search.losses[begin:end] for begin, end in zip(search.began, ends, strict=True)]
    assert len(turns[0]) == 1 + model.allowed.sum()
    lowest = [min(loss for _, loss in tried) for tried in turns]
    assert lowest == sorted(lowest, reverse=True)
    assert [turn[0][1] for turn in turns[1:]] == lowest[:-1]
    assert search.ids() == min(turns[-1], key=lambda each: each[1])[0]
    assert search.offered[0] == min(turns[0], key=lambda each: each[1])[0]
    assert all(model.allowed[number] for number in search.ids() if number != tokenizer.mask_id)


def test_candidates_are_those_that_the_first_order_term_promises_most_of(model: TriggerPrompt) -> None:
    model.candidates, model.iterations = 4, 1
    search = Recording(model)
    _, (gradient,) = search.gradients(search.batch())
    place = int(np.random.default_rng(0).integers(3))
    table = word_vectors(model.backbone, range(len(model.allowed)))
    promise = {n: float(table[n] @ gradient[place]) for n in np.flatnonzero(model.allowed)}
    model.search(search)
    tried = [ids[place] for ids, _ in search.losses[1:]]
    assert tried == sorted(promise, key=lambda n: promise[n])[:4]


@pytest.mark.parametrize(
    ("template", "prepared"),
    [
        ("{text} It was {mask}.", "{text} It was {soft:2}{mask}."),
        ("{{a}} {mask:2} {text}", "{{a}} {soft:2}{mask:2} {text}"),
        ("{soft:4}{text} {mask}", "{soft:4}{text} {mask}"),
    ],
)
def test_where_the_trigger_goes(template: str, prepared: str) -> None:
    assert str(AutoPrompt(Options(tokens=2)).prepare(Template.parse(template))) == prepared


def test_a_head_is_refused(tiny_run: Callable[..., Any]) -> None:
    with pytest.raises(UserError, match="label words at the mask"):
        tiny_run("autoprompt", templates=("{text}",), readout="head")


def test_a_batch_of_the_search_holds_as_many_examples_as_a_batch_has(
    tiny_run: Callable[..., Any], tiny_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows that are planned for the texts of test alone, which are short here, would lose some of every batch."""
    from promptkit.training.search import _Search

    data = shutil.copytree(tiny_data, tmp_path / "data")
    header, *train = (data / "train.tsv").read_text().splitlines()
    longer = [line.replace("\t", "\t" + "so very " * (1 + number % 3)) for number, line in enumerate(train)]
    (data / "train.tsv").write_text("\n".join([header, *longer]) + "\n")
    batch, sizes = _Search.batch, []

    def counted(self: Any) -> Any:
        drawn = batch(self)
        sizes.append(int(drawn.weights.sum()))
        return drawn

    monkeypatch.setattr(_Search, "batch", counted)
    settings = {"templates": ("{text} it was {soft:3}{mask} .",), "options": {"iterations": 3, "candidates": 2}}
    tiny_run("autoprompt", data=str(data), batch_size=8, save=False, **settings)
    assert set(sizes) == {8}


def test_a_search_that_was_killed_ends_with_the_numbers_of_one_that_was_not(
    tiny_run: Callable[..., Any], tiny_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    from promptkit.runs import load_artifact
    from promptkit.training.search import _Search

    monkeypatch.setenv("PROMPTKIT_CHECKPOINT_SECONDS", "0")
    settings = {
        "templates": ("{text} it was {soft:3}{mask} .",), "options": {"iterations": 6, "candidates": 3},
    }  # fmt: skip
    whole = tiny_run("autoprompt", out=tmp_path / "whole", **settings)
    batch, drawn = _Search.batch, []

    def killed(self: Any) -> Any:
        drawn.append(self.turn)
        if self.turn == 4:
            raise KeyboardInterrupt
        return batch(self)

    with monkeypatch.context() as patch:
        patch.setattr(_Search, "batch", killed)
        with pytest.raises(KeyboardInterrupt):
            tiny_run("autoprompt", out=tmp_path / "run", checkpoint=tmp_path / "state", **settings)
    assert not (tmp_path / "run").exists()
    monkeypatch.setattr(_Search, "batch", lambda self: drawn.append(self.turn) or batch(self))
    again = tiny_run("autoprompt", out=tmp_path / "run", checkpoint=tmp_path / "state", **settings)
    assert set(drawn[drawn.index(4) + 1 :]) == {4, 5, 6}
    record = again.record
    assert np.array_equal(again.probabilities, whole.probabilities)
    assert [each.model_dump() for each in record.history] == [each.model_dump() for each in whole.record.history]
    # What was found is readable, small, and what the loaded prompt has.
    (found,) = record.found
    assert len(found.split()) == 3
    assert (record.parameters.prompt, record.parameters.total) == (3, 3)
    tensors, _ = load_artifact(tmp_path / "run" / "prompt.safetensors")
    assert {name: tensor.nbytes for name, tensor in tensors.items()} == {"0.prompt.ids": 12}
    predictor = promptkit.load(tmp_path / "run")
    assert predictor.members[0][1].found() == found
    assert count_parameters(predictor.members[0][1])["prompt"] == 3
    texts = [line.split("\t")[1] for line in (tiny_data / "test.tsv").read_text().splitlines()[1:]]
    assert np.abs(predictor.probabilities(texts) - again.probabilities).max() < 1e-6


def test_the_trigger_is_what_inspect_finds(
    tiny_run: Callable[..., Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from promptkit.inspection import inspect_prompt

    settings = {"options": {"iterations": 2, "candidates": 2, "tokens": 2}, "mode": "pynative", "seed": 3}
    result = tiny_run("autoprompt", templates=("{text} it was {mask} .",), out=tmp_path / "run", **settings)
    (prompt,) = inspect_prompt(tmp_path / "run").templates
    words = result.record.found[0].split()
    for token, word in zip(prompt.tokens, words, strict=True):
        if word != "[MASK]":
            assert (token.nearest[0].word, token.nearest[0].distance) == (word, 0)
