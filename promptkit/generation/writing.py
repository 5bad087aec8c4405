"""Answers to prompts, written side by side or streamed as their tokens come."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from promptkit.backbones.device import Mode
from promptkit.generation.decoding import Decoding
from promptkit.generation.sampling import Sampling, pick
from promptkit.nn import PromptedModel
from promptkit.prompting import Encoded

Decode = Callable[[Sequence[int]], str]
_UNFINISHED = "\ufffd"  # what stands for a character of which some bytes are still to come


def token_stream(
    decoding: Decoding,
    prompts: Sequence[Encoded],
    *,
    numbers: Sequence[int],
    how: Sampling,
) -> Iterator[list[int | None]]:
    """Yield the next token of every text, None for those that have ended, until all have.

    Args:
        decoding: for that many texts, and answers of at most that many tokens.
        prompts: at most so many.
        numbers: of the texts, which their random numbers come from.
        how: tokens are chosen.
    """
    ends, filler = frozenset(decoding.end_ids), next(iter(decoding.end_ids), 0)
    generators = [how.generator(number) for number in numbers]
    going = np.ones(len(prompts), bool)
    filled = [*prompts, *[prompts[0]] * (decoding.texts - len(prompts))]
    scores = decoding.begin(filled)
    for count in range(1, decoding.tokens + 1):
        found: list[int | None] = []
        for row in range(len(prompts)):
            token = pick(scores[row], how, generators[row]) if going[row] else filler
            going[row] &= token not in ends
            found.append(token if going[row] else None)
        if not going.any():
            return
        yield found
        if count < decoding.tokens:
            rest = [filler if token is None else token for token in found]
            scores = decoding.go_on([*rest, *[filler] * (decoding.texts - len(rest))])


def write(
    model: PromptedModel,
    prompts: Sequence[Encoded],
    *,
    tokens: int,
    how: Sampling | None = None,
    batch_size: int = 8,
    mode: Mode = "graph",
) -> list[list[int]]:
    """Return the tokens that a model writes behind prompts, the end of text left off.

    Args:
        model: what asks.
        prompts: N of them.
        tokens: at most, of an answer.
        how: tokens are chosen; the most likely ones by default.
        batch_size: texts beside each other; what each becomes does not depend on it.
        mode: unless `pynative`, two graphs are compiled for all of them.
    """
    how, texts = how or Sampling(), min(batch_size, len(prompts))
    longest = max((len(prompt.token_ids) for prompt in prompts), default=0)
    answers: list[list[int]] = [[] for _ in prompts]
    if not prompts:
        return answers
    decoding = Decoding(model, longest=longest, texts=texts, tokens=tokens, mode=mode)
    for start in range(0, len(prompts), texts):
        numbers = range(start, min(start + texts, len(prompts)))
        own = [prompts[number] for number in numbers]
        for step in token_stream(decoding, own, numbers=numbers, how=how):
            for number, token in zip(numbers, step, strict=True):
                if token is not None:
                    answers[number].append(token)
    return answers


def pieces(steps: Iterator[list[int | None]], decode: Decode) -> Iterator[str]:
    """Yield the text of the first of some texts piece by piece, whole characters only, without white space around it.

    A character may take several tokens. What is still unfinished when the text ends is left as it is.
    """
    ids, shown = list[int](), ""
    for step in steps:
        if step[0] is not None:
            ids.append(step[0])
        text = decode(ids).strip()  # white space waits for what follows it
        if text.startswith(shown) and not text.endswith(_UNFINISHED) and len(text) > len(shown):
            yield text[len(shown) :]
            shown = text
    rest = decode(ids).strip()[len(shown) :]
    if rest:
        yield rest
