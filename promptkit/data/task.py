"""A classification task: labelled texts in three splits."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from pydantic import ConfigDict, TypeAdapter, ValidationError

from promptkit.checking import CheckedModel, checked, field_fault
from promptkit.errors import UserError, kind_of, unknown

SPLITS = ("train", "dev", "test")
_LANGUAGE = re.compile(r"([a-z]{2,3})([-_][a-z0-9]+)*", re.IGNORECASE | re.ASCII)


@dataclass(frozen=True, slots=True)
class Example:
    """One labelled text, a pair of texts, or any named fields under one label.

    Attributes:
        text: the field of that name; empty where there are others and none of that name.
        label: the class name.
        text_b: the field of that name, None where there is none.
        others: fields of other names with their texts, in the order of the columns.
    """

    text: str
    label: str
    text_b: str | None = None
    others: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of(cls, fields: Mapping[str, str], label: str) -> Example:
        """Return the example of named fields, e.g. `{"question": "Who?", "a": "I", "b": "You"}`."""
        others = tuple((name, text) for name, text in fields.items() if name not in ("text", "text_b"))
        return cls(fields.get("text", ""), label, fields.get("text_b"), others)

    def fields(self) -> dict[str, str]:
        """Return what the fields of a template stand for, by name; a field the data lacks is left out."""
        own = {} if self.others and not self.text else {"text": self.text}
        if self.text_b is not None:
            own["text_b"] = self.text_b
        return {**own, **dict(self.others)}

    @property
    def joined(self) -> str:
        """All fields in one text, each on a line of its own."""
        return "\n".join(self.fields().values())


def holds_text(fields: Mapping[str, str]) -> bool:
    """Return whether an example is worth having: its text is not empty, or without one any of its fields."""
    return bool(fields["text"]) if "text" in fields else any(fields.values())


# Of all examples at once: checked one by one, they take ten times as long.
_COLUMNS: dict[str, TypeAdapter[Any]] = {
    name: TypeAdapter(kind, config=ConfigDict(strict=True))
    for name, kind in (
        ("text", list[str]),
        ("label", list[str]),
        ("text_b", list[str | None]),
        ("others", list[tuple[tuple[str, str], ...]]),
    )
}


def _check_examples(examples: tuple[Any, ...], what: str) -> None:
    """Refuse what is no example, and fields that are not text.

    Args:
        examples: as somebody's code made them.
        what: what to call each in an error, with its number, from 1, behind it.

    Raises:
        UserError: for the first that is wrong.
    """
    for row, example in enumerate(examples, 1):
        if not isinstance(example, Example):
            raise UserError(f"{what} {row} is {kind_of(example)}, not a promptkit.Example.")
    for name, column in _COLUMNS.items():
        try:
            column.validate_python([getattr(example, name) for example in examples])
        except ValidationError as error:
            fault = field_fault(error)
            raise UserError(f"{what} {int(fault.field) + 1}, {name}: {fault.reason}{fault.got}.") from None


class _Parts(CheckedModel):
    """What a task is made of; its examples are looked at by `_check_examples`."""

    name: str
    labels: tuple[str, ...]
    train: tuple[Any, ...]
    dev: tuple[Any, ...]
    test: tuple[Any, ...]
    language: str
    notes: tuple[str, ...]
    cautions: tuple[str, ...]
    unlabelled: tuple[Any, ...]
    templates: tuple[str, ...]
    verbalizer: str | None


@dataclass(frozen=True)
class Task:
    """Labelled texts to learn from (train), to choose by (dev) and to judge by (test).

    A list or a generator in place of a tuple is made one.

    Attributes:
        name: what tables and records call it.
        labels: the C classes; a class's index is its place here.
        train: examples a strategy may learn from.
        dev: examples that training stops by and candidates are chosen by.
        test: examples that only the final figure comes from.
        unlabelled: further texts, whose label is empty; for strategies that learn from texts without labels.
        language: ISO 639 code of the texts, which default templates and label words go by; of a longer tag, such as
            `zh-Hans` or `en_US`, its beginning is kept.
        notes: what was done to the data on the way in and the user should know, a sentence each.
        cautions: what is a reason to doubt figures on this data, rows that were dropped for one, a sentence each; a
            run warns of them.
        templates: to ask with when the user names none; without any, the strategy's.
        verbalizer: the label words when the user names none, as `--verbalizer` takes them.

    Raises:
        UserError: a part of another type, fewer than two labels, a label twice, an example whose label is not among
            them, or a language that is no code.
    """

    name: str
    labels: tuple[str, ...]
    train: tuple[Example, ...]
    dev: tuple[Example, ...]
    test: tuple[Example, ...]
    language: str = "en"
    notes: tuple[str, ...] = ()
    cautions: tuple[str, ...] = ()
    unlabelled: tuple[Example, ...] = ()
    templates: tuple[str, ...] = ()
    verbalizer: str | None = None

    def __post_init__(self) -> None:
        """Refuse what is of the wrong type, and labels that no classifier could use."""
        self._take_parts("example")
        if len(self.labels) < 2:
            there = f"only one label ('{self.labels[0]}')" if self.labels else "no label"
            raise UserError(f"data '{self.name}' has {there}; at least two are needed.")
        if len(set(self.labels)) < len(self.labels):
            raise UserError(f"data '{self.name}' names a label twice: {', '.join(self.labels)}.")
        known = set(self.labels)
        for split in SPLITS:
            for row, example in enumerate(self.split(split), 1):
                if example.label not in known:
                    raise UserError(
                        f"data '{self.name}', {split} example {row}: {unknown('label', example.label, known)}"
                    )

    def _take_parts(self, noun: str) -> None:
        """Refuse parts of the wrong type, make tuples of lists, and read the language.

        Args:
            noun: what an example is called in an error.
        """
        given = {name: tuple(it) if isinstance(it, list | Iterator) else it for name, it in vars(self).items()}
        for name, value in checked(_Parts, given, f"data '{self.name}'"):
            object.__setattr__(self, name, value)
        for split in SPLITS:
            _check_examples(self.split(split), f"data '{self.name}', {split} {noun}")
        _check_examples(self.unlabelled, f"data '{self.name}', unlabelled text")
        # Of a tag (RFC 5646), which may name a script and a region behind the language.
        match = _LANGUAGE.fullmatch(self.language.strip())
        if match is None:
            raise UserError(f"data '{self.name}': '{self.language}' is no code of a language, as en and zh are.")
        object.__setattr__(self, "language", match[1].lower())

    def split(self, name: str) -> tuple[Example, ...]:
        """Return the examples of `train`, `dev` or `test`.

        Raises:
            UserError: for any other name.
        """
        splits = {"train": self.train, "dev": self.dev, "test": self.test}
        if name not in splits:
            raise unknown("split", name, splits)
        return splits[name]

    @cached_property
    def fields(self) -> tuple[str, ...]:
        """The names of the fields that every example has, in the order of the first one's."""
        examples = [example for split in SPLITS for example in self.split(split)]
        shared = set.intersection(*(set(example.fields()) for example in examples)) if examples else set()
        return tuple(name for name in examples[0].fields() if name in shared) if examples else ()

    @cached_property
    def fingerprint(self) -> str:
        """16 hexadecimal digits of the SHA-256 over every split's texts and labels, in order."""
        digest = hashlib.sha256()
        for split in SPLITS:
            rows = [(example.text, example.text_b, example.label, *example.others) for example in self.split(split)]
            # JSON, for plain concatenation could not tell ("ab", "c") from ("a", "bc").
            digest.update(json.dumps([split, rows]).encode())
        return digest.hexdigest()[:16]

    def label_index(self, label: str) -> int:
        """Return the class index of a label.

        Raises:
            UserError: for a label that is none of this task's.
        """
        try:
            return self.labels.index(label)
        except ValueError:
            raise unknown("label", label, self.labels) from None
