"""From raw data to the three splits of a task, and from a task to its K-shot draws."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from promptkit.data.doubles import Key, drawn_doubles, text_key
from promptkit.data.readers import RawData
from promptkit.data.task import SPLITS, Example, Task
from promptkit.errors import UserError, unknown

# The splits of a set must be the same whatever the seed of a run, or its runs could not be compared.
SPLIT_SEED = 0
CARVED = 0.1
_FOLDS = 5  # that are advised where there is too little data
_LEAST_TO_FOLD = 3
_IN_TENTHS = "split 80/10/10 into train, dev and test: the data came in one piece"
_BY_LABEL = "split 80/10/10 by label into train, dev and test: the data came in one piece"
_NO_DEV = "dev is a tenth of train: the data has no dev set"
_NO_TEST = "the data's dev set is used as test, and dev is a tenth of train: the data has no test set"
SPLIT_NOTES = frozenset({_IN_TENTHS, _BY_LABEL, _NO_DEV, _NO_TEST})
"""What is said of splits that were not there; of other splits of the same examples it is not true."""

Examples = tuple[Example, ...]


def make_task(raw: RawData, language: str = "en") -> Task:
    """Return raw data as a task, with the splits it brings or, where one is missing, with carved ones.

    train, dev and test stay as they are. Without dev, a tenth of train becomes dev. Without test, the dev set
    is what the data is judged by, so it becomes test and a tenth of train becomes dev. Data in one piece, or
    train alone, is split 80/10/10. Carving is stratified by label and always the same, and a text that is there
    several times goes to one side as a whole.

    Args:
        raw: what a reader read.
        language: ISO 639-1 code of the texts.

    Raises:
        UserError: no train, no judge, fewer than two classes, a label that the card does not list or that no
            example has, or a class too small to be split.
    """
    labels = _labels(raw)
    learnable = {example.label for example in raw.splits.get("all", raw.splits.get("train", ()))}
    if len(learnable) == 1:
        raise UserError(f"data '{raw.name}' has only one class to learn ('{learnable.pop()}'); two are needed.")
    train, dev, test, note = arrange(raw.splits, labels, raw.name)
    notes = list(raw.notes)
    notes += [note] if note else []
    return Task(
        name=raw.name,
        labels=labels,
        train=train,
        dev=dev,
        test=test,
        language=language,
        notes=tuple(notes),
        cautions=lost(raw.dropped, "example"),
        unlabelled=raw.unlabelled,
        templates=raw.info.templates,
        verbalizer=raw.info.verbalizer,
    )


def lost(count: int, what: str, why: str = "the text is empty") -> tuple[str, ...]:
    """Return the caution that so many examples were left out, or none."""
    return (f"{count:,} {what}{'s' * (count != 1)} dropped: {why}",) if count else ()


def _labels(raw: RawData) -> tuple[str, ...]:
    """Return the classes: the card's in its order, else those there are, sorted."""
    there = {example.label for examples in raw.splits.values() for example in examples}
    listed = raw.info.labels
    if listed is None:
        return tuple(sorted(there))
    for label in sorted(there.difference(listed)):
        raise UserError(f"data '{raw.name}' has a label its card does not list: {unknown('label', label, listed)}")
    for label in listed:
        if label not in there:
            raise UserError(f"data '{raw.name}': no example has the listed label '{label}'.")
    return listed


def arrange(
    splits: Mapping[str, Examples], labels: Sequence[str], title: str
) -> tuple[Examples, Examples, Examples, str]:
    """Return train, dev, test and what was done to get there; for `labels` see `carve`."""
    whole = splits.get("all") or (splits["train"] if set(splits) == {"train"} else None)
    if whole:
        train, dev, test = carve(whole, labels, title, parts=2)
        return train, dev, test, _BY_LABEL if labels else _IN_TENTHS
    if "train" not in splits:
        raise UserError(f"data '{title}' has {' and '.join(splits)} but no train.")
    if len(splits) == 3:
        return splits["train"], splits["dev"], splits["test"], ""
    train, dev = carve(splits["train"], labels, title, parts=1)
    if "test" in splits:
        return train, dev, splits["test"], _NO_DEV
    return train, dev, splits["dev"], _NO_TEST


def carve(examples: Examples, labels: Sequence[str], title: str, *, parts: int) -> tuple[Examples, ...]:
    """Split off `parts` tenths of each class; what remains comes first. Order in the file is kept.

    What is drawn are texts, each with all its rows: on both sides it would be known before it is asked for.
    Without labels, as pairs are, all examples are one class.
    """
    rng = np.random.default_rng(SPLIT_SEED)
    chosen: list[list[int]] = [[] for _ in range(parts + 1)]
    side: dict[Key, int] = {}
    for label in labels or (None,):
        rows_of: dict[Key, list[int]] = {}
        for row, example in enumerate(examples):
            if label in (None, example.label):
                rows_of.setdefault(text_key(example), []).append(row)
        if 0 < len(rows_of) <= parts:
            kind = " different texts" if len(rows_of) < sum(map(len, rows_of.values())) else ""
            raise _too_small(title, label, len(rows_of), parts, kind)
        texts = list(rows_of)
        counts = {texts[i]: len(rows_of[texts[i]]) for i in rng.permutation(len(texts))}
        dealt = _placed(_deal(counts, parts), side)
        if counts and not all(dealt):
            # What was dealt to a part went elsewhere with another class: it gets some that are this one's own.
            own = {key: count for key, count in counts.items() if key not in side}
            if len(own) <= parts:
                raise _too_small(title, label, len(own), parts, " texts that no class before it has")
            dealt = _placed([[*(key for key in counts if key in side)], *[[] for _ in range(parts)]], side)
            dealt = [[*old, *new] for old, new in zip(dealt, _deal(own, parts), strict=True)]
        for part, keys in enumerate(dealt):
            side |= dict.fromkeys(keys, part)
            chosen[part] += [row for key in keys for row in rows_of[key]]
    return tuple(tuple(examples[row] for row in sorted(part)) for part in chosen)


