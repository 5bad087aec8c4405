"""Leave-one-out against prompts that are written and encoded without the piece."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

pytest.importorskip("mindspore")

import promptkit
from promptkit import UserError
from promptkit.inspection import attribute
from promptkit.inspection.attribution import _erased, _log_odds
from promptkit.inspection.page import attribution_page
from promptkit.inspection.text import attribution_text, bar
from promptkit.prompting.encoder import Encoded

TEXT = "the film is very good"
HARD = "{text} it was {mask} ."
Artifact = Callable[..., Path]


def log_odds(predictor: promptkit.Predictor, texts: list[str], label: str) -> list[float]:
    """Of one label, from the probabilities that `predict` gives."""
    p = np.array([prediction.probabilities[label] for prediction in predictor.predict(texts)])
    return (np.log(p) - np.log1p(-p)).tolist()


@pytest.mark.parametrize(
    ("strategy", "template"),
    [("hard", HARD), ("pet", HARD), ("soft", "{soft:3}{text} it was {mask} ."), ("hard", "{mask} ! {text}")],
)
def test_a_piece_of_the_text_counts_what_the_text_loses_without_it(
    artifact: Artifact, strategy: str, template: str
) -> None:
    predictor = promptkit.load(artifact(strategy, template))
    found = attribute(predictor, TEXT)
    (only,) = found.templates
    words = TEXT.split()
    shorter = [" ".join(words[:number] + words[number + 1 :]) for number in range(len(words))]
    whole, *without = log_odds(predictor, [TEXT, *shorter], found.label)
    assert only.log_odds == pytest.approx(whole, abs=1e-4)
    pieces = [piece for piece in only.pieces if piece.role == "field:text"]
    assert [piece.text for piece in pieces] == words
    assert [piece.change for piece in pieces] == pytest.approx([whole - each for each in without], abs=1e-4)


@pytest.mark.parametrize(
    ("piece", "shorter"),
    [("it", "{text} was {mask} ."), ("was", "{text} it {mask} ."), (".", "{text} it was {mask}")],
)
def test_a_piece_of_the_template_counts_what_the_template_loses_without_it(
    artifact: Artifact, piece: str, shorter: str
) -> None:
    predictor = promptkit.load(artifact("hard", HARD))
    found = attribute(predictor, TEXT)
    (change,) = (p.change for p in found.templates[0].pieces if (p.text, p.role) == (piece, "template"))
    (whole,) = log_odds(predictor, [TEXT], found.label)
    (without,) = log_odds(promptkit.load(artifact("hard", shorter)), [TEXT], found.label)
    assert change == pytest.approx(whole - without, abs=1e-4)


def test_special_tokens_masks_and_virtual_tokens_stay(artifact: Artifact) -> None:
    (found,) = attribute(
        promptkit.load(artifact("soft", "{soft:2}{text:first} is {mask} {text:second}")), TEXT
    ).templates
    assert [(piece.text, piece.role) for piece in found.pieces if piece.change is None] == [
        ("[CLS]", "special"),
        ("[V0]", "virtual"),
        ("[V1]", "virtual"),
        ("[MASK]", "mask"),
        ("[SEP]", "special"),
    ]
    assert sum(piece.change is not None for piece in found.pieces) == 6


def test_all_erased_prompts_go_through_the_model_at_once(artifact: Artifact, monkeypatch: Any) -> None:
    predictor = promptkit.load(artifact("hard", HARD))
    calls = []
    construct = type(predictor.members[0][1]).construct

    def counted(self: Any, inputs: Any) -> Any:
        calls.append(int(inputs["segment_ids"].asnumpy().max(-1).sum()))
        return construct(self, inputs)

    monkeypatch.setattr(type(predictor.members[0][1]), "construct", counted)
    attribute(predictor, TEXT)
    assert calls == [1 + 5 + 3]


def test_several_templates_are_taken_apart_for_the_label_of_their_mean(artifact: Artifact) -> None:
    predictor = promptkit.load(artifact("hard", HARD, "{mask} ! {text}", "bad {text} , {mask}"))
    found = attribute(predictor, TEXT)
    prediction = predictor.predict([TEXT])[0]
    assert found.label == prediction.label
    assert found.probabilities == pytest.approx(prediction.probabilities, abs=1e-6)
    assert [each.template for each in found.templates] == [HARD, "{mask} ! {text}", "bad {text} , {mask}"]
    for each in found.templates:
        assert each.log_odds == pytest.approx(np.log(each.probability / (1 - each.probability)), abs=1e-5)
    assert "mean over 3 templates" in attribution_text(found)


def test_both_texts_of_a_pair_have_a_say(artifact: Artifact) -> None:
    predictor = promptkit.load(artifact("hard", "{text} ? {mask} , {text_b}"))
    found = attribute(predictor, {"text": "good film", "text_b": "bad plot"})
    roles = [piece.role for piece in found.templates[0].pieces if piece.change is not None]
    assert roles.count("field:text") == 2
    assert roles.count("field:text_b") == 2
    with pytest.raises(UserError, match=r"uses \{text_b\}"):
        attribute(predictor, "good film")


def test_a_long_text_has_its_kept_pieces_judged_and_says_what_was_cut(artifact: Artifact) -> None:
    found = attribute(promptkit.load(artifact("hard", HARD)), "good film " * 30)
    (only,) = found.templates
    assert len(only.pieces) == 40
    assert only.dropped == 60 - 34
    assert "cut off: 26 tokens" in attribution_text(found)
    assert "26 tokens of the text were cut off" in attribution_page(found, "run")


def test_an_empty_text_leaves_the_template_to_be_judged(artifact: Artifact) -> None:
    (found,) = attribute(promptkit.load(artifact("hard", HARD)), "").templates
    assert [piece.text for piece in found.pieces if piece.change is not None] == ["it", "was", "."]


def test_log_odds_of_three_classes() -> None:
    scores = np.array([[1.0, 2.0, 3.0], [0.0, 0.0, 80.0], [500.0, 0.0, -500.0]], np.float32)
    p = np.exp(scores[0]) / np.exp(scores[0]).sum()
    found = _log_odds(scores, 2)
    assert found[0] == pytest.approx(np.log(p[2] / (1 - p[2])))
    assert found[1] == pytest.approx(80 - np.log(2))
    assert found[2] == pytest.approx(-1000)


def test_bars_show_sign_and_size() -> None:
    assert (bar(2.0, 2.0), bar(-1.0, 2.0), bar(0.0, 2.0), bar(0.0, 0.0)) == ("+" * 20, "-" * 10, "", "")


def test_the_page_marks_signs_and_escapes_the_text(artifact: Artifact) -> None:
    found = attribute(promptkit.load(artifact("hard", "{text} < b > {mask}")), TEXT)
    page = attribution_page(found, "<run>")
    assert "&lt;run&gt;" in page
    assert "<run>" not in page
    changes = [piece.change for piece in found.templates[0].pieces if piece.change is not None]
    assert page.count('<span class="sign">+</span>') == sum(change >= 0.0005 for change in changes)
    assert page.count('<span class="sign">−</span>') == sum(change <= -0.0005 for change in changes)
    assert page.count("--shade: 0.6") == 1


def test_of_a_prompt_of_one_piece_nothing_is_taken_out() -> None:
    alone = Encoded((5,), (-1,), (0,), 0, 0, 1)
    assert _erased(alone, ["field:text"]) == ([alone], [])


def test_beside_several_sets_of_demonstrations_the_prediction_is_that_of_all(artifact: Artifact) -> None:
    predictor = promptkit.load(artifact("hard", HARD))
    task, _ = predictor.members[0]
    found = attribute(predictor, TEXT)
    assert found.sets == 1
    assert "sets of demonstrations" not in attribution_text(found)

    class Several:
        """A predictor whose texts are scored with four sets of demonstrations."""

        members: ClassVar[Any] = [(Stands(task), predictor.members[0][1])]
        labels, card, fields, scores = predictor.labels, predictor.card, predictor.fields, predictor.scores

        def probabilities(self, texts: Any) -> Any:
            return np.array([[0.9, 0.1]])

    found = attribute(Several(), TEXT)  # type: ignore[arg-type]
    assert (found.label, found.probabilities) == (predictor.labels[0], {"negative": 0.9, "positive": 0.1})
    assert "beside the first of 4 sets of demonstrations" in " ".join(attribution_text(found).split())


class Stands:
    """A task with four sets of demonstrations."""

    sets = 4

    def __init__(self, task: Any) -> None:
        self._task = task

    def __getattr__(self, name: str) -> Any:
        return getattr(self._task, name)
