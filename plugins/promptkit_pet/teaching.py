"""What PET's models teach: soft labels for one classifier, and iPET's training sets. NumPy only.

Dimensions: n models, U texts without labels, C classes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from promptkit import Lesson, Round


def soft_labels(ended: Round, temperature: float) -> Lesson:
    """Return every text with the probabilities that all models together give its classes.

    Schick & Schütze (2021), section 3.3; T = 2 there.
    """
    return Lesson(ended.texts, ended.probabilities(temperature=temperature))


def next_lessons(ended: Round, growth: int, share: float) -> list[Lesson]:
    """Return a training set for each model of the coming generation (Schick & Schütze 2021, section 3.4).

    A model learns from the draw and from texts that some of the others have labelled, so that in generation j it sees
    c_j(y) = growth^j c_0(y) examples of class y, where the draw has c_0(y): the ratio of the classes stays.

    Args:
        ended: the generation before.
        growth: d, by which the sets grow each time.
        share: lambda, the share of the other models that label for one; at least one does.
    """
    models = len(ended.scores)
    lessons = []
    for model in range(models):
        others = [other for other in range(models) if other != model]
        count = max(1, round(share * len(others)))
        chosen = sorted(int(other) for other in ended.rng.choice(others, count, replace=False))
        lessons.append(_grown(ended, ended.probabilities(chosen), growth**ended.number))
    return lessons


def _grown(ended: Round, probabilities: Any, times: int) -> Lesson:
    """Return the draw with texts added, until every class has so many times its examples."""
    examples, targets = list(ended.train), [int(label) for label in ended.labels]
    answers = probabilities.argmax(-1)
    for label in range(probabilities.shape[-1]):
        own = [example for example, its in zip(ended.train, ended.labels, strict=True) if its == label]
        found = np.flatnonzero(answers == label)
        chosen = _draw(found, probabilities[found, label], (times - 1) * len(own), ended.rng)
        if own and len(found) < (times - 1) * len(own):
            _say_few(ended.warn, len(found))
        # Where no text is given the class at all, its labelled examples come more often: the ratio must hold.
        added = [ended.texts[number] for number in chosen] if len(found) else own * (times - 1)
        examples += added
        targets += [label] * len(added)
    return Lesson(tuple(examples), np.array(targets))


def _draw(found: Any, confidence: Any, count: int, rng: np.random.Generator) -> Sequence[int]:
    """Draw so many texts, the surer ones rather; where they are fewer, all of them as often as it takes."""
    if not len(found) or not count:
        return []
    whole, rest = divmod(count, len(found))
    drawn = rng.choice(found, rest, replace=False, p=confidence / confidence.sum())
    return [int(number) for number in (*np.tile(found, whole), *drawn)]


def _say_few(warn: Callable[[str], None], found: int) -> None:
    warn(
        "a generation had fewer texts of a class than it was to grow by"
        + (", and took some more than once" if found else ": none at all, and took the labelled ones again")
    )
