"""Templates whose words the model fills in itself. N examples, P words to be found, V vocabulary.

Gao et al. (2021, section 5.2) let T5 write what stands between a text and its label word. Here the language model of
the run does it, a masked one, word by word from left to right: no second model is needed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from promptkit import Draft, Example, PromptTask, Template, UserError, Verbalizer, readable_piece, whole_word
from promptkit_lmbff.judging import classes_of, judge, ranked, some_of

TO_DEV = 4  # candidates that go on to dev for each template that is kept
_SLOT = re.compile(r"(?<!\{)\{soft:(\d+)\}")
_MARKS = set(".,!?;:，。！？；：、")


def find_templates(
    draft: Draft, verbalizer: Verbalizer, beam: int, keep: int
) -> tuple[tuple[Template, ...], str, int]:
    """Return the templates that dev picks, what to say of them, and how many dev scores picked them.

    Args:
        draft: the run so far; its templates have `{soft:N}` where words are to be found. Fewer than N are tried too.
        verbalizer: the label words.
        beam: partial texts kept from word to word.
        keep: how many templates to return.

    Raises:
        UserError: if a template has virtual tokens other than one `{soft:N}`, or nothing could be filled in.
    """
    train, dev = some_of(draft.train, draft.labels, draft.rng), draft.dev
    found: dict[str, Template] = {}
    for skeleton in _skeletons(draft.templates):
        for template in _filled_in(draft, skeleton, verbalizer, train, beam):
            found.setdefault(str(template), template)
    if not found:
        raise UserError("strategy 'lmbff': no words were found to fill in; give a template.")
    templates, truth = list(found.values()), classes_of(train, draft.labels)
    order = ranked(np.stack([_scores(draft, template, verbalizer, train) for template in templates]), truth)
    finalists = [templates[number] for number in order[: keep * TO_DEV]]
    on_dev, truth = (
        np.stack([_scores(draft, each, verbalizer, dev) for each in finalists]),
        classes_of(dev, draft.labels),
    )
    picked = ranked(on_dev, truth)[:keep]
    accuracy = ", ".join(f"{judge(on_dev[number], truth)[0]:.3f}" for number in picked)
    chosen = tuple(finalists[number] for number in picked)
    return (
        chosen,
        (
            f"template {' | '.join(map(str, chosen))}; dev picked from {len(finalists)} of {len(templates)} "
            f"(before tuning, {accuracy} of dev right)"
        ),
        len(finalists),
    )


def without_slots(template: Template) -> Template:
    """Return a template without its place for words to be found."""
    return Template.parse(_SLOT.sub("", str(template)))


def _skeletons(templates: Sequence[Template]) -> list[Template]:
    """Return each template with its number of words to be found, and with every smaller one."""
    skeletons = []
    for template in templates:
        slots = _SLOT.findall(str(template))
        if len(slots) != 1 or str(template).count("{soft:") != 1:
            raise UserError(
                f"strategy 'lmbff': with templates=auto, '{template}' needs one {{soft:N}} where words shall stand."
            )
        skeletons += [Template.parse(_SLOT.sub(f"{{soft:{n}}}", str(template))) for n in range(1, int(slots[0]) + 1)]
    return skeletons


def _filled_in(
    draft: Draft, skeleton: Template, verbalizer: Verbalizer, train: Sequence[Example], beam: int
) -> list[Template]:
    """Return the skeleton with the likeliest words in it, the likeliest first.

    A word's score is its log-probability in its place, summed over the training examples, each with its own label
    word at the mask, with the words before it filled in and the ones behind it still masks.
    """
    prompt = draft.prompt(skeleton, verbalizer)
    assert prompt.verbalizer is not None
    answers = [prompt.verbalizer.pieces[index][0] for index in classes_of(train, draft.labels)]
    answered = [_answered(each, pieces) for each, pieces in zip(prompt.encode_examples(train), answers, strict=True)]
    allowed = _allowed(draft, set(prompt.verbalizer.rows))
    texts: list[tuple[float, tuple[int, ...]]] = [(0.0, ())]
    for place in range(prompt.num_virtual):
        longer: list[tuple[float, tuple[int, ...]]] = []
        for score, words in texts:
            rows = [_with_words(each, words, place, draft.tokenizer.mask_id) for each in answered]
            gained = draft.log_probabilities(draft.states(rows))[:, 0].astype(np.float64).sum(0)
            likely = allowed[np.argsort(-gained[allowed], kind="stable")[:beam]]
            longer += [(score + float(gained[number]), (*words, int(number))) for number in likely]
        texts = sorted(longer, key=lambda each: -each[0])[:beam]
    written = (_written(draft, skeleton, words) for _, words in texts)
    whole = [
        _with_words(each, words, 0, draft.tokenizer.mask_id).token_ids for _, words in texts for each in answered[:1]
    ]
    return [
        template
        for template, ids in zip(written, whole, strict=True)
        if _reads_back(draft, template, verbalizer, train[0], answers[0], ids)
    ]


def _answered(encoded: Any, answer: Sequence[int]) -> Any:
    """Return a prompt with its answer in the place of the mask."""
    ids = list(encoded.token_ids)
    for place, piece in zip(encoded.read, answer, strict=False):
        ids[place] = piece
    return replace(encoded, token_ids=tuple(ids))


def _with_words(encoded: Any, words: Sequence[int], read: int, mask: int) -> Any:
    """Return a prompt with words in its first virtual tokens and masks in the others, read at one of them."""
    ids, places = list(encoded.token_ids), {}
    for position, number in enumerate(encoded.virtual_ids):
        if number >= 0:
            ids[position] = words[number] if number < len(words) else mask
            places[number] = position
    return replace(encoded, token_ids=tuple(ids), virtual_ids=(-1,) * len(ids), read=(places[read],))


def _allowed(draft: Draft, answers: set[int]) -> Any:
    """Return the ids that may be filled in: whole words and punctuation marks, the label words' pieces left out."""
    tokenizer = draft.tokenizer
    space = " " if tokenizer.marks_spaces else ""
    found = []
    for number in range(tokenizer.vocab_size):
        name = readable_piece(tokenizer, number)
        word = name.strip("Ġ▁")
        if number in answers or not (whole_word(tokenizer, number) or word in _MARKS):
            continue
        if tokenizer.encode((space if name != word else "") + word) == [number]:
            found.append(number)
    return np.array(found)


