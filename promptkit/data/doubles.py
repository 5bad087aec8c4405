"""Texts that stand in the data more than once: in test and another split, or under two labels."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from promptkit.checking import cut
from promptkit.data.task import SPLITS, Example, Task

Key = tuple[str | None, ...]


def text_key(example: Example) -> Key:
    """Return what two examples share if their texts differ in white space and letter case at most."""
    second = None if example.text_b is None else folded(example.text_b)
    return folded(example.text), second, *(part for name, text in example.others for part in (name, folded(text)))


def note_doubles(task: Task) -> Task:
    """Return the task with cautions about test texts that stand in train or dev, and texts under two labels."""
    learnt = {text_key(example) for example in task.train}
    leaked = [example for example in task.test if text_key(example) in learnt]
    cautions = []
    if leaked:
        cautions.append(
            f"{_of(len(leaked), len(task.test))} in the data's train as well, e.g. {_shown(leaked[0])}: what learns "
            "texts by heart looks better than it is"
        )
    tested = {text_key(example) for example in task.test}
    if seen := [example for example in task.dev if text_key(example) in tested]:
        cautions.append(
            f"{_of(len(seen), len(task.dev), 'dev')} in test as well, e.g. {_shown(seen[0])}: what dev picks has "
            "seen a part of test"
        )
    # Of pairs without labels a text may well have two answers.
    cautions += _two_labels(task) if task.labels else []
    # A plugin's set may come from a reader that has looked already.
    return replace(task, cautions=tuple(dict.fromkeys((*task.cautions, *cautions)))) if cautions else task


def drawn_doubles(train: Iterable[Example], test: tuple[Example, ...]) -> list[str]:
    """Return a caution if texts of test are among the examples drawn from train, else nothing."""
    drawn = {text_key(example) for example in train}
    leaked = [example for example in test if text_key(example) in drawn]
    if not leaked:
        return []
    return [f"{_of(len(leaked), len(test))} among the examples drawn from train, e.g. {_shown(leaked[0])}"]


def _two_labels(task: Task) -> list[str]:
    first: dict[Key, Example] = {}
    unlike: dict[Key, Example] = {}
    for split in SPLITS:
        for example in task.split(split):
            key = text_key(example)
            if first.setdefault(key, example).label != example.label:
                unlike.setdefault(key, example)
    if not unlike:
        return []
    key, other = next(iter(unlike.items()))
    count = "1 text stands" if len(unlike) == 1 else f"{len(unlike):,} texts stand"
    return [f"{count} under two labels, e.g. {_shown(other)} as '{first[key].label}' and '{other.label}'"]


def _of(count: int, whole: int, split: str = "test") -> str:
    return f"{count:,} of {whole:,} {split} texts {'stands' if count == 1 else 'stand'}"


def _shown(example: Example) -> str:
    """Return the text in quotes, in one line and cut."""
    return f"'{cut(' '.join(example.joined.split()), 40)}'"


def folded(text: str) -> str:
    """Return a text without what white space and letter case make different."""
    return " ".join(text.casefold().split())
