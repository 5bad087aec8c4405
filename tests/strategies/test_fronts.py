"""What all prompts of a causal model begin with is computed once, and every number is that of the whole prompt."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from models import GOLDENS

ms = pytest.importorskip("mindspore")

import promptkit
from promptkit import Example, PromptTask, UserError
from promptkit.data import Rows, load_task
from promptkit.hooks import get_host
from promptkit.nn import ClozePrompt, PromptedModel, SoftPrompt, VirtualTokens, tensors
from promptkit.prompting import Template
from promptkit.prompting.demonstrations import Context
from promptkit.prompting.resolved import resolve_prompt
from promptkit.running.guard import build_model
from promptkit.testing import prompt_task, write_tiny_task
from promptkit.training import Executor, NextTokens, PackedSource

VIRTUAL = "{soft:9} the film {text} was {mask}"
WORDS = "the film was good and the plot was bad so {text} {mask}"
TEXTS = ("good", "a bad film of the day", "", "the")


def scores(task: PromptTask, model: Any, length: int = 40) -> tuple[Any, Any, Any]:
    """Scores of the texts, the gradient of a sum of them by the virtual tokens, and how many positions it took."""
    encoded = task.encode_fields([{"text": text} for text in TEXTS])
    (batch,) = task.packer(encoded, None, batch_size=4, rows=Rows(2, length, 4)).epoch(None)
    real = batch.index >= 0

    def of() -> Any:
        return model(tensors(batch.inputs))

    def total() -> Any:
        return (of()[:, 0] * ms.Tensor(real.astype(np.float32))).sum()

    found = np.zeros((len(TEXTS), 2))
    found[batch.index[real]] = of().asnumpy()[real]
    learning = model.trainable_params()
    gradient = ms.grad(total, None, weights=learning)()[0].asnumpy() if learning else np.zeros(1)
    return found, gradient, [len(each.token_ids) for each in encoded]


@pytest.mark.parametrize("template", [VIRTUAL, WORDS])
def test_scores_and_gradients_are_those_of_whole_prompts(causal: Any, template: str) -> None:
    found = []
    for front in (False, True):
        task = prompt_task(causal, template, front=front, kind="causal")
        vectors = np.random.default_rng(0).normal(0, 0.5, (task.num_virtual, causal.info.hidden_size))
        virtual = VirtualTokens(vectors) if task.num_virtual else None
        model = SoftPrompt(causal, task, prompt=virtual) if virtual else ClozePrompt(causal, task)
        found.append(scores(task, model))
        # The front is the model's own, and no part of what is kept.
        assert list(model.own_parameters()) == (["prompt.vectors"] if virtual else [])
    (plain, by_plain, lengths), (behind, by_behind, shorter) = found
    assert np.abs(plain - behind).max() < 1e-5
    assert np.abs(by_plain - by_behind).max() < 1e-5
    begins = 12 if template == VIRTUAL else 11
    # Where nothing but the text stands between front and answer an empty text is read in the front, and stays whole.
    whole = () if template == VIRTUAL else (2,)
    assert shorter == [n - begins * (number not in whole) for number, n in enumerate(lengths)]


def test_a_front_is_for_a_frozen_model_and_has_to_be_taken(causal: Any) -> None:
    task = prompt_task(causal, WORDS, front=True, kind="causal")
    with pytest.raises(UserError, match="computed once for a frozen language model"):
        ClozePrompt(causal.trainable("all"), task)

    class Forgetful(PromptedModel):
        def construct(self, inputs: Any) -> Any:
            return inputs["read"]

    strategy = SimpleNamespace(build=lambda backbone, task: Forgetful())
    with pytest.raises(UserError, match=r"^mine: it says that it takes what all prompts begin with"):
        build_model(strategy, causal, task, "mine")  # type: ignore[arg-type]


def test_what_is_cut_off_can_be_put_back(causal: Any) -> None:
    tasks = [prompt_task(causal, WORDS, front=front, kind="causal") for front in (False, True)]
    plain, cut = (task.encode_fields([{"text": text} for text in TEXTS]) for task in tasks)
    assert [each.front for each in cut] == [11, 11, 0, 11]
    assert [tasks[1].encoder.whole(each) for each in cut] == plain


def test_little_in_front_is_left_where_it_is_and_a_masked_model_has_no_front(causal: Any) -> None:
    assert prompt_task(causal, "the film {text} was {mask}", front=True, kind="causal").front is None
    assert not takes_front("bert")


def takes_front(name: str) -> bool:
    from promptkit.backbones.native.engine import NativeEngine

    return NativeEngine().describe(GOLDENS / f"{name}-odd").info.takes_front


class Always:
    """Chooses the same demonstrations for every text, or draws for each."""

    showing = promptkit.Showing()

    def __init__(self, draws: bool) -> None:
        self.draws = draws

    def choose(self, query: Any) -> Any:
        return query.rng.permutation(8)[:2] if self.draws else query.others

    def arrange(self, pool: Any, chosen: Any) -> Any:
        return chosen


@pytest.mark.parametrize("draws", [False, True])
def test_demonstrations_are_in_front_where_they_are_the_same_for_every_text(causal: Any, draws: bool) -> None:
    pool = [Example(f"the film was {word}", "positive") for word in ("good", "bad", "a", "b", "c", "d", "e", "f")]
    context = Context(pool, Always(draws), ("negative", "positive"), ("text",), (0,), "always")
    task = prompt_task(causal, "{text} {mask}", front=True, kind="causal", context=context, max_length=120)
    encoded = task.encode_fields([{"text": "new"}, {"text": "the film was b"}])
    assert (encoded[0].front > 8) is not draws
    # A text that is one of the demonstrations has the others beside it, and so a beginning of its own.
    assert encoded[1].front == 0


@pytest.mark.slow
def test_runs_give_the_numbers_of_whole_prompts(
    causal_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, found = str(write_tiny_task(tmp_path / "data")), {}
    for strategy, template, options in (
        ("hard", WORDS, {"calibrate": "content-free"}),
        ("icl", "{text} {mask}", {"demonstrations": 6}),
        ("soft", VIRTUAL, {}),
    ):
        for whole in (False, True):
            with monkeypatch.context() as patch:
                if whole:
                    for entry in get_host().strategies.values():
                        patch.setattr(entry.cls, "fronts", False)
                result = promptkit.run(
                    strategy, data=data, model=str(causal_folder), templates=[template], shots=4, epochs=1,
                    options=options, out=str(tmp_path / f"{strategy}-{whole}"), quiet=True,
                    verbalizer="positive=good; negative=bad",
                )  # fmt: skip
                found[strategy, whole] = result.probabilities
                if not whole:
                    texts = [example.text for example in load_task(data).test]
                    loaded = promptkit.load(result.directory).probabilities(texts)
        assert np.abs(found[strategy, False] - found[strategy, True]).max() < 1e-4, strategy
        assert np.abs(loaded - found[strategy, True]).max() < 1e-4, strategy


def test_label_words_of_several_pieces_go_on_behind_a_front_too(causal: Any) -> None:
    found = []
    for front in (False, True):
        task = prompt_task(
            causal, VIRTUAL, "positive=good film; negative=bad", front=front, kind="causal", max_length=80
        )
        vectors = np.random.default_rng(0).normal(0, 0.5, (task.num_virtual, causal.info.hidden_size))
        found.append(scores(task, SoftPrompt(causal, task, prompt=VirtualTokens(vectors)), length=80))
        cut = task.encode_fields([{"text": text} for text in TEXTS])
        assert [len(task.encoder.whole(each).token_ids) for each in cut] == found[0][2]
    (plain, by_plain, _), (behind, by_behind, _) = found
    assert np.abs(plain - behind).max() < 1e-5
    assert np.abs(by_plain - by_behind).max() < 1e-5


PAIRS = (("good", "yes it was"), ("a bad film of the day", "no"), ("", "very boring"), ("the", "no it was not"))


@pytest.mark.parametrize("template", [VIRTUAL, WORDS])
def test_answers_behind_a_front_are_learnt_from_as_behind_whole_prompts(causal: Any, template: str) -> None:
    found = []
    for front in (False, True):
        task = resolve_prompt(
            Template.parse(template), None, labels=(), tokenizer=causal.tokenizer, readout="answer", slots="same",
            max_length=40, rng=np.random.default_rng(0), kind="causal", max_tokens=4, front=front,
        )  # fmt: skip
        vectors = np.random.default_rng(0).normal(0, 0.5, (task.num_virtual, causal.info.hidden_size))
        virtual = VirtualTokens(vectors) if task.num_virtual else None
        model = SoftPrompt(causal, task, prompt=virtual) if virtual else ClozePrompt(causal, task)
        executor = Executor(model, "pynative", print, NextTokens())
        encoded = task.encode_examples([Example(text, answer) for text, answer in PAIRS])
        rows = task.rows_for(Rows(2, 60, 4), encoded, 4)
        source = PackedSource(task.packer(encoded, None, batch_size=4, rows=rows))
        learns, (step,) = list(model.trainable_params()), source.epoch(None)
        gradient = executor.loss_and_gradients(step)[1][0].asnumpy() if learns else np.zeros(1)
        found.append((executor.scores(source), gradient, [len(each.token_ids) for each in encoded]))
        prompts = task.encode_whole([{"text": text} for text, _ in PAIRS])
        sizes = [len(each.token_ids) + len(own.read) for each, own in zip(prompts, encoded, strict=True)]
        assert sizes == found[0][2]
    (plain, by_plain, lengths), (behind, by_behind, shorter) = found
    assert np.abs(plain - behind).max() < 1e-4
    assert np.abs(by_plain - by_behind).max() < 1e-5
    assert sum(lengths) - sum(shorter) >= 3 * 11
