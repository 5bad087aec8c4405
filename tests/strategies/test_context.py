"""Demonstrations: laid out with their label words, whole or not at all, and kept for prediction."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("mindspore")

from models import GOLDENS, prompt_task

import promptkit
from promptkit import Example, Strategy, UserError, hookimpl
from promptkit.backbones.native.engine import NativeEngine
from promptkit.hooks import PluginHost
from promptkit.prompting import Layout, Template
from promptkit.prompting.demonstrations import Context
from promptkit.prompting.resolved import PromptTask, resolve_prompt

SHOWN = (Example("good film", "positive"), Example("bad plot", "negative"))


class Showing(Strategy):
    """A frozen model that is shown some of the training examples."""

    name = "showing"
    summary = "demonstrations, for a test"
    depends_on = frozenset({"examples", "seed"})

    def context(self, examples: Sequence[Example], rng: np.random.Generator) -> Sequence[Example]:
        return [examples[int(n)] for n in rng.permutation(len(examples))[:2]]

    def build(self, backbone: Any, task: Any) -> Any:
        from promptkit.nn import ClozePrompt

        return ClozePrompt(backbone, task)


def resolved(
    context: Sequence[Example], max_length: int = 40, template: str = "{text} it was {mask} ."
) -> PromptTask:
    files = NativeEngine().describe(GOLDENS / "bert-odd")
    return prompt_task(files.tokenizer, template, max_length=max_length, context=shown(context))


def shown(pool: Sequence[Example]) -> Context | None:
    return Context(pool, Showing(), ("positive", "negative"), ("text",), (0,), "showing") if pool else None


def pieces(task: PromptTask, text: str) -> list[str]:
    (encoded,) = task.encoder.encode_many([{"text": text}])
    return [task.tokenizer.token(number) for number in encoded.token_ids]


def test_each_demonstration_stands_behind_the_prompt_with_its_label_word() -> None:
    task = resolved(SHOWN)
    assert " ".join(pieces(task, "the film")) == (
        "[CLS] the film it was [MASK] . [SEP] good film it was great . [SEP] bad plot it was terrible . [SEP]"
    )
    (encoded,) = task.encoder.encode_many([{"text": "the film"}])
    assert encoded.read == (5,)


@pytest.mark.parametrize("masks", ["{mask}", "{mask:2}", "{mask}{mask}"])
def test_an_answer_of_several_pieces_stands_there_once_however_the_slots_are_written(masks: str) -> None:
    files = NativeEngine().describe(GOLDENS / "bert-odd")
    task = prompt_task(
        files.tokenizer, f"{{text}} it was {masks} .", "positive=very good; negative=not good", context=shown(SHOWN)
    )
    assert pieces(task, "film")[-15:] == [
        "film", "it", "was", "very", "good", ".", "[SEP]", "bad", "plot", "it", "was", "not", "good", ".", "[SEP]",
    ]  # fmt: skip


def test_one_that_does_not_fit_is_left_out_whole_and_the_text_keeps_half_of_the_room() -> None:
    long = Example("the film was very good and the plot was not bad at all", "positive")
    task = resolved((long, SHOWN[1]), max_length=24)
    assert task.encode_fields([{"text": "the film"}])[0].shown == 1
    assert pieces(task, "the film")[-7:] == ["bad", "plot", "it", "was", "terrible", ".", "[SEP]"]


def test_a_causal_layout_has_them_in_front() -> None:
    layout = Layout(front=(1,), back=(), mask=None, filler=0, closing=(3, 3))
    own = tuple(layout.segments(Template.parse("{text} {mask}"), resolved(()).tokenizer, 1))
    placed = layout.with_demonstrations(own, [(7, 8), (9,)])
    assert [segment.ids for segment in placed[:3]] == [(1,), (7, 8, 3, 3), (9, 3, 3)]
    assert layout.demonstration_size((7, 8)) == 4


def test_without_label_words_nothing_can_be_shown() -> None:
    files = NativeEngine().describe(GOLDENS / "bert-odd")
    with pytest.raises(UserError, match="--readout cloze"):
        resolve_prompt(
            Template.parse("{text}"), None, labels=("a", "b"), tokenizer=files.tokenizer, readout="head",
            slots="same", max_length=40, rng=np.random.default_rng(0), context=shown(SHOWN),
        )  # fmt: skip


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> None:
    """promptkit with the strategy above and the built-in engine."""
    import promptkit_native

    class Plugin:
        @hookimpl
        def promptkit_register_strategies(self, register: Any) -> None:
            register(Showing)

    made = PluginHost.from_plugins({"native": promptkit_native, "showing": Plugin()})
    assert not made.refusals
    for module in ("promptkit.running.plan", "promptkit.running.session", "promptkit.running.restore"):
        monkeypatch.setattr(f"{module}.get_host", lambda: made)
    monkeypatch.setattr("promptkit.running.aims.get_host", lambda: made)


def test_a_run_shows_what_the_strategy_draws_and_its_artifact_shows_the_same(
    host: None, tiny_run: Callable[..., Any], tiny_data: Path, tmp_path: Path
) -> None:
    result = tiny_run("showing", mode="pynative", max_length=50, out=tmp_path / "run")
    other = tiny_run("showing", mode="pynative", max_length=50, seed=1)
    assert not np.array_equal(result.probabilities, other.probabilities)
    predictor = promptkit.load(tmp_path / "run")
    assert predictor.members[0][0].encode_fields([{"text": "the film"}])[0].shown >= 1
    texts = [line.split("\t")[1] for line in (tiny_data / "test.tsv").read_text().splitlines()[1:]]
    assert np.abs(predictor.probabilities(texts) - result.probabilities).max() < 1e-6


def test_examples_that_are_shown_must_be_declared(
    host: None, tiny_run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Showing, "depends_on", frozenset())
    with pytest.raises(UserError, match="its depends_on must name examples"):
        tiny_run("showing", mode="pynative")
