"""Stratified cross-validation: data too small for a test split of its own is tested example by example, in folds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from promptkit.data.classes import note_classes
from promptkit.data.doubles import Key, note_doubles, text_key
from promptkit.data.splits import SPLIT_NOTES, SPLIT_SEED, carve
from promptkit.data.task import Example, Task
from promptkit.errors import UserError


def take_fold(task: Task, number: int, folds: int) -> Task:
    """Return the task with one fold of all its examples as test, and dev carved from the rest.

    Every class is dealt evenly over the folds (Kohavi 1995), always in the same way whatever the seed of a run, and
    all rows of one text go to the same fold. So every example is in the test split of exactly one fold. A tenth of
    each class of the rest becomes dev.

    Args:
        task: its three splits are taken together.
        number: of the fold, from 1.
        folds: K, at least 2.

    Raises:
        UserError: if a class has fewer different texts than there are folds, or too few to carve dev from the rest.
    """
    examples = (*task.train, *task.dev, *task.test)
    fold_of = _deal(task, examples, folds)
    test = tuple(example for example in examples if fold_of[text_key(example)] == number - 1)
    rest = tuple(example for example in examples if fold_of[text_key(example)] != number - 1)
    train, dev = carve(rest, task.labels, f"{task.name}, fold {number} of {folds}", parts=1)
    # What was said of test texts in train, of classes that train lacks and of how test was made was about splits that
    # are no more.
    stale = _noted(replace(task, cautions=())).cautions
    own = tuple(caution for caution in task.cautions if caution not in stale)
    notes = [note for note in task.notes if note not in SPLIT_NOTES]
    notes.append(f"cross-validation: {folds} folds of all examples, each tested once; dev is a tenth of the rest")
    return _noted(replace(task, train=train, dev=dev, test=test, notes=tuple(notes), cautions=own))


def _noted(task: Task) -> Task:
    return note_classes(note_doubles(task))


def _deal(task: Task, examples: tuple[Example, ...], folds: int) -> dict[Key, int]:
    """Return the fold of each text, from 0; of two labels a text follows its first one."""
    rng = np.random.default_rng([SPLIT_SEED, folds])
    whole = np.zeros(folds, np.int64)
    fold_of: dict[Key, int] = {}
    for label in task.labels:
        rows: dict[Key, int] = {}
        for example in examples:
            if example.label == label:
                rows[text_key(example)] = rows.get(text_key(example), 0) + 1
        if len(rows) < folds:
            raise UserError(
                f"data '{task.name}': class '{label}' has {len(rows)} different texts, too few for {folds} folds."
            )
        texts, own = list(rows), np.zeros(folds, np.int64)
        for key in (texts[i] for i in rng.permutation(len(texts))):
            # The fold with the fewest of this class, of equals the smallest one.
            fold = fold_of.setdefault(key, min(range(folds), key=lambda n: (own[n], whole[n])))
            own[fold] += rows[key]
            whole[fold] += rows[key]
    return fold_of
