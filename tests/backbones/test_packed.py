"""Packed rows against one example a row: the same scores and gradients, and no example knows of another."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

ms = pytest.importorskip("mindspore")

from mindspore import Tensor, ops
from models import load, prompt_task
from packs import alone, by_example, one_batch, random_texts, tokens_by_example

from promptkit.data import Batch, Rows, plan_rows
from promptkit.nn import Backbone, ClozePrompt, SoftPrompt, VirtualTokens, initial_vectors, mix_in, packed, tensors
from promptkit.prompting.resolved import PromptTask

TOLERANCE = 1e-5
WORDS = Tensor(np.array([6, 9, 14], np.int32))
LENGTHS = [9, 3, 17, 5, 1, 12, 8, 2, 20, 6, 4]
ROWS = Rows(4, 32, 5)  # the last has room for nothing but padding

backbone_of = cache(load)


def virtual_tokens(backbone: Backbone) -> Any:
    vectors = np.random.default_rng(5).normal(0, 0.3, (2, backbone.info.hidden_size))
    return Tensor(vectors.astype(np.float32))


def scores_of(backbone: Backbone, embeddings: Any, vectors: Any, arrays: Any) -> Any:
    """Scores of three words at every position read, (N, M, 3)."""
    inputs = packed(*arrays)
    return backbone.logits(backbone.run(mix_in(embeddings, vectors, inputs["virtual_ids"]), inputs), WORDS)


def scores(backbone: Backbone, batch: Batch) -> Any:
    """Scores of every example, (examples, M, 3); those of empty places are finite too."""
    inputs = tensors(batch.inputs)
    found = scores_of(
        backbone, backbone.embed(inputs["token_ids"]), virtual_tokens(backbone), inputs.values()
    ).asnumpy()
    assert np.isfinite(found).all()
    return by_example(batch, found)


def loss_and_gradients(backbone: Backbone, batch: Batch, *, graph: bool) -> tuple[float, list[Any], Any]:
    """Return the mean loss, its gradient by each example's embeddings, and by the virtual tokens all share."""

    def loss(embeddings: Any, vectors: Any, labels: Any, weights: Any, *arrays: Any) -> Any:
        logits = scores_of(backbone, embeddings, vectors, arrays).sum(1)
        return (ops.cross_entropy(logits, labels, reduction="none") * weights).sum() / weights.sum()

    function = ms.value_and_grad(loss, (0, 1))
    if graph:
        function = ms.jit(function)
    inputs = tensors(batch.inputs)
    value, (by_embedding, by_virtual) = function(
        backbone.embed(inputs["token_ids"]), virtual_tokens(backbone), Tensor(batch.labels), Tensor(batch.weights),
        *inputs.values(),
    )  # fmt: skip
    padding = np.asarray(batch.inputs["segment_ids"]) == 0
    assert not by_embedding.asnumpy()[padding].any(), "padding has a gradient"
    return float(value), tokens_by_example(batch, by_embedding.asnumpy()), by_virtual.asnumpy()


@pytest.mark.parametrize("slots", [1, 3])
@pytest.mark.parametrize("name", ["bert-odd", "roberta-odd"])
def test_packed_scores_are_those_of_one_example_a_row(name: str, slots: int) -> None:
    backbone = backbone_of(name)
    texts = random_texts(np.random.default_rng(1), LENGTHS, vocabulary=80, slots=slots)
    expected = scores(backbone, alone(texts))
    for shuffled in (None, 0):
        found = scores(backbone, one_batch(texts, ROWS, shuffled=shuffled))
        assert found.shape == (len(texts), slots, 3)
        assert np.abs(found - expected).max() < TOLERANCE


@pytest.mark.parametrize(("name", "graph"), [("bert-odd", True), ("roberta-odd", False)])
def test_packed_gradients_are_those_of_one_example_a_row(name: str, graph: bool) -> None:
    backbone = backbone_of(name)
    texts = random_texts(np.random.default_rng(2), LENGTHS, vocabulary=80, slots=2)
    batch = one_batch(texts, ROWS, shuffled=1)
    value, by_embedding, by_virtual = loss_and_gradients(backbone, batch, graph=graph)
    expected, by_embedding_alone, by_virtual_alone = loss_and_gradients(backbone, alone(texts), graph=False)
    assert abs(value - expected) < TOLERANCE
    assert max(np.abs(gradient).max() for gradient in by_embedding_alone) > 1e-2
    for mine, other in zip(by_embedding, by_embedding_alone, strict=True):
        assert np.abs(mine - other).max() < TOLERANCE
    assert np.abs(by_virtual_alone).max() > 1e-2
    assert np.abs(by_virtual - by_virtual_alone).max() < TOLERANCE


@cache
def compiled(name: str) -> Any:
    """Scores as a graph, for batches of one shape."""
    backbone = backbone_of(name)

    @ms.jit
    def function(vectors: Any, *arrays: Any) -> Any:
        return scores_of(backbone, backbone.embed(arrays[0]), vectors, arrays)

    return function


