"""Class scores from label words, against the definition written out in NumPy."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

pytest.importorskip("mindspore")

import mindspore as ms
from mindspore import Tensor
from models import GOLDENS, load, prompt_task

from promptkit import UserError
from promptkit.backbones.device import set_device
from promptkit.nn import ClozePrompt, LinearReadout, SoftPrompt, VirtualTokens, initial_vectors, tensors
from promptkit.prompting.resolved import PromptTask

LABELS = ("negative", "positive")
TEXTS = ["the film is good", "a boring plot and a bad actor", "like it"]
MLP = {"up": "mlp.0", "down": "mlp.2"}  # of the prompt encoder, and PyTorch's names

set_device("CPU")


@pytest.fixture(scope="module")
def backbone() -> Any:
    return load(GOLDENS / "bert-odd")


def task_of(backbone: Any, template: str, words: str, slots: Any = "same") -> PromptTask:
    return prompt_task(backbone.tokenizer, template, words, LABELS, slots=slots)


def log_probabilities(backbone: Any, task: PromptTask) -> Any:
    """(B, M, V) log-probabilities at the mask slots, over the whole vocabulary."""
    batch = task.encode(TEXTS)
    inputs = tensors(batch.inputs)
    hidden = backbone.run(backbone.embed(inputs["token_ids"]), inputs)
    logits = backbone.logits(hidden).asnumpy().astype(np.float64)
    return logits - np.log(np.exp(logits).sum(-1, keepdims=True))


def normalised(scores: Any) -> Any:
    return scores - np.log(np.exp(scores).sum(-1, keepdims=True))


@pytest.mark.parametrize(
    ("words", "slots", "expected"),
    [
        (
            "positive=great; negative=bad",
            "same",
            lambda lp, w: np.stack([lp[:, 0, w("bad")], lp[:, 0, w("great")]], 1),
        ),
        (
            "positive=great,good; negative=bad,terrible",
            "same",
            lambda lp, w: np.stack(
                [
                    (lp[:, 0, w("bad")] + lp[:, 0, w("terrible")]) / 2,
                    (lp[:, 0, w("great")] + lp[:, 0, w("good")]) / 2,
                ],
                1,
            ),
        ),
        (
            "positive=very good; negative=not good",
            "same",
            lambda lp, w: np.stack(
                [lp[:, 0, w("not")] + lp[:, 1, w("good")], lp[:, 0, w("very")] + lp[:, 1, w("good")]], 1
            ),
        ),
        (
            "positive=great; negative=not good",
            "mean",
            lambda lp, w: np.stack([(lp[:, 0, w("not")] + lp[:, 1, w("good")]) / 2, lp[:, 0, w("great")]], 1),
        ),
    ],
)
def test_cloze_scores_are_the_products_over_mask_slots(backbone: Any, words: str, slots: Any, expected: Any) -> None:
    """p(y|x) = prod_j p([mask]_j = V(y)_j | T(x)), averaged over a class's words in log space."""
    task = task_of(backbone, "{text} it was {mask} .", words, slots)
    found = ClozePrompt(backbone, task)(tensors(task.encode(TEXTS).inputs)).asnumpy()
    reference = expected(log_probabilities(backbone, task), lambda word: backbone.tokenizer.encode(word)[0])
    assert np.abs(normalised(found.astype(np.float64)) - normalised(reference)).max() < 1e-5


def test_a_bias_that_a_word_has_learnt_is_in_the_normaliser_as_well(backbone: Any) -> None:
    task = task_of(backbone, "{text} it was {mask} .", "positive=great; negative=not good", "mean")
    model = ClozePrompt(backbone, task, head_learns=True)
    bias = np.array([0.7, -1.1, 2.0], np.float32)
    model.head.bias.set_data(Tensor(bias))
    found = model(tensors(task.encode(TEXTS).inputs)).asnumpy()
    moved = log_probabilities(backbone, task)
    moved[..., list(task.verbalizer.rows)] += bias
    lp, (good, great, no) = normalised(moved), (backbone.tokenizer.encode(it)[0] for it in ("good", "great", "not"))
    expected = np.stack([(lp[:, 0, no] + lp[:, 1, good]) / 2, lp[:, 0, great]], 1)
    assert np.abs(found - expected).max() < 1e-5


@pytest.mark.parametrize("graph", [False, True], ids=["eager", "graph"])
@pytest.mark.parametrize("shape", [(2, 3, 24), (2, 24), (2, 1, 23)])
def test_a_linear_readout_takes_one_state_of_each_example(backbone: Any, shape: Any, graph: bool) -> None:
    task = task_of(backbone, "{text} it was {mask} .", "positive=great; negative=bad")
    readout = LinearReadout(task, 24, learns=True)

    def scores(hidden: Any) -> Any:
        return readout(hidden)

    call = ms.jit(scores) if graph else scores
    hidden = np.random.default_rng(0).normal(size=(2, 1, 24)).astype(np.float32)
    expected = hidden[:, 0] @ readout.weight.asnumpy().T
    assert np.abs(call(Tensor(hidden)).asnumpy() - expected).max() < 1e-5
    with pytest.raises(
        UserError, match=re.escape(f"the state at one position, (N, 1, 24), not states of shape {shape}")
    ):
        call(Tensor(np.zeros(shape, np.float32)))


