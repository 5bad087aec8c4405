"""Pairs of what is asked and what is answered, to learn to write from; an example's label is its answer there."""

from __future__ import annotations

from dataclasses import dataclass

from promptkit.data.readers import RawData
from promptkit.data.splits import arrange, lost
from promptkit.data.task import SPLITS, Task
from promptkit.errors import UserError


@dataclass(frozen=True)
class PairTask(Task):
    """Texts with their answers in three splits: no labels, and each example's `label` is its answer.

    Raises:
        UserError: for a part of another type, a split without pairs, an example without an answer, or a language that
            is no code.
    """

    def __post_init__(self) -> None:
        """Refuse what is of the wrong type, and what nothing can be learnt from."""
        self._take_parts("pair")
        for split in SPLITS:
            if not self.split(split):
                raise UserError(f"data '{self.name}' has no pairs in {split}.")
            for row, example in enumerate(self.split(split), 1):
                if not example.label.strip():
                    raise UserError(f"data '{self.name}', {split} pair {row} has no answer.")


def make_pairs(raw: RawData, language: str = "en") -> PairTask:
    """Return raw data as pairs, with the splits it brings or carved ones; see `make_task`.

    Raises:
        UserError: no train, no judge, or too few pairs to be split.
    """
    train, dev, test, note = arrange(raw.splits, (), raw.name)
    notes = list(raw.notes)
    notes += [note] if note else []
    return PairTask(
        name=raw.name,
        labels=(),
        train=train,
        dev=dev,
        test=test,
        language=language,
        notes=tuple(notes),
        cautions=lost(raw.dropped, "pair"),
        templates=raw.info.templates,
    )
