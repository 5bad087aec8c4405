"""`promptkit preview`: what a template and its label words become under a model's tokenizer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from promptkit.cli.options import with_settings
from promptkit.errors import UserError

if TYPE_CHECKING:
    from promptkit.backbones.face import ModelFiles, Tokenizer
    from promptkit.prompting import Readout, Template, Verbalizer
    from promptkit.prompting.resolved import PromptTask
    from promptkit.strategies.contract import Strategy

SETTINGS = (
    "templates", "model", "verbalizer", "slots", "readout", "options", "max_length", "engine", "revision", "download",
    "mirror", "offline",
)  # fmt: skip
_SAMPLES = {"en": "A slow start, but the ending is worth it.", "zh": "开头有点慢，结尾很值得。"}
_CLASSES = ("positive", "negative")
_ROLES = {"mask": "mask slot", "virtual": "virtual token", "chat": "chat template"}


@with_settings(SETTINGS)
def preview(
    given: dict[str, Any],
    text: Annotated[
        str | None, typer.Option(metavar="TEXT", help="What stands for {text}; a sample by default.")
    ] = None,
    text_b: Annotated[str | None, typer.Option(metavar="TEXT", help="What stands for {text_b}.")] = None,
    field: Annotated[
        list[str] | None,
        typer.Option("--field", metavar="NAME=TEXT", help="What stands for {NAME}. May be repeated."),
    ] = None,
    strategy: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Show the template as this strategy uses it, or its own ones."),
    ] = None,
) -> None:
    """Show the tokens of a prompt and of its label words."""
    from promptkit.running.config import make_config

    # Checks the choices, and says what is wrong with them in the words of `run`.
    config = make_config(strategy=strategy or "", **given)
    from promptkit.data.catalog import guess_language
    from promptkit.data.task import Task
    from promptkit.running.asking import question_for
    from promptkit.running.loader import Loader
    from promptkit.strategies.contract import Defaults

    language = guess_language([text] if text else _written(config))
    chosen = _strategy(config)
    defaults = Defaults() if chosen is None else chosen.defaults
    how: Readout = config.readout or defaults.readout
    config = config.model_copy(update={"readout": how})
    files = Loader().model(config)
    question = question_for(config, Task("", _CLASSES, (), (), (), language), defaults, how, files.info.kind)
    templates = _prepared(question.templates, how, chosen)
    fields = _fields(templates, text if text is not None else _SAMPLES[language], text_b, field or [])
    for number, each in enumerate(templates):
        if each.foreign:
            typer.echo(f"warning: template '{each}': {each.foreign}", err=True)
        typer.echo("\n" if number else "", nl=False)
        _show(each, question.words, fields, files, config)


def _written(config: Any) -> list[str]:
    """Return what of templates and label words is language: no slots, and no names of labels."""
    from promptkit.prompting import Template, Verbalizer
    from promptkit.prompting.template import Literal

    parts = [part for source in config.templates for part in Template.parse(source).parts]
    classes = Verbalizer.parse(config.verbalizer).classes if config.verbalizer else ()
    return [part.text for part in parts if isinstance(part, Literal)] + [
        word for _, words in classes for word in words
    ]


def _strategy(config: Any) -> Any:
    """Return the strategy that is named, with its options, or None."""
    from promptkit.hooks import get_host
    from promptkit.strategies.contract import parse_options

    if not config.strategy:
        if config.options:
            raise UserError("--set: options belong to a strategy; name one with --strategy.")
        return None
    cls = get_host().strategy(config.strategy).cls
    return cls(parse_options(cls, config.options))


def _prepared(sources: Sequence[str], readout: Readout, strategy: Strategy | None) -> list[Template]:
    """Return templates as a strategy prepares them."""
    from promptkit.hooks import get_host
    from promptkit.prompting import Template
    from promptkit.strategies.contract import prepared

    templates = [Template.parse(source) for source in sources]
    if strategy is not None:
        who = get_host().strategy(strategy.name).title
        templates = [prepared(strategy, template, who) for template in templates]
        strategy.check(readout, templates)
    return templates


def _fields(templates: list[Template], text: str, text_b: str | None, pairs: list[str]) -> dict[str, str]:
    """Return what stands for each field."""
    from promptkit.checking import guess_slot
    from promptkit.prompting.template import fields_of

    used = fields_of(str(template) for template in templates)
    if text_b is not None and "text_b" not in used:
        raise UserError("--text-b: the template has no {text_b}.")
    fields = {"text": text} if text_b is None else {"text": text, "text_b": text_b}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or name.strip() not in used:
            fault = f"the template has no {{{name.strip()}}}." if equals else f"write NAME=TEXT, not '{pair}'."
            raise UserError(f"--field: {fault}")
        fields[name.strip()] = value
    for name in used:
        if name not in fields:
            flag = "--text-b TEXT" if name == "text_b" else f"--field {name}=TEXT"
            near = guess_slot(name, ("text", "text_b")) if name != "text_b" else ""
            raise UserError(f"the template uses {{{name}}}: say what stands there with {flag}.{near}")
    return fields


def _show(
    template: Template,
    words: Verbalizer | None,
    fields: Mapping[str, str],
    files: ModelFiles,
    config: Any,
) -> None:
    import numpy as np

    from promptkit.prompting.resolved import resolve_prompt

    typer.echo(f"template: {template}")
    try:
        prompt = resolve_prompt(
            template,
            words,
            labels=words.labels if words else (),
            tokenizer=files.tokenizer,
            readout=config.readout,
            slots=config.slots,
            max_length=min(config.max_length, files.info.max_length),
            rng=np.random.default_rng(0),
            kind=files.info.kind,
        )
    except UserError:
        if words is not None and template.has_mask:
            # The words are what is most likely wrong, and the table shows how.
            typer.echo(f"\n{words_table(files.tokenizer, words, template)}")
        raise
    typer.echo(f"\n{tokens_table(prompt, fields)}")
    if words is not None:
        typer.echo(f"\n{words_table(files.tokenizer, words, template)}")


def tokens_table(prompt: PromptTask, fields: Mapping[str, str]) -> str:
    """Return the tokens in order with their roles, and their counts."""
    from tabulate import tabulate

    rows = [(piece, _ROLES.get(role, role.removeprefix("field:"))) for piece, role in prompt.encoder.explain(fields)]
    # The token comes last: Chinese characters are two columns wide, and would shift what follows.
    table = tabulate(
        [(place, role, piece) for place, (piece, role) in enumerate(rows)],
        headers=("position", "role", "token"),
        disable_numparse=True,
        colalign=("right", "left", "left"),
    )
    counts = Counter(role for _, role in rows)
    listed = ", ".join(f"{count} {role}" for role, count in counts.items())
    lines = [table, "", f"{len(rows)} tokens of at most {prompt.encoder.max_length}: {listed}"]
    encoded = prompt.encoder.encode_many([fields])[0]
    if encoded.parts:
        times = "once" if len(encoded.parts) == 1 else f"{len(encoded.parts)} times"
        lines.append(f"read {times}, with the beginnings of label words of several pieces behind")
    if encoded.dropped:
        lines.append(f"cut off: {encoded.dropped} tokens of {', '.join(f'{{{name}}}' for name in encoded.cut)}")
    if unknown := encoded.unknown + prompt.encoder.template_unknown:
        lines.append(f"not in the model's vocabulary: {unknown} of these tokens")
    return "\n".join(lines)


def words_table(tokenizer: Tokenizer, words: Verbalizer, template: Template) -> str:
    """Return how each label word is split, with those marked that are not in the vocabulary."""
    from tabulate import tabulate

    from promptkit.prompting import explain_words
    from promptkit.prompting.pieces import readable_piece

    unknown = readable_piece(tokenizer, tokenizer.unk_id) if tokenizer.unk_id >= 0 else None
    rows = []
    for label, word, pieces in explain_words(tokenizer, words, template.mask_spacing):
        mark = "" if pieces and unknown not in pieces else "  (not in the model's vocabulary)"
        rows.append((str(len(pieces)), label, f"{word} = {' '.join(pieces)}{mark}"))
    table: str = tabulate(
        rows,
        headers=("slots", "label", "label word = pieces"),
        disable_numparse=True,
        colalign=("right", "left", "left"),
    )
    return table
