"""Which fields of the data a run reads and shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from promptkit.checking import guess_slot
from promptkit.data import Task
from promptkit.errors import UserError, kind_of
from promptkit.prompting import Template
from promptkit.prompting.template import fields_of


def named_fields(templates: Sequence[str]) -> tuple[str, ...]:
    """Return the fields that templates use, where there are others than `text` and `text_b`; else none.

    Without any the data's own are read: a second text may matter to what uses no template.
    """
    fields = fields_of(templates)
    return fields if set(fields) - {"text", "text_b"} else ()


def rows_of(texts: Sequence[str | Mapping[str, str]], names: Sequence[str]) -> list[dict[str, str]]:
    """Return what stands for the fields in each text; a text alone stands for the first of them.

    Raises:
        UserError: for a single text in place of a sequence, whose characters would be taken for texts, and for what
            is none, such as the NaN that pandas has for a gap.
    """
    if isinstance(texts, str | Mapping):
        raise UserError("texts come as a sequence; put a single one into a list: [text].")
    return [_row_of(number, text, names) for number, text in enumerate(texts, 1)]


def _row_of(number: int, text: str | Mapping[str, str], names: Sequence[str]) -> dict[str, str]:
    if not isinstance(text, str | Mapping):
        raise UserError(f"text {number} is {kind_of(text)}, and no text.")
    row = dict.fromkeys(names[:1], text) if isinstance(text, str) else dict(text)
    for name, value in row.items():
        if not isinstance(value, str):
            raise UserError(f"text {number}: {{{name}}} is {kind_of(value)}, and no text.")
        try:
            value.encode()
        except UnicodeEncodeError:
            raise UserError(
                f"text {number}: {{{name}}} holds half a surrogate pair, which is no character."
            ) from None
    return row


def check_fields(template: Template, task: Task) -> None:
    """Say what the data lacks at once, and not after hours of a comparison's other cells."""
    for name in template.fields:
        if name not in task.fields:
            raise UserError(
                f"the template uses {{{name}}}, but data '{task.name}' has only: {', '.join(task.fields)}."
                f"{guess_slot(name, task.fields)}"
            )