@settings(max_examples=40)
@given(
    st.sampled_from(["bert-odd", "roberta-odd"]),
    st.lists(st.integers(1, 12), min_size=2, max_size=9),
    st.data(),
)
def test_an_example_says_nothing_to_the_others_of_its_row_or_batch(
    name: str, lengths: list[int], data: st.DataObject
) -> None:
    backbone, rng = backbone_of(name), np.random.default_rng(data.draw(st.integers(0, 999)))
    texts = random_texts(rng, lengths, vocabulary=80)
    changed = data.draw(st.integers(0, len(texts) - 1))
    other = tuple(int(n) for n in rng.integers(5, 80, lengths[changed]))
    order, vectors = data.draw(st.integers(0, 99)), virtual_tokens(backbone)

    def score() -> Any:
        batch = one_batch(texts, Rows(9, 24, 4), shuffled=order)
        return by_example(batch, compiled(name)(vectors, *tensors(batch.inputs).values()).asnumpy())

    before = score()
    texts[changed] = replace(texts[changed], token_ids=other, virtual_ids=(-1,) * len(other))
    after = score()
    others = np.arange(len(texts)) != changed
    assert np.abs(after - before)[others].max() < 1e-6


def test_a_changed_example_changes_its_own_scores() -> None:
    """What the test above would not notice: a model that does not look at the texts."""
    backbone = backbone_of("bert-odd")
    texts = random_texts(np.random.default_rng(3), LENGTHS, vocabulary=80)
    before = scores(backbone, one_batch(texts, ROWS))
    texts[8] = replace(texts[8], token_ids=texts[8].token_ids[::-1])
    after = scores(backbone, one_batch(texts, ROWS))
    assert np.abs(after - before)[8].max() > 1e-2


@pytest.mark.parametrize("chosen", [0, 5, 8])
def test_scores_of_one_example_have_no_gradient_in_another(chosen: int) -> None:
    backbone = backbone_of("bert-odd")
    texts = random_texts(np.random.default_rng(4), LENGTHS, vocabulary=80)
    batch = one_batch(texts, ROWS)
    only = replace(batch, weights=(batch.index == chosen).astype(np.float32))
    _, gradients, _ = loss_and_gradients(backbone, only, graph=False)
    size = np.array([np.abs(gradient).max() for gradient in gradients])
    assert size[chosen] > 1e-3
    assert size[np.arange(len(texts)) != chosen].max() == 0


# Templates, label words, readout, virtual tokens: everything that decides where and how rows are read.
PROMPTS: dict[str, tuple[str, str, Any]] = {
    "cloze": ("{text} it was {mask} .", "positive=great; negative=terrible", "cloze"),
    "a mask in front": ("{mask} : {text}", "positive=great; negative=terrible", "cloze"),
    "several slots": ("it was {mask} . {text}", "positive=very good; negative=not great", "cloze"),
    "words of several lengths": ("{text} was {mask} .", "positive=good,very great; negative=bad,not good", "cloze"),
    "halves": ("{text:first} it was {mask} . {text:second}", "positive=great; negative=bad", "cloze"),
    "head": ("{text} is a film", "positive=great; negative=bad", "head"),
    "virtual tokens": ("{soft:2}{text}{soft:1} {mask} .", "positive=great; negative=bad", "cloze"),
    "virtual tokens and a head": ("{text} {soft:3}", "positive=great; negative=bad", "head"),
}


def task_of(backbone: Backbone, prompt: str, max_length: int) -> PromptTask:
    template, verbalizer, readout = PROMPTS[prompt]
    settings = {"readout": readout, "slots": "mean", "max_length": max_length}
    return prompt_task(backbone.tokenizer, template, verbalizer, **settings)


@pytest.mark.parametrize("prompt", PROMPTS)
def test_every_kind_of_prompt_scores_texts_alike_packed_and_alone(prompt: str) -> None:
    """Texts from none at all to far too long for the model, cut to fit; rows as they are planned."""
    backbone = backbone_of("bert-odd")
    task = task_of(backbone, prompt, max_length=20)
    words, rng = "the film was a great story but not all of it is very good", np.random.default_rng(6)
    texts = [" ".join(rng.choice(words.split(), int(count))) for count in [*rng.integers(0, 12, 12), 40, 200]]
    encoded = task.encoder.encode_many([{"text": text} for text in texts])
    lengths = [len(each.token_ids) for each in encoded]
    assert max(lengths) == 20
    assert any(each.dropped for each in encoded)
    virtual = task.num_virtual
    cell = VirtualTokens(initial_vectors(backbone, task, "vocab")) if virtual else None
    model = SoftPrompt(backbone, task, prompt=cell) if cell else ClozePrompt(backbone, task)
    found = []
    for rows in (plan_rows(lengths, len(texts), backbone.info), Rows(len(texts), 20, 1)):
        (batch,) = task.packer(encoded, None, batch_size=len(texts), rows=rows).epoch(None)
        found.append(by_example(batch, model(tensors(batch.inputs)).asnumpy()))
    assert found[0].shape == (len(texts), 2)
    assert np.abs(found[0] - found[1]).max() < TOLERANCE
    assert np.ptp(found[0]) > 1e-2


def test_the_same_prompt_encoded_by_hand_scores_the_same() -> None:
    """`PromptTask.encode` gives each text a row of its own length."""
    backbone = backbone_of("bert-odd")
    task = task_of(backbone, "cloze", max_length=20)
    model = ClozePrompt(backbone, task)
    texts = ["great film", "bad", "not a very good story but"]
    singly = [model(tensors(task.encode([text]).inputs)).asnumpy()[0] for text in texts]
    encoded = task.encoder.encode_many([{"text": text} for text in texts])
    (batch,) = task.packer(encoded, None, batch_size=3, rows=Rows(1, 40, 3)).epoch(None)
    assert np.abs(by_example(batch, model(tensors(batch.inputs)).asnumpy()) - singly).max() < TOLERANCE
