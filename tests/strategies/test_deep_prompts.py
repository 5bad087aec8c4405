"""`prefix` and `ptuning-v2`: keys and values in the layers, where they start, and what is kept of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from models import GOLDENS, load, prompt_task

pytest.importorskip("mindspore")

from mindspore import Tensor, nn

import promptkit
from promptkit import UserError
from promptkit.hooks import get_host
from promptkit.nn import (
    LayerPrefix,
    PrefixEncoder,
    PrefixPrompt,
    SoftPrompt,
    count_parameters,
    deep_prompt,
    initial_prefix,
    tensors,
)
from promptkit.strategies.contract import parse_options
from promptkit.strategies.prefixes import task_words
from promptkit.strategies.virtual import label_pieces

Run = Callable[..., Any]
TEMPLATE = "{text} it was {mask} ."
TEXTS = ["the film is good", "bad"]
L, A, D, H = 3, 3, 8, 24  # of the tiny BERT


@pytest.fixture(scope="module")
def backbone() -> Any:
    return load("bert-odd")


def built(backbone: Any, strategy: str, task: Any, **options: Any) -> tuple[Any, Any]:
    """Return a built-in strategy, and the model it builds."""
    cls = get_host().strategy(strategy).cls
    made = cls(parse_options(cls, options))
    return made, made.build(backbone, task)


@pytest.mark.parametrize(
    ("strategy", "settings", "counts", "shape"),
    [
        (
            "prefix",
            {"templates": (TEMPLATE,), "epochs": 30, "lr": 0.3, "options": {"tokens": 4, "layers": 2}},
            {"prompt": 2 * 2 * A * 4 * D, "encoder": 0, "head": 0},
            (2, 2, A, 4, D),
        ),
        (
            "ptuning-v2",
            {"epochs": 12, "lr": 0.03, "options": {"tokens": 4, "reparametrise": True, "width": 6}},
            {"prompt": 0, "encoder": 4 * 6 + (6 + 1) * 6 + (6 + 1) * L * 2 * H, "head": 2 * H + 2},
            (L, 2, A, 4, D),
        ),
    ],
)
def test_it_learns_a_separable_task_and_its_artifact_predicts_the_same(
    tiny_run: Run, tiny_data: Path, tmp_path: Path, strategy: str, settings: Any, counts: Any, shape: Any
) -> None:
    result = tiny_run(strategy, model=str(GOLDENS / "bert-odd"), patience=0, out=tmp_path / "run", **settings)
    record = result.record
    losses = [epoch.loss for epoch in record.history]
    assert min(losses) < 0.6 * losses[0]
    assert record.test.accuracy > record.test.majority + 0.3
    assert record.parameters.model_dump(include=counts.keys()) == counts
    assert record.parameters.backbone == 0
    assert record.options.mode == "graph"
    assert record.options.readout == ("head" if strategy == "ptuning-v2" else "cloze")

    from promptkit.runs import load_artifact

    kept, _ = load_artifact(tmp_path / "run" / "prompt.safetensors")
    assert kept["0.prompt.values"].shape == shape
    assert not [name for name in kept if "encoder" in name]
    texts = [line.split("\t")[1] for line in (tiny_data / "test.tsv").read_text().splitlines()[1:]]
    loaded = promptkit.load(tmp_path / "run").probabilities(texts)
    assert np.abs(loaded - result.probabilities).max() < 1e-6


@pytest.mark.parametrize(("strategy", "readout"), [("prefix", "cloze"), ("ptuning-v2", "head")])
def test_a_folded_network_gives_the_same_scores_and_leaves_keys_and_values(
    backbone: Any, strategy: str, readout: str
) -> None:
    task = prompt_task(backbone.tokenizer, TEMPLATE, readout=readout)
    made, model = built(backbone, strategy, task, tokens=5, layers=2, reparametrise=True, width=7)
    folded = made.fold(model)
    batch = tensors(task.encode(TEXTS).inputs)
    assert np.array_equal(model(batch).asnumpy(), folded(batch).asnumpy())
    assert count_parameters(model)["encoder"] > count_parameters(model)["prompt"] == 0
    head = {"head.weight": (2, H), "head.bias": (2,)} if readout == "head" else {}
    shapes = {path: tuple(p.shape) for path, p in folded.own_parameters().items()}
    assert shapes == {"prompt.values": (2, 2, A, 5, D), **head}
    assert made.fold(folded) is folded


def test_the_network_is_that_of_the_paper() -> None:
    """W_2 tanh(W_1 e_i + a_1) + a_2 for each position, laid out as layers, keys and values, heads."""
    shape, width = (2, 2, 3, 4, 5), 6
    encoder = PrefixEncoder(shape, width, np.random.default_rng(0))
    e, w1, a1, w2, a2 = (
        getattr(encoder, name).asnumpy().astype(np.float64)
        for name in ("embeddings", "up_weight", "up_bias", "down_weight", "down_bias")
    )
    found = encoder().asnumpy()
    assert found.shape == shape
    assert np.abs(e).max() > 1.5
    assert width**-0.5 * 0.9 < np.abs(w2).max() <= width**-0.5
    for position in range(4):
        expected = (w2 @ np.tanh(w1 @ e[position] + a1) + a2).reshape(2, 2, 3, 5)
        assert np.abs(found[:, :, :, position] - expected).max() < 1e-6


def test_a_random_start_is_small_in_the_values_and_repeats(backbone: Any) -> None:
    one, again, other = (
        initial_prefix(backbone, prompt_task(backbone.tokenizer, seed=seed), "random", 40, L) for seed in (0, 0, 1)
    )
    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)
    assert one.shape == (L, 2, A, 40, D)
    assert one[:, 0].std() == pytest.approx(0.5, rel=0.05)
    assert one[:, 1].std() == pytest.approx(0.02, rel=0.05)


def test_the_words_of_a_task_are_its_templates_with_the_label_words(backbone: Any) -> None:
    def words(count: int, *args: Any, **settings: Any) -> list[str]:
        task = prompt_task(backbone.tokenizer, *args, **settings)
        return [backbone.tokenizer.token(piece) for piece in task_words(task, count)]

    assert words(10) == ["it", "was", "terrible", ".", "it", "was", "great", ".", "it", "was"]
    several = "positive=very good; negative=not good"
    # No class goes without its word: 8 of 10, so each round loses its first.
    assert words(8, TEMPLATE, several) == ["was", "not", "good", ".", "was", "very", "good", "."]
    assert words(3, "{text} {mask}") == ["terrible", "great", "terrible"]
    assert words(5, "{text} film", readout="head", labels=("bad", "good")) == ["film", "bad", "film", "good", "film"]
    masked = words(6, "{text} a {mask} film", readout="head", labels=("bad", "good"))
    assert masked == ["a", "bad", "film", "a", "good", "film"]


@pytest.mark.parametrize(
    ("words", "pieces"), [("positive=great; negative=terrible", 1), ("positive=very good; negative=not good", 2)]
)
def test_on_a_causal_model_the_label_words_stand_behind_the_templates(words: str, pieces: int) -> None:
    tokenizer = load("llama-odd").tokenizer
    task = prompt_task(tokenizer, "{text} it was {mask}", words, kind="causal")
    own = tokenizer.encode(" it was")
    expected = [piece for label_word in label_pieces(task) for piece in (*own, *label_word)]
    assert task_words(task, len(expected), "causal") == expected
    assert {len(label_word) for label_word in label_pieces(task)} == {pieces}


def test_a_start_from_activations_is_what_the_model_computes_for_these_words(backbone: Any) -> None:
    """The keys and values of `[CLS] terrible . great . [SEP]`, of the last layers; the first layer's by hand."""
    tokenizer = backbone.tokenizer
    found = initial_prefix(backbone, prompt_task(tokenizer), "activations", 4, L)
    ids = [tokenizer.cls_id, *tokenizer.encode("terrible . great ."), tokenizer.sep_id]
    own = backbone.keys_and_values(backbone.embed(Tensor(np.array(ids, np.int32)))).asnumpy()
    assert np.array_equal(found, own[:, :, :, 1:-1])
    assert np.array_equal(initial_prefix(backbone, prompt_task(tokenizer), "activations", 4, 1), found[-1:])

    encoder, layer = backbone.encoder, backbone.encoder.layers[0]
    x = encoder.word.asnumpy()[ids] + encoder.position.asnumpy()[: len(ids)]
    x = x.astype(np.float64) - x.mean(-1, keepdims=True)
    x /= np.sqrt((x**2).mean(-1, keepdims=True) + encoder.norm.core.norm.eps)
    x = x * encoder.norm.weight.asnumpy() + encoder.norm.bias.asnumpy()
    for which in (0, 1):
        rows = slice((which + 1) * H, (which + 2) * H)
        y = x @ layer.qkv_weight.asnumpy()[rows].T + layer.qkv_bias.asnumpy()[rows]
        expected = y.reshape(len(ids), A, D).transpose(1, 0, 2)[:, 1:-1]
        assert np.abs(found[0, which] - expected).max() < 1e-5


