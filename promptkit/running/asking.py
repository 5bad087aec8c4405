"""What a run asks: the templates and label words that are given, or those that suit the data and the model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from promptkit.backbones.face import Kind
from promptkit.data import Task
from promptkit.prompting import Readout, Verbalizer, default_words
from promptkit.prompting.template import ending_at_mask, fill_in_fields
from promptkit.running.config import RunConfig
from promptkit.strategies.contract import Defaults

_FORMS = {
    "en": ("Review: {text}\nSentiment: {mask}", ("positive", "negative")),
    "zh": ("评论：{text}\n这条评论的情感是：{mask}", ("正面", "负面")),
}
"""How a causal model is best asked for a sentiment, and the words (the trials are in docs/trials.md)."""
_ANSWERING = {"en": "Question: {text}\nAnswer: {mask}", "zh": "问：{text}\n答：{mask}"}


@dataclass(frozen=True)
class Question:
    """How texts are asked about.

    Attributes:
        templates: as they are written.
        words: the label words; None where there are none for these labels, and where none are read.
        left_out: templates that nobody wrote for this model and that it cannot answer.
    """

    templates: tuple[str, ...]
    words: Verbalizer | None
    left_out: tuple[str, ...] = ()


def question_for(config: RunConfig, task: Task, defaults: Defaults, readout: Readout, kind: Kind) -> Question:
    """Return how a kind of model is asked: as was said, else as the data says, else as suits strategy and model.

    Raises:
        UserError: if the label words that are given are no verbalizer.
    """
    if (form := _form(config, task, defaults, readout, kind)) is not None:
        return form
    pair = _FORMS[task.language][1] if kind == "causal" and ends_in_form(config, task) else None
    words = known_words(config, task, pair) if readout == "cloze" else None
    if config.templates:
        return Question(config.templates, words)
    sources = _default_templates(task, defaults, readout, kind)
    templates = sources if readout == "answer" else templates_for(sources, readout, kind)
    left_out = tuple(each for each in sources if templates_for([each], readout, kind)[0] not in templates)
    return Question(templates, words, left_out)


def known_words(config: RunConfig, task: Task, pair: tuple[str, str] | None = None) -> Verbalizer | None:
    """Return the label words that are given, else the data's own, else those for its language, if there are any.

    `pair` takes the place of the language's, see `default_words`.

    Raises:
        UserError: if what is given is no verbalizer.
    """
    given = task.verbalizer if config.verbalizer is None else config.verbalizer
    if given is None:
        return default_words(task.labels, task.language, pair)
    return Verbalizer.parse(given, task.labels)


def templates_for(sources: Sequence[str], readout: Readout, kind: Kind) -> tuple[str, ...]:
    """Return templates that nobody wrote for this model as they suit its kind."""
    return ending_at_mask(sources) if kind == "causal" and readout == "cloze" else tuple(sources)


def _form(config: RunConfig, task: Task, defaults: Defaults, readout: Readout, kind: Kind) -> Question | None:
    """Return the form that asks a causal model for a sentiment, with its words, where no template was given; or None.

    None as well for a strategy with templates of its own, for other words, and without any for labels that do not
    plainly name a sentiment.
    """
    said = config.templates or task.templates or defaults.templates != Defaults().templates
    if said or kind != "causal" or readout != "cloze" or task.language not in _FORMS:
        return None
    template, pair = _FORMS[task.language]
    words = known_words(config, task, pair)
    if words is None or {each for _, own in words.classes for each in own} != set(pair):
        return None
    return Question((_with_fields(template, task),), words)


def ends_in_form(config: RunConfig, task: Task) -> bool:
    """Return whether the templates that are given end in the form, behind an instruction say, and no words are."""
    if not config.templates or config.verbalizer is not None or task.verbalizer is not None:
        return False
    form = _FORMS.get(task.language)
    return form is not None and all(each.endswith(_with_fields(form[0], task)) for each in config.templates)


def _default_templates(task: Task, defaults: Defaults, readout: Readout, kind: Kind) -> tuple[str, ...]:
    """Return the templates of a run for which none was given: the data's, else the strategy's.

    Those of the data ask for a label word, which a head does not read. Those of the strategy show all that the data
    has; where a head reads a masked model, with the separator between (Devlin et al. 2019, section 3.2).
    """
    if readout == "answer":
        return task.templates or (_with_fields(_ANSWERING.get(task.language, _ANSWERING["en"]), task),)
    if task.templates and readout == "cloze":
        return task.templates
    between = "{sep}" if (readout, kind) == ("head", "masked") else " "
    return tuple(_with_fields(source, task, between) for source in defaults.templates_for(task.language))


def _with_fields(source: str, task: Task, between: str = " ") -> str:
    return fill_in_fields(source, task.fields or ("text",), between)
