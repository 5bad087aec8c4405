"""Answers are learnt from their own tokens alone, packed and in parts as one by one and at once."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

ms = pytest.importorskip("mindspore")

from mindspore import Parameter, Tensor, ops

from promptkit.data import AnswerPacker, Example, Rows, with_reads
from promptkit.nn import PromptedModel, SoftPrompt, VirtualTokens, tensors
from promptkit.prompting import Template
from promptkit.prompting.resolved import PromptTask, resolve_prompt
from promptkit.testing import load_model, write_tiny_model
from promptkit.training import Executor, FeatureSource, NextTokens, PackedSource, TrainingSettings, train
from promptkit.training.objective import Classification

PAIRS = (
    ("the film is good", "yes it was"), ("a bad plot", "no"), ("it", "very boring and bad"), ("one actor was", "not"),
    ("the story is about it", "yes"), ("this movie", "in that film"),
)  # fmt: skip


@pytest.fixture(scope="module")
def backbone(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return load_model(write_tiny_model(tmp_path_factory.mktemp("model") / "causal", "causal"))


@pytest.fixture
def prompt(backbone: Any) -> PromptTask:
    return resolve_prompt(
        Template.parse("{soft:3}{text} ? {mask}"), None, labels=(), tokenizer=backbone.tokenizer, readout="answer",
        slots="same", max_length=40, rng=np.random.default_rng(1), kind="causal", max_tokens=4,
    )  # fmt: skip


def model_of(backbone: Any, prompt: PromptTask) -> SoftPrompt:
    vectors = np.random.default_rng(2).normal(0, 0.5, (3, backbone.info.hidden_size))
    return SoftPrompt(backbone, prompt, prompt=VirtualTokens(vectors))


def source_of(prompt: PromptTask, batch_size: int = 6) -> PackedSource:
    encoded = prompt.encode_examples([Example(text, answer) for text, answer in PAIRS])
    rows = with_reads(Rows(2, 40, 4), encoded, batch_size)
    return PackedSource(prompt.packer(encoded, None, batch_size=batch_size, rows=rows))


def test_an_answer_is_read_before_each_of_its_tokens_and_its_end(prompt: PromptTask) -> None:
    token = prompt.tokenizer.token
    for text, answer in PAIRS:
        each = prompt.encode_examples([Example(text, answer)])[0]
        behind = [token(each.token_ids[place + 1]) for place in each.read]
        assert behind == [*answer.split(), "<end>"][:4]
        assert each.cut_answer == (len(answer.split()) > 3)
        assert [token(each.token_ids[place]) for place in each.read] == ["?", *behind[:-1]]


def by_hand(backbone: Any, model: SoftPrompt, prompt: PromptTask) -> list[Any]:
    """For each pair log p of its answer's tokens, from all scores of the text alone in a row."""
    found = []
    for text, answer in PAIRS:
        each = prompt.encode_examples([Example(text, answer)])[0]
        size = len(each.token_ids)
        inputs = tensors(
            {
                "token_ids": np.array([each.token_ids], np.int32),
                "segment_ids": np.ones((1, size), np.int32),
                "position_ids": np.arange(size, dtype=np.int32)[None],
                "virtual_ids": np.array([each.virtual_ids], np.int32),
                "read": np.arange(size, dtype=np.int32)[None, None],
            }
        )
        scores = backbone.logits(backbone.run(model.embeddings(inputs), inputs))[0]
        wanted = Tensor(np.array([[each.token_ids[place + 1]] for place in each.read], np.int32))
        read = Tensor(np.array(each.read, np.int32))
        found.append(ops.gather_elements(ops.log_softmax(ops.gather(scores, read, 0), -1), 1, wanted).reshape(-1))
    return found