def test_only_a_causal_model_starts_from_activations_unless_told_otherwise(backbone: Any, causal: Any) -> None:
    for model, kind, usual in ((backbone, "masked", "random"), (causal, "causal", "activations")):
        template = TEMPLATE if kind == "masked" else "{text} it was {mask}"
        starts = {}
        for init in ("auto", "random", "activations"):
            task = prompt_task(model, template, kind=kind)
            starts[init] = built(model, "prefix", task, init=init, tokens=4)[1].keys_and_values().asnumpy()
        assert {init for init in ("random", "activations") if np.array_equal(starts[init], starts["auto"])} == {usual}


def test_a_start_from_words_is_as_long_as_they_are(backbone: Any) -> None:
    tokenizer, task = backbone.tokenizer, prompt_task(backbone.tokenizer)
    found = initial_prefix(backbone, task, "activations", 32, L, "the film is good")
    ids = [tokenizer.cls_id, *tokenizer.encode("the film is good"), tokenizer.sep_id]
    own = backbone.keys_and_values(backbone.embed(Tensor(np.array(ids, np.int32)))).asnumpy()
    assert np.array_equal(found, own[:, :, :, 1:-1])
    _, model = built(backbone, "ptuning-v2", task, words="the film is good", layers=2)
    assert np.array_equal(model.keys_and_values().asnumpy(), found[1:])


