"""Which fields of the data a run reads and shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from promptkit.backbones.face import Kind
from promptkit.data import Task
from promptkit.errors import UserError
from promptkit.prompting import Readout, Template, Verbalizer, default_words
from promptkit.prompting.template import ending_at_mask, fields_of, fill_in_fields, guess_slot
from promptkit.strategies.contract import Defaults, Strategy

_FORMS = {"en": ("Review: {text}\nSentiment: {mask}", ("positive", "negative"))}
"""How a causal model is best asked for a sentiment, and the words for it (docs/strategies/index.md has the trials).

In Chinese it goes on with a sentence as well as it fills in a form.
"""
_ANSWERING = {"en": "Question: {text}\nAnswer: {mask}", "zh": "问：{text}\n答：{mask}"}


def named_fields(templates: Sequence[str]) -> tuple[str, ...]:
    """Return the fields that templates use, where there are others than `text` and `text_b`; else none.

    Without any the data's own are read: a second text may matter to what uses no template.
    """
    fields = fields_of(templates)
    return fields if set(fields) - {"text", "text_b"} else ()


def rows_of(texts: Sequence[str | Mapping[str, str]], names: Sequence[str]) -> list[dict[str, str]]:
    """Return what stands for the fields in each text; a text alone stands for the first of them.

    Raises:
        UserError: for a single text in place of a sequence, whose characters would be taken for texts.
    """
    if isinstance(texts, str | Mapping):
        raise UserError("texts come as a sequence; put a single one into a list: [text].")
    return [dict.fromkeys(names[:1], text) if isinstance(text, str) else dict(text) for text in texts]


def default_templates(strategy: Strategy, task: Task, readout: Readout, kind: Kind) -> tuple[str, ...]:
    """Return the templates of a run for which none was given: the data's, else the strategy's.

    Those of the data ask for a label word, which a head does not read. Those of the strategy show all that the data
    has. For a causal model they end at the mask.
    """
    if readout == "answer":
        usual = _ANSWERING.get(task.language, _ANSWERING["en"])
        return task.templates or (fill_in_fields(usual, task.fields or ("text",)),)
    if task.templates and readout == "cloze":
        return templates_for(task.templates, readout, kind)
    own = strategy.defaults.templates_for(task.language)
    return templates_for([fill_in_fields(source, task.fields or ("text",)) for source in own], readout, kind)


def form_for(
    defaults: Defaults, labels: Sequence[str], language: str, readout: Readout, kind: Kind
) -> tuple[str, Verbalizer] | None:
    """Return the form that asks a causal model for a sentiment, and its words, where neither are given; or None.

    None for a strategy with templates of its own, and for labels that do not plainly name a sentiment.
    """
    template, words = _FORMS.get(language, ("", None))
    usual = defaults.templates == Defaults().templates
    if words is None or not usual or kind != "causal" or readout != "cloze":
        return None
    verbalizer = default_words(labels, language, words)
    return None if verbalizer is None else (template, verbalizer)


def templates_for(sources: Sequence[str], readout: Readout, kind: Kind) -> tuple[str, ...]:
    """Return templates that nobody wrote for this model as they suit its kind."""
    return ending_at_mask(sources) if kind == "causal" and readout == "cloze" else tuple(sources)


def check_fields(template: Template, task: Task) -> None:
    """Say what the data lacks at once, and not after hours of a comparison's other cells."""
    for name in template.fields:
        if name not in task.fields:
            raise UserError(
                f"the template uses {{{name}}}, but data '{task.name}' has only: {', '.join(task.fields)}."
                f"{guess_slot(name, task.fields)}"
            )
