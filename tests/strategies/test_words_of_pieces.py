"""Label words of several pieces on a causal model, against a row for each word, and NumPy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("mindspore")

import mindspore as ms
from mindspore import Tensor, ops
from models import prompt_task

import promptkit
from promptkit.data import Rows
from promptkit.inspection.attribution import attribute
from promptkit.nn import ClozePrompt, SoftPrompt, VirtualTokens, packed, tensors
from promptkit.prompting.resolved import PromptTask
from promptkit.testing import write_tiny_task

WORDS = "negative=not good,bad; positive=very very good,very great,great"
TEXTS = ("the film is good", "a boring plot and a bad actor", "like it", "you have it all")


def alone(causal: Any, task: PromptTask, prompts: list[list[int]], vectors: Any = None) -> Any:
    """Class scores, (N, C): each word behind each prompt has a row of its own, and every position is read.

    `vectors` stand behind the first piece of the prompts, in the place of others.
    """
    assert task.verbalizer is not None
    words = [(index, pieces) for index, group in enumerate(task.verbalizer.pieces) for pieces in group]
    rows = [[*prompt, *pieces] for prompt in prompts for _, pieces in words]
    length = max(map(len, rows))
    ids = np.array([row + [0] * (length - len(row)) for row in rows])
    real = np.array([[1] * len(row) + [0] * (length - len(row)) for row in rows])
    places = np.broadcast_to(np.arange(length), ids.shape)
    arrays = (ids, real, places, np.full_like(ids, -1), places[:, None])
    inputs = packed(*(Tensor(np.ascontiguousarray(array, np.int32)) for array in arrays))
    embedded = causal.embed(inputs["token_ids"]).asnumpy()
    if vectors is not None:
        embedded[:, 1 : 1 + len(vectors)] = vectors
    logits = causal.logits(causal.run(Tensor(embedded), inputs)).asnumpy().astype(np.float64)
    log_p = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    scores = np.zeros((len(prompts), len(task.labels)))
    for number, row in enumerate(rows):
        index, pieces = words[number % len(words)]
        start = len(row) - len(pieces)
        total = sum(log_p[number, at - 1, row[at]] for at in range(start, len(row)))
        total /= len(pieces) if task.verbalizer.rule == "mean" else 1
        scores[number // len(words), index] += total / len(task.verbalizer.pieces[index])
    return scores


def batch_of(task: PromptTask) -> tuple[Any, Any]:
    """The texts in two rows, and where each of them is."""
    encoded = task.encoder.encode_many([{"text": text} for text in TEXTS])
    length = sum(len(each.token_ids) for each in encoded) // 2 + 24
    packer = task.packer(encoded, [0, 1, 0, 1], batch_size=4, rows=Rows(2, length, 4))
    (batch,) = packer.epoch(np.random.default_rng(1))
    return batch, [batch.index.tolist().index(number) for number in range(len(TEXTS))]


def prompts_of(causal: Any, virtual: int = 0) -> list[list[int]]:
    encode = causal.tokenizer.encode
    return [[causal.tokenizer.cls_id, *[0] * virtual, *encode(f"{text} it was")] for text in TEXTS]


@pytest.mark.parametrize("slots", ["same", "mean"])
def test_scores_are_those_of_a_row_for_each_word(causal: Any, slots: str) -> None:
    task = prompt_task(causal, "{text} it was {mask}", WORDS, slots=slots, kind="causal")
    batch, places = batch_of(task)
    found = ClozePrompt(causal, task)(tensors(batch.inputs)).asnumpy()[places]
    assert np.abs(found - alone(causal, task, prompts_of(causal))).max() < 1e-4


def test_one_piece_each_is_the_quick_way_with_the_same_probabilities(causal: Any) -> None:
    task = prompt_task(causal, "{text} it was {mask}", kind="causal")
    batch, places = batch_of(task)
    model = ClozePrompt(causal, task)
    assert not model.head.normalise
    assert batch.inputs["read"].shape[-1] == 1
    found = model(tensors(batch.inputs)).asnumpy()[places]
    assert np.allclose(np.diff(found), np.diff(alone(causal, task, prompts_of(causal))), atol=1e-4)


def test_a_soft_prompt_learns_through_all_rows_of_an_example(causal: Any) -> None:
    """The gradient along a direction, against a difference of losses of rows for each word."""
    task = prompt_task(causal, "{soft:2}{text} it was {mask}", WORDS, kind="causal")
    rng = np.random.default_rng(3)
    vectors, direction = rng.normal(0.0, 0.3, (2, 2, causal.info.hidden_size)).astype(np.float32)
    model = SoftPrompt(causal, task, prompt=VirtualTokens(vectors))
    batch, _ = batch_of(task)
    inputs, labels, weights = tensors(batch.inputs), Tensor(batch.labels), Tensor(batch.weights)

    def loss() -> Any:
        log_p = ops.log_softmax(model(inputs), -1)
        return -(ops.gather_elements(log_p, 1, labels.reshape(-1, 1)).reshape(-1) * weights).sum() / weights.sum()

    value, (gradient,) = ms.value_and_grad(loss, None, list(model.trainable_params()))()

    def reference(moved: Any) -> float:
        scores = alone(causal, task, prompts_of(causal, 2), moved)
        log_p = scores - np.log(np.exp(scores).sum(-1, keepdims=True))
        return -float(log_p[np.arange(len(TEXTS)), [0, 1, 0, 1]].mean())

    assert abs(float(value.asnumpy()) - reference(vectors)) < 1e-4
    step = np.float32(2e-2)
    slope = (reference(vectors + step * direction) - reference(vectors - step * direction)) / (2 * step)
    assert np.isclose((gradient.asnumpy() * direction).sum(), slope, rtol=2e-2)


@pytest.mark.parametrize(
    ("strategy", "options"),
    [("soft", {"tokens": 2}), ("icl", {})],
)
def test_strategies_run_and_are_loaded_again(
    causal_folder: Path, tmp_path: Path, strategy: str, options: dict[str, Any]
) -> None:
    result = promptkit.run(
        strategy,
        data=str(write_tiny_task(tmp_path / "data")), model=str(causal_folder), verbalizer=WORDS, options=options,
        mode="pynative", quiet=True, epochs=1, shots=2, out=tmp_path / "run",
    )  # fmt: skip
    texts = [line.split("\t")[1] for line in (tmp_path / "data" / "test.tsv").read_text().splitlines()[1:]]
    loaded = promptkit.load(tmp_path / "run")
    assert np.abs(loaded.probabilities(texts) - result.probabilities).max() < 1e-5
    if strategy == "icl":
        return
    found = attribute(loaded, "the film is good").templates[0]
    (piece,) = (each for each in found.pieces if each.text == "film")
    before, p = loaded.probabilities(["the film is good", "the is good"])
    odds = np.log(p[before.argmax()] / (1 - p[before.argmax()]))
    assert piece.change is not None
    assert np.isclose(found.log_odds - piece.change, odds, atol=1e-4)


def test_the_last_piece_before_the_answer_is_taken_out_as_any_other(causal_folder: Path, tmp_path: Path) -> None:
    promptkit.run(
        "hard",
        data=str(write_tiny_task(tmp_path / "data")), model=str(causal_folder), verbalizer=WORDS,
        templates=("{text} {mask}",), mode="pynative", quiet=True, out=tmp_path / "run",
    )  # fmt: skip
    loaded = promptkit.load(tmp_path / "run")
    found = attribute(loaded, "the film is good").templates[0]
    last = [piece for piece in found.pieces if piece.change is not None][-1]
    before, p = loaded.probabilities(["the film is good", "the film is"])
    odds = np.log(p[before.argmax()] / (1 - p[before.argmax()]))
    assert last.text == "good"
    assert last.change is not None
    assert np.isclose(found.log_odds - last.change, odds, atol=1e-4)