def test_virtual_tokens_that_are_word_embeddings_change_nothing(backbone: Any) -> None:
    """`{soft:"it was"}` untrained is the hard template `it was`: same rows, same places, same scores."""
    words = "positive=great; negative=bad"
    soft = task_of(backbone, '{text} {soft:"it was"} {mask} .', words)
    hard = task_of(backbone, "{text} it was {mask} .", words)
    prompt = SoftPrompt(backbone, soft, prompt=VirtualTokens(initial_vectors(backbone, soft, "random")))
    one = prompt(tensors(soft.encode(TEXTS).inputs)).asnumpy()
    other = ClozePrompt(backbone, hard)(tensors(hard.encode(TEXTS).inputs)).asnumpy()
    assert np.abs(one - other).max() < 1e-5


@pytest.mark.parametrize("how", ["random", "vocab", "text"])
def test_initial_vectors_are_what_they_say(backbone: Any, how: str) -> None:
    task = task_of(backbone, "{soft:5}{text} {mask}", "positive=great; negative=bad")
    vectors = initial_vectors(backbone, task, how)
    again = initial_vectors(backbone, task_of(backbone, "{soft:5}{text} {mask}", "positive=great; negative=bad"), how)
    table = backbone.encoder.word.asnumpy()
    nearest = np.abs(vectors[:, None] - table[None]).max(-1).argmin(1)
    assert vectors.shape == (5, 24)
    assert np.array_equal(vectors, again)
    if how == "random":
        assert np.abs(vectors).max() <= 0.5
    else:
        assert np.array_equal(vectors, table[nearest])
    if how == "vocab":
        assert len(set(nearest.tolist())) == 5
    if how == "text":
        great, bad = (backbone.tokenizer.encode(w)[0] for w in ("great", "bad"))
        assert nearest.tolist() == [bad, great, bad, great, bad]


def test_a_start_of_virtual_tokens_that_is_not_known_is_refused(backbone: Any) -> None:
    task = task_of(backbone, "{soft:5}{text} {mask}", "positive=great; negative=bad")
    with pytest.raises(UserError, match=r"unknown start of virtual tokens 'words'.* Known: random, text, vocab"):
        initial_vectors(backbone, task, "words")


@pytest.mark.parametrize(
    ("by_products", "graph"), [(False, False), (True, False), (True, True)], ids=["operator", "products", "compiled"]
)
def test_the_lstm_encoder_and_its_gradients_agree_with_pytorch(by_products: bool, graph: bool) -> None:
    """Bidirectional LSTM and MLP of tests/goldens/lstm.npz, and the gradients of its scalar by all that learns."""
    from promptkit_ptuning.model import PromptEncoder

    golden = dict(np.load(GOLDENS / "lstm.npz"))
    width = golden["lstm.weight_hh_l0"].shape[1]
    layers = 1 + max(int(k.split("_l")[1][0]) for k in golden if k.startswith("lstm.weight_ih_l"))
    encoder = PromptEncoder(golden["input"], width, layers, np.random.default_rng(0), by_products=by_products)
    theirs = {f"{ours}_{kind}": f"{key}.{kind}" for ours, key in MLP.items() for kind in ("weight", "bias")}
    learns = {path: parameter for path, parameter in encoder.parameters_and_names() if parameter.requires_grad}
    for path, parameter in learns.items():
        if path != "inputs":
            parameter.set_data(Tensor(golden[theirs.get(path, path)]))
    cotangent = Tensor(golden["cotangent"])

    def total() -> Any:
        return (encoder() * cotangent).sum()

    gradient = ms.value_and_grad(total, None, weights=list(learns.values()))

    def run() -> Any:
        return gradient()

    assert np.abs(encoder().asnumpy() - golden["output"]).max() < 1e-4
    _, gradients = (ms.jit(run) if graph else run)()
    found = {theirs.get(path, path): each.asnumpy() for path, each in zip(learns, gradients, strict=True)}
    expected = {name[6:]: array for name, array in golden.items() if name.startswith("grad::")}
    expected["inputs"] = golden["grad_input"][None]
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        assert np.abs(found[name] - array).max() < 1e-4, name


@pytest.mark.parametrize("device", ["CPU", "GPU", "Ascend"])
def test_ptuning_on_ascend_computes_its_lstm_of_products(
    backbone: Any, device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from promptkit_ptuning import Options, PTuning

    asked = ms.get_context
    monkeypatch.setattr(ms, "get_context", lambda name: device if name == "device_target" else asked(name))
    model: Any = PTuning(Options()).build(
        backbone, task_of(backbone, "{soft:3}{text} {mask}", "negative=bad; positive=great")
    )
    assert model.encoder.by_products == (device == "Ascend")
