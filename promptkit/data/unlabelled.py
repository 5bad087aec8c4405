"""Texts without labels to learn from: never one of test, of dev, or of the draw."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from promptkit.data.doubles import text_key
from promptkit.data.task import Example, Task


def unlabelled_texts(whole: Task, drawn: Task, most: int, seed: int) -> tuple[Example, ...]:
    """Return the texts without labels of a run: those of the data, and the training examples that were not drawn.

    The labels of the latter are hidden, as in Schick & Schütze (2021), section 4. A text that stands in test, dev or
    the draw, letter case and white space apart, is left out wherever it comes from; one that is there twice, once.

    Args:
        whole: the data before the draw.
        drawn: the data that the run learns from and is judged by.
        most: how many texts at most; of more, so many are drawn at random.
        seed: of the run.

    Returns:
        Examples with an empty label, in the order of the data.
    """
    seen = {text_key(example) for task in (whole, drawn) for split in (task.dev, task.test) for example in split} | {
        text_key(example) for example in drawn.train
    }
    found: list[Example] = []
    for example in (*whole.unlabelled, *whole.train):
        key = text_key(example)
        if key not in seen:
            seen.add(key)
            found.append(replace(example, label=""))
    if len(found) > most:
        chosen = np.random.default_rng([seed, 4]).choice(len(found), most, replace=False)
        found = [found[int(number)] for number in np.sort(chosen)]
    return tuple(found)