@pytest.mark.parametrize("most", [1 << 23, 300])
def test_loss_and_gradient_are_those_of_the_answers_alone(
    backbone: Any, prompt: PromptTask, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = model_of(backbone, prompt)
    monkeypatch.setattr(backbone.found, "most", most)  # 300 are the scores of two or three positions
    executor = Executor(model, "pynative", print, NextTokens())

    def plain() -> Any:
        return -ops.concat(by_hand(backbone, model, prompt)).mean()

    expected, (gradient,) = ms.value_and_grad(plain, None, list(model.trainable_params()))()
    steps = list(source_of(prompt).epoch(None))
    assert len(steps) == 1
    loss, (own,) = executor.loss_and_gradients(steps[0])
    assert abs(float(loss.asnumpy()) - float(expected.asnumpy())) < 1e-5
    assert np.abs(own.asnumpy() - gradient.asnumpy()).max() < 1e-5
    scores = executor.scores(source_of(prompt))
    sums = [[float(each.sum().asnumpy()), each.shape[0]] for each in by_hand(backbone, model, prompt)]
    assert np.abs(scores - np.array(sums)).max() < 1e-4
    assert executor.objective.judge(scores, None) == (None, pytest.approx(float(expected.asnumpy()), abs=1e-5))


def test_every_token_of_every_answer_is_there_once_whatever_the_rows(prompt: PromptTask) -> None:
    rng = np.random.default_rng(0)
    words = "the film is good bad and it".split()  # noqa: SIM905
    drawn = [
        Example(" ".join(rng.choice(words, 1 + n % 5)), " ".join(rng.choice(words, 1 + n % 4))) for n in range(30)
    ]
    encoded = prompt.encode_examples(drawn)
    rows = with_reads(Rows(3, 32, 8), encoded, 8)
    packer = AnswerPacker(encoded, batch_size=8, rows=rows, pad_id=0)
    for order in (None, np.random.default_rng(1)):
        seen: dict[int, list[int]] = {}
        for batch in packer.epoch(order):
            assert batch.inputs["read"].shape == (3, 1, rows.reads)
            assert len(batch.index) <= (30 if order is None else 8)
            owners = batch.owners
            assert owners is not None
            for row, place in zip(*np.nonzero(owners >= 0), strict=True):
                behind = batch.inputs["token_ids"][row, batch.inputs["read"][row, 0, place] + 1]
                seen.setdefault(int(owners[row, place]), []).append(int(behind))
        expected = {n: [each.token_ids[place + 1] for place in each.read] for n, each in enumerate(encoded)}
        assert seen == expected


def learnt(backbone: Any, prompt: PromptTask, batch_size: int, accumulate: int) -> Any:
    model = model_of(backbone, prompt)
    settings = TrainingSettings(epochs=2, lr=0.05, accumulate=accumulate)
    executor = Executor(model, "pynative", print, NextTokens())
    result = train(
        executor, source_of(prompt, batch_size), source_of(prompt), np.zeros(6), settings, np.random.default_rng(0),
        quiet=True,
    )  # fmt: skip
    return model.prompt.vectors.asnumpy(), result.history[-1]["loss"]


def test_gathered_batches_of_answers_are_one_larger_batch(backbone: Any, prompt: PromptTask) -> None:
    (whole, loss), (parts, same) = learnt(backbone, prompt, 6, 1), learnt(backbone, prompt, 2, 3)
    assert np.abs(whole - parts).max() < 1e-4
    assert abs(loss - same) < 1e-5


class Linear(PromptedModel):
    """Logistic regression."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = Parameter(Tensor(np.zeros((4, 2), np.float32)), name="weight")

    def scores(self, features: Any) -> Any:
        return ops.matmul(features, self.weight)


def test_gathered_batches_of_classes_are_one_larger_batch(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    x = rng.normal(size=(40, 4)).astype(np.float32)
    y = (x[:, 0] > 0).astype(np.int64)

    def weights(batch_size: int, accumulate: int) -> tuple[Any, list[float]]:
        model, told = Linear(), list[float]()
        train(
            Executor(model, "pynative", print, Classification(2)), FeatureSource(x, y, batch_size),
            FeatureSource(x, y, 40), y, TrainingSettings(epochs=3, lr=0.1, accumulate=accumulate),
            np.random.default_rng(2), quiet=True, on_epoch=lambda each: told.append(each["loss"]),
        )  # fmt: skip
        return model.weight.asnumpy(), told

    # The last of the batches of 16 holds 8 examples, and weighs less.
    (whole, losses), (parts, same) = weights(40, 1), weights(16, 3)
    assert np.abs(whole - parts).max() < 1e-5
    assert same == pytest.approx(losses, abs=1e-5)


@given(st.lists(st.tuples(st.integers(1, 12), st.integers(1, 6)), min_size=1, max_size=40), st.integers(0, 3))
def test_rows_are_filled_as_by_looking_at_all_that_waits(sizes: list[tuple[int, int]], spare: int) -> None:
    """The longest that is left, then the longest that still fit, in tokens and in positions read."""
    room, most = 16, 6 + spare
    longer = [(max(size, count), count) for size, count in sizes]
    texts = [SimpleNamespace(token_ids=(0,) * size, read=(0,) * count) for size, count in longer]
    waiting = sorted((*each, number) for number, each in enumerate(longer))
    packer = AnswerPacker(texts, batch_size=4, rows=Rows(1, room, 4, reads=most), pad_id=0)  # type: ignore[arg-type]
    left, reads, wanted = room, most, []
    for size, count, number in reversed(waiting):
        if size <= left and count <= reads:
            left, reads = left - size, reads - count
            wanted.append(number)
    assert packer._row(list(waiting)) == wanted