def _written(draft: Draft, skeleton: Template, words: Sequence[int]) -> Template:
    """Return the skeleton with the words spelt out."""
    names = [readable_piece(draft.tokenizer, number) for number in words]
    if draft.tokenizer.marks_spaces:
        text = "".join(re.sub("[Ġ▁]", " ", name) for name in names)
    else:
        text = ("" if draft.language.startswith("zh") else " ").join(names)
    source = str(skeleton)
    found = _SLOT.search(source)
    assert found is not None
    before, behind = source[: found.start()], source[found.end() :]
    if draft.tokenizer.marks_spaces and before.endswith(" "):
        text = text.removeprefix(" ")
    if behind.startswith("{") and not draft.language.startswith("zh"):
        text += " "
    return Template.parse(before + text + behind)


def _reads_back(
    draft: Draft,
    template: Template,
    verbalizer: Verbalizer,
    example: Example,
    answer: Sequence[int],
    ids: Sequence[int],
) -> bool:
    """Return whether the template is tokenised into the very pieces that were found."""
    try:
        (encoded,) = draft.prompt(template, verbalizer).encode_examples([example])
    except UserError:
        return False
    return bool(_answered(encoded, answer).token_ids == tuple(ids))


def _scores(draft: Draft, template: Template, verbalizer: Verbalizer, examples: Sequence[Example]) -> Any:
    """Return zero-shot class scores, (N, C)."""
    prompt: PromptTask = draft.prompt(template, verbalizer)
    assert prompt.verbalizer is not None
    known = draft.log_probabilities(draft.states(prompt.encode_examples(examples)), prompt.verbalizer.rows)
    return known.reshape(len(examples), -1) @ np.asarray(prompt.verbalizer.selection(), np.float32)
