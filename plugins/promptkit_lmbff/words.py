"""Label words that the model suggests itself (Gao et al. 2021, section 5.1). N examples, C classes, V vocabulary."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice, product
from typing import Any

import numpy as np

from promptkit import Draft, Template, UserError, Verbalizer, spaced, whole_word
from promptkit_lmbff.judging import classes_of, judge, ranked, some_of

CHOICES = 20_000  # choices of a word for each class that are gone through, at most
_BLOCK = 1_000  # choices judged at a time


class _Words:
    """The words of a vocabulary that may stand at the mask of a template."""

    def __init__(self, draft: Draft, template: Template) -> None:
        self._tokenizer, self._labels = draft.tokenizer, draft.labels
        self._spacing = template.mask_spacing

    def word(self, number: int) -> str:
        """Return a piece as a word, or "" if it is none."""
        return whole_word(self._tokenizer, number)

    def is_word(self, number: int) -> bool:
        """Return whether a piece is a whole word that is read back as this piece."""
        word, tokenizer = self.word(number), self._tokenizer
        return word != "" and tokenizer.encode(spaced(tokenizer, word, self._spacing)) == [number]

    def stand_in(self) -> Verbalizer:
        """Return label words of one piece each, so that the prompt has one slot; which ones does not matter."""
        numbers = list(islice(filter(self.is_word, range(self._tokenizer.vocab_size)), len(self._labels)))
        if len(numbers) < len(self._labels):
            raise UserError("strategy 'lmbff': the model's vocabulary has too few words to choose label words from.")
        return Verbalizer.from_mapping(dict(zip(self._labels, map(self.word, numbers), strict=True)))


def find_words(draft: Draft, template: Template, candidates: int) -> tuple[Verbalizer, str, int]:
    """Return a label word for each class, what to say of them, and how many dev scores picked them.

    A class's candidates are the words of the highest log-probability summed over its training examples. Every choice
    of one word a class is judged by its zero-shot accuracy on them; the best `candidates` choices go on to dev, which
    picks one in the same way.

    Raises:
        UserError: if the model has no word for some class.
    """
    written = _Words(draft, template)
    stand_in = written.stand_in()
    prompt = draft.prompt(template, stand_in)
    train, dev = some_of(draft.train, draft.labels, draft.rng), draft.dev
    known = draft.log_probabilities(draft.states(prompt.encode_examples(train)))[:, 0]
    truth = classes_of(train, draft.labels)
    share = _share(candidates, len(draft.labels))
    words = _candidates(written, draft.labels, known, truth, share + len(draft.labels))
    choices = _choices(words, share, candidates, known, truth)
    rows = sorted({number for choice in choices for number in choice})
    on_dev = draft.log_probabilities(draft.states(prompt.encode_examples(dev)), rows)[:, 0]
    columns = np.array([[rows.index(number) for number in choice] for choice in choices])
    scores = on_dev[:, columns].transpose(1, 0, 2)
    truth = classes_of(dev, draft.labels)
    best = ranked(scores, truth)[0]
    found = {label: written.word(number) for label, number in zip(draft.labels, choices[best], strict=True)}
    verbalizer = Verbalizer.from_mapping(found)
    accuracy = float(judge(scores[best], truth)[0])
    return (
        verbalizer,
        (
            f"label words {verbalizer}; dev picked them of {len(choices)} choices "
            f"(before tuning, {accuracy:.3f} of dev right)"
        ),
        len(choices),
    )


def _share(candidates: int, classes: int) -> int:
    """Return how many words of each class can be combined within `CHOICES`, at most `candidates`."""
    return max(1, min(candidates, int(CHOICES ** (1 / classes) + 1e-9)))


def _candidates(written: _Words, labels: Sequence[str], known: Any, truth: Any, count: int) -> list[list[int]]:
    """Return for each class its most likely words, (N, V) log-probabilities -> C lists, the likeliest first."""
    found = []
    for index, label in enumerate(labels):
        own = known[truth == index]
        order = (int(number) for number in np.argsort(-own.sum(0), kind="stable"))
        words = list(islice((number for number in order if written.is_word(number)), count))
        if not words or not len(own):
            raise UserError(f"strategy 'lmbff': there is nothing to choose a word for label '{label}' by.")
        found.append(words)
    return found


def _choices(words: list[list[int]], share: int, keep: int, known: Any, truth: Any) -> list[tuple[int, ...]]:
    """Return the choices of different words that are most accurate on the training examples, the best first.

    They are combined of each class's first `share` words. What is likely at a mask hangs on the template more than on
    the class, so where many classes have no different ones among these, those are taken that tell a class from the
    others; and if that is not enough, each gets the first that is still free.
    """
    every = _different(words, share)
    if not every:
        words = _telling(words, known, truth)
        every = _different(words, share) or [_free(words)]
    accuracy, loss = [], []
    for at in range(0, len(every), _BLOCK):
        scores = known[:, np.array(every[at : at + _BLOCK])].transpose(1, 0, 2)
        right, entropy = judge(scores, truth)
        accuracy.append(right)
        loss.append(entropy)
    order = np.lexsort((np.concatenate(loss), -np.concatenate(accuracy)))
    return [every[int(number)] for number in order[:keep]]


def _different(words: list[list[int]], share: int) -> list[tuple[int, ...]]:
    return [choice for choice in product(*(own[:share] for own in words)) if len(set(choice)) == len(choice)]


def _telling(words: list[list[int]], known: Any, truth: Any) -> list[list[int]]:
    """Return all candidates for each class, those first that are likelier there than in the mean of classes."""
    every = np.array(sorted({number for own in words for number in own}))
    means = np.stack([known[truth == index][:, every].mean(0) for index in range(len(words))])
    return [every[np.argsort(-own, kind="stable")].tolist() for own in means - means.mean(0)]


def _free(words: list[list[int]]) -> tuple[int, ...]:
    taken: list[int] = []
    for own in words:
        free = [number for number in own if number not in taken]
        if not free:
            raise UserError("strategy 'lmbff': there are too few different words for so many classes.")
        taken.append(free[0])
    return tuple(taken)