def _placed(dealt: list[list[Key]], side: Mapping[Key, int]) -> list[list[Key]]:
    """Return the texts of each part, where a text of two classes follows the one that was dealt before."""
    placed: list[list[Key]] = [[] for _ in dealt]
    for part, keys in enumerate(dealt):
        for key in keys:
            placed[side.get(key, part)].append(key)
    return placed


def _too_small(title: str, label: str | None, there: int, parts: int, kind: str) -> UserError:
    what = "it" if label is None else f"class '{label}'"
    return UserError(f"data '{title}': {what} is too small to split: {there} of at least {parts + 1}{kind}.")


def _deal(counts: Mapping[Key, int], parts: int) -> list[list[Key]]:
    """Deal the texts of a class: part 0 gets what the others, each a tenth of all rows at most, do not take.

    Args:
        counts: text -> how many rows it has, in the order they are dealt in.
        parts: how many tenths; each gets at least one text.
    """
    size = max(1, round(CARVED * sum(counts.values())))
    left = dict(counts)
    dealt: list[list[Key]] = []
    for later in range(parts, 0, -1) if counts else ():
        taken: list[Key] = []
        room = size
        for key, count in left.items():
            if not room or len(left) - len(taken) <= later:
                break
            if count <= room:
                taken.append(key)
                room -= count
        dealt.append(taken or [min(left, key=left.__getitem__)])
        for key in dealt[-1]:
            del left[key]
    return [list(left), *dealt]


def draw_shots(task: Task, shots: int | None, seed: int) -> Task:
    """Return the task with K examples a class in train and K a class in dev; test is untouched.

    The protocol of LM-BFF (Gao et al. 2021, section 3): a dev set larger than train would be more labels than
    few-shot learning has. One seed draws the same examples every time, and its larger draws hold its smaller
    ones.

    Of pairs without labels K are drawn in all.

    Args:
        task: the task to draw from.
        shots: K; None leaves the task as it is.
        seed: number of the draw, 0 or more.

    Raises:
        UserError: K below 1, a negative seed, or fewer than K examples of a class, or pairs, in train.
    """
    if shots is None:
        return task
    if shots < 1:
        raise UserError(f"{shots} shots: at least one example a class is needed.")
    if seed < 0:
        raise UserError(f"seed {seed}: a seed is 0 or more.")
    train, short = _draw(task.train, task.labels, shots, np.random.default_rng([seed, 0]))
    for label, there in short.items():
        what = f"{there} pairs" if label is None else f"class '{label}' has {there}"
        raise UserError(
            f"{shots} shots are more than data '{task.name}' has: {what} in train.{_fewer(task, min(short.values()))}"
        )
    dev, short = _draw(task.dev, task.labels, shots, np.random.default_rng([seed, 1]))
    cautions = [*task.cautions, *drawn_doubles(train, task.test)]
    if lacking := [label for label in short if label is not None]:
        cautions.append(f"dev has fewer than {shots} examples of {', '.join(lacking)}: all of them are used")
    return replace(task, train=train, dev=dev, cautions=tuple(cautions))


def _fewer(task: Task, most: int) -> str:
    """Return what there are enough examples for: so many shots, and folds of all of them, as far as there are."""
    advice = [f"--shots {most}"] if most else []
    examples = [example for split in SPLITS for example in task.split(split)]
    # A fold's test has a text of every class, and what is left of the class makes train and dev.
    smallest = min((len({text_key(it) for it in examples if it.label == label}) for label in task.labels), default=0)
    if smallest >= _LEAST_TO_FOLD:
        advice.append(f"all of them in 'promptkit compare --folds {min(_FOLDS, smallest)}'")
    return f" Take at most {', or '.join(advice)}." if advice else ""


def _draw(
    examples: Examples, labels: Sequence[str], shots: int, rng: np.random.Generator
) -> tuple[Examples, dict[str | None, int]]:
    """Return up to `shots` examples a class, in the order of the data, and of the classes that have fewer how many.

    Without labels all examples are one class, None.
    """
    chosen: list[int] = []
    short: dict[str | None, int] = {}
    for label in labels or (None,):
        rows = [row for row, example in enumerate(examples) if label in (None, example.label)]
        chosen += [rows[i] for i in rng.permutation(len(rows))[:shots]]
        if len(rows) < shots:
            short[label] = len(rows)
    return tuple(examples[row] for row in sorted(chosen)), short