def test_before_it_learns_a_causal_model_answers_as_if_the_words_stood_in_front() -> None:
    causal = load("qwen2-odd")
    words, inside = "the film was good", "the {text} {mask}"
    as_words = prompt_task(causal, f"{words}\n\n{inside}", kind="causal")
    as_prefix = prompt_task(causal, inside, kind="causal")
    _, model = built(causal, "prefix", as_prefix, words=words)
    _, plain = built(causal, "hard", as_words)
    _, other = built(causal, "hard", as_prefix)
    found, expected, without = (
        each(tensors(task.encode(TEXTS).inputs)).asnumpy()
        for each, task in ((model, as_prefix), (plain, as_words), (other, as_prefix))
    )
    assert np.abs(found - expected).max() < 1e-5
    assert np.abs(without - expected).max() > 1e-3


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"words": "the film", "reparametrise": True}, "cannot start from activations"),
        ({"layers": 4}, "a prefix for 4 layers: model 'bert-odd' has 3"),
        ({"init": "activations", "reparametrise": True}, "cannot start from activations"),
        ({"init": "activations", "tokens": 200}, r"a prefix of 200 words: model 'bert-odd' takes \d+ at most"),
    ],
)
def test_what_cannot_be_is_one_line(backbone: Any, options: Any, said: str) -> None:
    with pytest.raises(UserError, match=said):
        built(backbone, "prefix", prompt_task(backbone.tokenizer), **options)


@pytest.mark.parametrize("how", ["auto", "random", "activations"])
def test_a_start_is_for_as_many_layers_as_there_are(backbone: Any, how: Any) -> None:
    def start(layers: int) -> Any:
        return initial_prefix(backbone, prompt_task(backbone.tokenizer), how, 4, layers)

    assert np.array_equal(start(0), start(L))
    for layers in (L + 1, -1):
        with pytest.raises(UserError, match=f"a prefix for {layers} layers: model 'bert-odd' has 3"):
            start(layers)


