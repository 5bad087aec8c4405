"""In-context learning: which examples stand beside a text, and that a kept prompt shows the same ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("mindspore")

from guide import from_guide
from models import load, prompt_task
from promptkit_icl import InContext, Options

import promptkit
from promptkit import Example, Query, Showing, Strategy, UserError
from promptkit.nn import calibrated, tensors
from promptkit.prompting.demonstrations import Context
from promptkit.strategies.calibration import content_free
from promptkit.strategies.declared import check_class

HARD = "{text} it was {mask} ."
LABELS = ("negative", "positive")
POOL = [
    Example(f"the film was {word}", label)
    for word, label in [("good", "positive"), ("bad", "negative"), ("great", "positive"), ("terrible", "negative")]
]


def icl(**options: Any) -> InContext:
    return InContext(Options(**options))


def context(strategy: Strategy, pool: Sequence[Example] = POOL) -> Context:
    return Context(pool, strategy, LABELS, ("text",), (0,), "icl")


def pieces(task: Any, text: str, number: int = 0) -> str:
    encoded = task.encode_fields([{"text": text}], number + 1)[number]
    return " ".join(task.tokenizer.token(piece) for piece in encoded.token_ids)


def test_balanced_sets_have_the_classes_in_turn_and_share_no_example() -> None:
    strategy = icl(ensemble=2)
    pool = strategy.context(POOL, np.random.default_rng(0))
    chosen = [each for (each,) in context(strategy, pool).chosen([{"text": "a plot"}], 2)]
    assert sorted(chosen[0] + chosen[1]) == [0, 1, 2, 3]
    assert all(sorted(pool[number].label for number in each) == sorted(LABELS) for each in chosen)


def test_an_answer_is_shown_whole_where_its_first_piece_is_read() -> None:
    words = "negative=not good; positive=very good"
    task = prompt_task(
        load("bert-odd").tokenizer, HARD, words, slots="first", max_length=90, context=context(icl(demonstrations=4))
    )
    assert task.verbalizer is not None
    assert task.verbalizer.slots == 1
    assert pieces(task, "a plot").count("very good . [SEP]") == 2
    assert pieces(task, "a plot").count("not good . [SEP]") == 2


def test_random_ones_are_drawn_anew_for_each_seed() -> None:
    drawn = {tuple(icl(choose="random").context(POOL, np.random.default_rng(seed))) for seed in range(40)}
    assert 6 < len(drawn) <= 4 * 3
    assert {len({example.label for example in each}) for each in drawn} == {1, 2}


def test_more_than_there_are_is_refused() -> None:
    with pytest.raises(
        UserError, match="6 different demonstrations are asked for, and there are 4 training examples"
    ):
        icl(demonstrations=3, ensemble=2).context(POOL, np.random.default_rng(0))


def test_the_nearest_are_those_of_the_highest_cosine_and_never_the_text_itself() -> None:
    strategy = icl(choose="similar", demonstrations=2, ensemble=2)
    found = context(strategy)
    states = np.array([[1.0, 0.0], [0.0, 1.0], [0.9, 0.1], [0.2, 0.7]])
    found.measure = lambda texts: (
        states if len(texts) == 4 else np.array([[0.0, 3.0], [1.0, 0.0]], np.float32)  # type: ignore[assignment]
    )
    first, second = found.chosen([{"text": "new"}, {"text": " the  film was good"}], 2)
    # By hand: the mean is (0.525, 0.45); seen from there the first text lies towards examples 1 and 3.
    mean = states.mean(0)
    cosines = [
        float((np.array([0.0, 3.0]) - mean) @ (each - mean))
        / float(np.linalg.norm(np.array([0.0, 3.0]) - mean) * np.linalg.norm(each - mean))
        for each in states
    ]
    ranked = tuple(int(n) for n in np.argsort(-np.array(cosines)))
    assert (first[0], second[0]) == (ranked[:2], ranked[2:])
    assert first[1] == (2, 3)
    assert second[1] == (1,)


def test_a_label_that_train_lacks_makes_no_set_of_the_nearest_go_short() -> None:
    likeness = np.array([0.9, 0.1, 0.5, 0.3])
    sets = [
        icl(choose="similar", ensemble=2).choose(
            Query(tuple(POOL), (*LABELS, "mixed"), frozenset(), likeness, number, (0,))
        )
        for number in range(2)
    ]
    assert sets == [[0, 2], [3, 1]]


@pytest.mark.parametrize(
    ("order", "expected"), [("chosen", [2, 0, 1]), ("reversed", [1, 0, 2]), ("class", [1, 2, 0])]
)
def test_order(order: str, expected: list[int]) -> None:
    assert list(icl(order=order).arrange(POOL, (2, 0, 1))) == expected


def test_the_most_wanted_stay_where_not_all_fit_whatever_the_order() -> None:
    """Room for one: the first chosen, though it would stand last."""
    strategy = icl(demonstrations=3, order="reversed")
    tokenizer = load("bert-odd").tokenizer
    task = prompt_task(tokenizer, HARD, max_length=30, context=context(strategy, POOL[:3]))
    (encoded,) = task.encode_fields([{"text": "a plot"}])
    assert (encoded.shown, encoded.left_out) == (1, 2)
    assert pieces(task, "a plot").endswith("[SEP] the film was good it was great . [SEP]")
    assert [role for _, role in task.explain({"text": "a plot"})].count("demonstration") == 9


class Sampling(InContext):
    """Draws anew for every text."""

    showing = Showing(sets=2, training_sets=0)  # type: ignore[assignment]

    def choose(self, query: Query) -> Sequence[int]:
        return [int(query.rng.choice(query.others))]


def test_what_is_drawn_for_a_text_does_not_hang_on_the_others() -> None:
    texts = [{"text": f"film {n}"} for n in range(12)]
    together = context(Sampling()).chosen(texts, 2)
    alone = [context(Sampling()).chosen([text], 2) for text in texts]
    assert together == [[each[number][0] for each in alone] for number in range(2)]
    assert together[0] != together[1]
    assert len(set(together[0])) > 1


def test_a_choice_that_is_none_is_refused() -> None:
    class Wrong(InContext):
        def choose(self, query: Query) -> Sequence[int]:
            return [0, 4]

    with pytest.raises(UserError, match=r"icl: choose returned \[0, 4\], not different numbers below 4"):
        context(Wrong()).chosen([{"text": "a plot"}], 1)


def test_a_run_by_likeness_is_kept_with_its_pool_and_answers_the_same(
    tiny_run: Callable[..., Any], tiny_data: Path, tmp_path: Path, capsys: Any
) -> None:
    """The likeness of a run is measured by a compiled model, that of a loaded prompt by one that is not."""
    options = {"choose": "similar", "demonstrations": 2, "ensemble": 2}
    settings = {"templates": (HARD,), "max_length": 60, "shots": 8, "out": tmp_path / "run"}
    result = tiny_run("icl", options=options, **settings)
    assert result.record.parameters.total == 0
    assert (result.record.epochs_run, result.record.history) == (0, ())
    predictor = promptkit.load(tmp_path / "run")
    assert len(predictor.card["contexts"][0]) == 16
    texts = [line.split("\t")[1] for line in (tiny_data / "test.tsv").read_text().splitlines()[1:]]
    assert np.abs(predictor.probabilities(texts) - result.probabilities).max() < 1e-6
    assert np.abs(predictor.probabilities(texts[:3]) - result.probabilities[:3]).max() < 1e-6
    # The scores are the mean over the sets.
    prompt, _ = predictor.members[0]
    both = prompt.encode_fields([{"text": text} for text in texts[:3]], 2)
    logs = [np.log(np.exp(s) / np.exp(s).sum(-1, keepdims=True)) for s in np.split(predictor.scores(0, both), 2)]
    mean = np.exp(np.mean(logs, 0))
    assert np.allclose(mean / mean.sum(-1, keepdims=True), result.probabilities[:3], atol=1e-6)


def test_each_set_of_demonstrations_has_a_prior_of_its_own() -> None:
    """Zhao et al. 2021 behind demonstrations: the mean over sets of what content-free inputs score behind each."""
    backbone, strategy = load("bert-odd"), icl(ensemble=2, calibrate="content-free")
    pool = strategy.context(POOL, np.random.default_rng(0))
    task = prompt_task(backbone, HARD, context=context(strategy, pool), max_length=60)
    held, plain = strategy.build(backbone, task), calibrated(backbone, task, "none")
    priors = []
    for number in range(2):
        batch = task.encode(content_free(task), number)
        shown = batch.inputs["token_ids"].tolist()
        assert {str(row).count(str(backbone.tokenizer.sep_id)) > 1 for row in shown} == {True}
        scores = plain(tensors(batch.inputs)).asnumpy().astype(np.float64)
        chances = np.exp(scores) / np.exp(scores).sum(-1, keepdims=True)
        priors.append(np.log(chances.mean(0)))
    assert not np.allclose(priors[0], priors[1], atol=1e-4)
    assert np.allclose(held.prior.asnumpy(), np.mean(priors, 0), atol=1e-5)


def test_a_median_is_of_the_training_texts_behind_their_demonstrations(
    tiny_run: Callable[..., Any], tiny_data: Path, tmp_path: Path
) -> None:
    settings = {"templates": (HARD,), "max_length": 60, "shots": 8, "out": tmp_path / "run"}
    result = tiny_run("icl", options={"calibrate": "median"}, **settings)
    texts = [line.split("\t")[1] for line in (tiny_data / "test.tsv").read_text().splitlines()[1:]]
    predictor = promptkit.load(tmp_path / "run")
    assert np.abs(predictor.probabilities(texts) - result.probabilities).max() < 1e-6
    assert result.record.parameters.head == 2
    _, model = predictor.members[0]
    plain = tiny_run("icl", templates=(HARD,), max_length=60, shots=8).probabilities
    apart = np.log(result.probabilities) - np.log(plain)
    prior = -model.prior.asnumpy()
    assert np.allclose(apart[:, 0] - apart[:, 1], prior[0] - prior[1], atol=1e-4)


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"calibrate": "median", "ensemble": 2}, "calibrate=median is for one set of demonstrations"),
        ({"calibrate": "pmi", "choose": "similar"}, "calibrate=pmi looks at no text"),
    ],
)
def test_a_calibration_that_cannot_be_is_refused(options: dict[str, Any], line: str) -> None:
    with pytest.raises(UserError, match=line):
        icl(**options).check("cloze", [])


def test_draws_and_what_did_not_fit_are_said(tiny_run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    settings = {"templates": (HARD,), "mode": "pynative"}
    first = tiny_run("icl", options={"demonstrations": 4}, **settings)
    assert any("demonstrations did not fit beside their texts" in warning for warning in first.record.warnings)
    other = tiny_run("icl", options={"demonstrations": 4}, seed=1, **settings)
    assert not np.array_equal(first.probabilities, other.probabilities)
    monkeypatch.setattr(InContext, "depends_on", frozenset({"examples"}))
    with pytest.raises(UserError, match="drawn at random; its depends_on must name seed"):
        tiny_run("icl", **settings)


def test_a_head_shows_no_answers(tiny_run: Callable[..., Any]) -> None:
    with pytest.raises(UserError, match="shows label words; use --readout cloze"):
        tiny_run("icl", templates=("{text}",), readout="head")


def test_the_strategy_of_the_guide_shows_the_nearest() -> None:
    strategy = from_guide("NearestNeighbours")()
    assert check_class(type(strategy)) is None
    asked = context(strategy, strategy.context(POOL, np.random.default_rng(0)))
    asked.measure = lambda texts: np.eye(4, dtype=np.float32)[: len(texts)]
    assert asked.chosen([{"text": "new"}], 1) == [[(0, 1, 2)]]


def test_of_no_texts_no_likeness_is_measured() -> None:
    """Texts without labels, for one, of which there may be none."""
    asked = context(icl(choose="similar"))
    asked.measure = lambda texts: pytest.fail("nothing is to be measured")
    assert asked.chosen([], 2) == [[], []]
