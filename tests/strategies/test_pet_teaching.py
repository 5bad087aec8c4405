"""What PET's models teach, against the formulas of Schick & Schütze (2021), sections 3.3 and 3.4. No MindSpore."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
from promptkit_pet import Options, Pet
from promptkit_pet.teaching import next_lessons, soft_labels

from promptkit import Example, Round, Template

LABELS = np.array([0, 0, 0, 1, 1])
DRAW = tuple(Example(f"labelled {n}", "xy"[label]) for n, label in enumerate(LABELS))


def ended(
    scores: Any, *, weights: Any = None, number: int = 1, seed: int = 0, said: list[str] | None = None
) -> Round:
    """Return the end of a round whose models gave unnormalised scores, (n, U, C)."""
    logs = np.asarray(scores, np.float64)
    texts = tuple(Example(f"text {n}", "") for n in range(logs.shape[1]))
    warn = pytest.fail if said is None else said.append
    weights = np.ones(len(logs)) if weights is None else np.asarray(weights)
    return Round(number, DRAW, LABELS, texts, logs, weights, np.random.default_rng(seed), warn)


def sure_scores(texts: int, models: int = 4) -> Any:
    """Return scores by which every other text is of class 1, and the later ones are surer."""
    sign = np.where(np.arange(texts) % 2, 1.0, -1.0) * np.linspace(0.1, 4.0, texts)
    return np.repeat(np.stack([-sign, sign], -1)[None], models, axis=0)


@pytest.mark.parametrize("weights", [[1.0, 1.0, 1.0], [0.5, 0.9, 0.0]])
@pytest.mark.parametrize("temperature", [1.0, 2.0, 5.0])
def test_soft_labels_are_the_softmax_of_the_weighed_mean_score_at_a_temperature(
    weights: list[float], temperature: float
) -> None:
    scores = np.random.default_rng(0).normal(0.0, 4.0, (3, 7, 3))
    lesson = soft_labels(ended(scores, weights=weights), temperature)
    mean = sum(w * s for w, s in zip(weights, scores, strict=True)) / sum(weights)
    wanted = np.exp(mean / temperature)
    wanted /= wanted.sum(-1, keepdims=True)
    assert np.allclose(lesson.targets, wanted, atol=1e-12)
    # What a softmax has taken off is no matter.
    logs = scores - np.log(np.exp(scores).sum(-1, keepdims=True))
    assert np.allclose(soft_labels(ended(logs, weights=weights), temperature).targets, wanted, atol=1e-12)
    assert [each.text for each in lesson.examples] == [f"text {n}" for n in range(7)]


def test_models_without_weight_count_equally_where_they_are_all_there_are() -> None:
    scores = np.random.default_rng(0).normal(0.0, 4.0, (3, 7, 2))
    given = ended(scores, weights=[0.0, 0.0, 0.7])
    equal = ended(scores)
    assert np.array_equal(given.probabilities([0, 1]), equal.probabilities([0, 1]))
    assert np.allclose(given.probabilities(), equal.probabilities([2]))


@pytest.mark.parametrize(("growth", "number"), [(2, 1), (2, 2), (5, 1), (5, 2)])
def test_each_generation_has_its_multiple_of_every_class(growth: int, number: int) -> None:
    lessons = next_lessons(ended(sure_scores(300), number=number), growth, 0.25)
    assert len(lessons) == 4
    for lesson in lessons:
        assert Counter(lesson.targets.tolist()) == {0: 3 * growth**number, 1: 2 * growth**number}
        assert lesson.examples[: len(DRAW)] == DRAW
        added = [int(each.text.split()[1]) for each in lesson.examples[len(DRAW) :]]
        assert len(set(added)) == len(added)
        assert [n % 2 for n in added] == lesson.targets[len(DRAW) :].tolist()


def test_a_model_learns_what_others_say_and_never_what_it_says_itself() -> None:
    """Model 0 contradicts the rest: its own set has their labels, and where it labels alone the set has its."""
    scores = sure_scores(60, 2)
    scores[0] *= -1.0
    first, second = next_lessons(ended(scores), 3, 1.0)
    for lesson, parity in ((first, 0), (second, 1)):
        added = zip(lesson.examples[len(DRAW) :], lesson.targets[len(DRAW) :], strict=True)
        assert all((int(each.text.split()[1]) + parity) % 2 == label for each, label in added)


def test_lambda_says_how_many_of_the_others_label() -> None:
    """Of four models three are others; whatever the share, at least one labels."""
    asked: list[int] = []

    class Asked(Round):
        def probabilities(self, models: Any = None, temperature: float = 1.0) -> Any:
            asked.append(len(models))
            return super().probabilities(models, temperature)

    for share in (0.25, 0.5, 1.0, 0.01):
        next_lessons(Asked(**vars(ended(sure_scores(100)))), 2, share)
    assert asked == [1] * 4 + [2] * 4 + [3] * 4 + [1] * 4


def test_surer_texts_are_drawn_more_often() -> None:
    """The chance of a text is proportional to the probability of its label."""
    scores = np.log(np.array([[[0.9, 0.1]] * 40 + [[0.6, 0.4]] * 40 + [[0.1, 0.9]] * 40])).repeat(2, 0)
    counts = Counter[bool]()
    for seed in range(200):
        for lesson in next_lessons(ended(scores, seed=seed), 2, 1.0):
            counts.update(int(e.text.split()[1]) < 40 for e in lesson.examples[5:] if int(e.text.split()[1]) < 80)
    assert counts[True] / (counts[True] + counts[False]) == pytest.approx(0.9 / 1.5, abs=0.03)


def test_the_seed_decides_the_draw() -> None:
    sets = [next_lessons(ended(sure_scores(200), seed=seed), 4, 0.25)[0].examples for seed in (0, 0, 1)]
    assert sets[0] == sets[1] != sets[2]


@pytest.mark.parametrize(("of_one", "ending"), [(3, "more than once"), (0, "took the labelled ones again")])
def test_where_texts_of_a_class_are_few_the_ratio_holds_all_the_same(of_one: int, ending: str) -> None:
    scores = sure_scores(80)
    scores[:, 1::2] = scores[:, ::2]
    if of_one:
        scores[:, :of_one] *= -1.0
    said: list[str] = []
    for lesson in next_lessons(ended(scores, said=said), 5, 0.25):
        assert Counter(lesson.targets.tolist()) == {0: 15, 1: 10}
        ones = Counter(e.text for e, t in zip(lesson.examples, lesson.targets, strict=True) if t == 1)
        # Each of them comes as often as the others, give or take one, beside the draw itself.
        few = {text: n for text, n in ones.items() if text.startswith("text" if of_one else "labelled")}
        assert max(few.values()) - min(few.values()) <= 1
        assert len(few) == (of_one or 2)
    assert said[0].endswith(ending)


@pytest.mark.parametrize(("growth", "share"), [(2, 1.0), (3, 0.25)])
def test_growth_and_share_are_those_of_the_options(growth: int, share: float) -> None:
    scores = np.random.default_rng(0).normal(0.0, 2.0, (4, 90, 2))
    taught = Pet(Options(generations=1, growth=growth, share=share)).teach(ended(scores))
    for one, other in zip(taught, next_lessons(ended(scores), growth, share), strict=True):
        assert one.examples == other.examples
        assert np.array_equal(one.targets, other.targets)
    assert [each.examples for each in taught] != [
        each.examples for each in next_lessons(ended(scores), growth, 1.25 - share)
    ]


def test_the_temperature_of_soft_labels_is_that_of_the_options() -> None:
    scores = np.random.default_rng(0).normal(0.0, 4.0, (3, 7, 2))
    (lesson,) = Pet(Options(distil="head", temperature=5.0)).teach(ended(scores))
    assert np.array_equal(lesson.targets, soft_labels(ended(scores), 5.0).targets)


def test_a_whole_model_takes_smaller_steps_than_a_head_and_so_does_a_student() -> None:
    def rates(tune: Any) -> list[float | None]:
        student = Pet(Options(distil=tune)).student([Template.parse("{text} {mask}")])
        assert student is not None
        return [Pet(Options(tune=tune)).defaults.lr, student.training.lr]

    assert rates("head") == [1e-3, 1e-3]
    assert rates("all") == [5e-5, 5e-5]
