"""What is written with keys and values kept is what is written without, for every architecture and every prompt."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("mindspore")

from mindspore import Tensor
from models import load

from promptkit import UserError
from promptkit.generation import Sampling
from promptkit.generation.decoding import Decoding, _checked
from promptkit.generation.writing import pieces, write
from promptkit.nn import LayerPrefix, PromptedModel, SoftPrompt, VirtualTokens, tensors
from promptkit.prompting import Encoded, Template
from promptkit.prompting.resolved import PromptTask, resolve_prompt

TOKENS = 5


class Bare(PromptedModel):
    """A language model without a prompt, or behind a prefix of its last layers."""

    def __init__(self, backbone: Any, layers: int, seed: int = 0) -> None:
        super().__init__()
        self.backbone, info = backbone, backbone.info
        shape = (layers, 2, info.kv_heads, 3, info.head_width)
        self.prompt = LayerPrefix(np.random.default_rng(seed).normal(0, 1, shape)) if layers else None

    def embeddings(self, inputs: Any) -> Any:
        return self.backbone.embed(inputs["token_ids"])

    def in_front(self) -> Any:
        return self.prompt() if self.prompt is not None else None


def encoded(*token_ids: list[int]) -> list[Encoded]:
    return [Encoded(tuple(ids), (-1,) * len(ids), (len(ids) - 1,), 0, 0, len(ids)) for ids in token_ids]


def next_scores(model: PromptedModel, prompt: Encoded, more: list[int]) -> Any:
    """Scores of the next token, (V,), all tokens run anew."""
    ids, virtual = [*prompt.token_ids, *more], [*prompt.virtual_ids, *[-1] * len(more)]
    inputs = tensors(
        {
            "token_ids": np.array([ids], np.int32),
            "segment_ids": np.ones((1, len(ids)), np.int32),
            "position_ids": np.arange(len(ids), dtype=np.int32)[None],
            "virtual_ids": np.array([virtual], np.int32),
            "read": np.array([[[len(ids) - 1]]], np.int32),
        }
    )
    backbone: Any = model.backbone
    return backbone.logits(backbone.run(model.embeddings(inputs), inputs, model.in_front())).asnumpy()[0, 0]


def check(model: PromptedModel, prompts: list[Encoded], mode: Any = "pynative") -> None:
    """Compare scores step by step, each text going on with its likeliest token."""
    longest = max(len(prompt.token_ids) for prompt in prompts)
    decoding = Decoding(model, longest=longest, texts=len(prompts), tokens=TOKENS, mode=mode)
    scores, written = decoding.begin(prompts), [list[int]() for _ in prompts]
    for step in range(TOKENS):
        for row, prompt in enumerate(prompts):
            assert np.abs(scores[row] - next_scores(model, prompt, written[row])).max() < 1e-4, (step, row)
            written[row].append(int(scores[row].argmax()))
        if step < TOKENS - 1:
            scores = decoding.go_on([own[-1] for own in written])


@pytest.mark.parametrize("name", ["llama-odd", "qwen3-odd", "gpt2-odd", "bloom-odd"])
@pytest.mark.parametrize("layers", [0, 1])
def test_kept_keys_and_values_change_nothing(name: str, layers: int) -> None:
    check(Bare(load(name), layers), encoded([3, 5, 7, 2], [4, 1]))


def test_one_graph_reads_and_one_writes(backbone: Any) -> None:
    check(Bare(backbone, 2), encoded([9, 5, 17], [12, 30, 31, 8, 40]), "graph")


def asking(backbone: Any, template: str) -> PromptTask:
    return resolve_prompt(
        Template.parse(template), None, labels=(), tokenizer=backbone.tokenizer, readout="answer", slots="same",
        max_length=60, rng=np.random.default_rng(1), kind="causal", max_tokens=TOKENS,
    )  # fmt: skip


def test_texts_beside_each_other_are_written_as_alone_virtual_tokens_among_them(backbone: Any) -> None:
    prompt = asking(backbone, "{soft:3}{text} ? {mask}")
    vectors = np.random.default_rng(2).normal(0, 0.5, (3, backbone.info.hidden_size))
    model = SoftPrompt(backbone, prompt, prompt=VirtualTokens(vectors))
    prompts = prompt.encode_fields([{"text": text} for text in ("the film is good", "it", "a bad plot")])
    settings: dict[str, Any] = {"tokens": TOKENS, "mode": "pynative"}
    together = write(model, prompts, batch_size=2, **settings)
    assert together == write(model, prompts, batch_size=3, **settings)
    for each, own in zip(prompts, together, strict=True):
        for place, token in enumerate(own):
            assert token == next_scores(model, each, own[:place]).argmax()
    drawn = write(model, prompts, batch_size=2, how=Sampling(1.0, 0.9, 4), **settings)
    assert drawn == write(model, prompts, batch_size=3, how=Sampling(1.0, 0.9, 4), **settings) != together


def test_the_end_of_text_ends_it(backbone: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    model, prompts = Bare(backbone, 0), encoded([9, 5, 17])
    monkeypatch.setattr(backbone.tokenizer, "end_ids", ())
    (whole,) = write(model, prompts, tokens=4, mode="pynative")
    assert len(whole) == 4
    end = whole[-1]
    monkeypatch.setattr(backbone.tokenizer, "end_ids", (end, 9_999))
    assert write(model, prompts, tokens=4, mode="pynative") == [whole[: whole.index(end)]]


def test_a_text_that_would_be_too_long_is_refused(backbone: Any) -> None:
    with pytest.raises(UserError, match="lower --max-tokens"):
        Decoding(Bare(backbone, 0), longest=100, texts=1, tokens=100, mode="pynative")


def test_a_character_is_streamed_once_it_is_whole() -> None:
    parts = [b"\xe4\xbd", b"\xa0", "好".encode(), b"!"]

    def decode(ids: Any) -> str:
        return b" ".join([b""]).decode() + b"".join(parts[i] for i in ids).decode(errors="replace")

    assert list(pieces(iter([[0], [1], [2], [3]]), decode)) == ["你", "好", "!"]
    assert list(pieces(iter([[2], [0]]), decode)) == ["好", "\ufffd"]


def test_white_space_is_streamed_with_what_follows_it_and_not_around_the_text() -> None:
    words = [" a", " ", "b", "\n\n"]
    streamed = list(pieces(iter([[n] for n in range(4)]), lambda ids: "".join(words[n] for n in ids)))
    assert streamed == ["a", " b"]


@pytest.mark.parametrize(("value", "refused"), [(np.nan, True), (np.inf, True), (-np.inf, False), (1e30, False)])
def test_scores_that_are_no_numbers_are_not_written_from(value: float, refused: bool) -> None:
    """The likeliest of them would be the first token, for ever; minus infinity is a token that never comes."""
    scores = Tensor(np.array([[0.0, value, 1.0]], np.float32))
    if refused:
        with pytest.raises(UserError, match="scores of the next token are no numbers"):
            _checked(scores)
    else:
        assert _checked(scores).argmax() == (1 if value > 0 else 2)