@pytest.mark.parametrize(
    ("shape", "said"),
    [
        ((L + 1, 2, A, 4, D), "a prefix for 4 layers: model 'bert-odd' has 3"),
        (
            (2, A, 4, D),
            r"a prefix of shape \(2, 3, 4, 8\): model 'bert-odd' takes \(K, 2, 3, P, 8\), keys and values",
        ),
        ((0, 2, A, 4, D), r"a prefix of shape \(0, 2, 3, 4, 8\): .* last K layers, of 1 to 3"),
        ((L, 1, A, 4, D), r"a prefix of shape \(3, 1, 3, 4, 8\)"),
        ((L, 2, A - 1, 4, D), r"a prefix of shape \(3, 2, 2, 4, 8\)"),
        ((L, 2, A, 0, D), r"a prefix of shape \(3, 2, 3, 0, 8\)"),
        ((L, 2, A, 4, D + 1), r"a prefix of shape \(3, 2, 3, 4, 9\)"),
    ],
)
def test_a_prefix_that_does_not_fit_is_refused_when_the_model_is_built(backbone: Any, shape: Any, said: str) -> None:
    task, cell = prompt_task(backbone.tokenizer), LayerPrefix(np.zeros(shape))
    for given in ({"prompt": cell}, {"encoder": cell}):
        with pytest.raises(UserError, match=said):
            PrefixPrompt(backbone, task, **given)


def test_a_cell_that_gives_no_tensor_is_no_prefix(backbone: Any) -> None:
    class Keys(nn.Cell):
        def construct(self) -> Any:
            return 1, 2

    with pytest.raises(UserError, match=r"a prefix is a tensor \(K, 2, A_kv, P, D\); the cell returns a tuple"):
        PrefixPrompt(backbone, prompt_task(backbone.tokenizer), encoder=Keys())


def test_a_start_that_is_not_known_is_refused(backbone: Any) -> None:
    with pytest.raises(UserError, match=r"unknown start of a prefix 'vocab'.* Known: activations, auto, random"):
        initial_prefix(backbone, prompt_task(backbone.tokenizer), "vocab", 3, 1)  # type: ignore[arg-type]


@pytest.mark.parametrize("model", [SoftPrompt, PrefixPrompt])
def test_a_frozen_model_takes_one_cell(backbone: Any, model: Any) -> None:
    task = prompt_task(backbone.tokenizer, "{soft:4}" + TEMPLATE)
    cell, array = LayerPrefix(np.zeros((L, 2, A, 4, D))), np.zeros((4, H))
    for given, said in (
        ({}, "takes a prompt or an encoder, not none"),
        ({"prompt": cell, "encoder": cell}, "takes a prompt or an encoder, not both"),
        ({"prompt": array}, "takes a cell as prompt, e.g. .*, not a ndarray"),
        ({"encoder": array}, "takes a cell as encoder, e.g. .*, not a ndarray"),
    ):
        with pytest.raises(UserError, match=f"{model.__name__} {said}"):
            model(backbone, task, **given)


@pytest.mark.parametrize("strategy", ["prefix", "ptuning-v2"])
def test_virtual_tokens_in_the_template_are_refused(tiny_run: Run, strategy: str) -> None:
    with pytest.raises(UserError, match="virtual tokens"):
        tiny_run(strategy, templates=("{soft:3}{text} {mask}",))


def test_a_prefix_starts_where_its_options_say(backbone: Any) -> None:
    task = prompt_task(backbone.tokenizer)
    _, model = built(backbone, "prefix", task, init="activations", tokens=4, layers=1)
    assert np.array_equal(model.keys_and_values().asnumpy(), initial_prefix(backbone, task, "activations", 4, 1))
    whole = deep_prompt(backbone, task, tokens=4)
    assert whole.keys_and_values().shape == (L, 2, A, 4, D)
