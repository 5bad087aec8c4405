"""From a run directory, or a plain template, to written answers."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from promptkit.errors import UserError
from promptkit.generation import Sampling
from promptkit.hooks import no_exit
from promptkit.hub import Access
from promptkit.running.fields import rows_of
from promptkit.running.loader import frozen_model, model_files
from promptkit.running.restore import open_prompt

if TYPE_CHECKING:
    from promptkit.nn import PromptedModel
    from promptkit.prompting import Encoded
    from promptkit.prompting.resolved import PromptTask

TOKENS = 64
"""Most tokens of an answer, where nobody says."""
_COMPILE_FROM = 512  # tokens to be written; fewer are there sooner without compiling
Text = str | Mapping[str, str]


class Writer:
    """A prompt that writes answers.

    Attributes:
        prompt: the resolved template.
        model: what asks.
        tokens: most tokens of an answer by default.
    """

    def __init__(self, prompt: PromptTask, model: PromptedModel, tokens: int) -> None:
        self.prompt, self.model, self.tokens = prompt, model, tokens

    @property
    def field_names(self) -> tuple[str, ...]:
        """The fields that the template uses, `text` and `text_b` first."""
        from promptkit.prompting.template import fields_of

        return fields_of([str(self.prompt.template)])

    def cut(self, texts: Sequence[Text]) -> int:
        """Return how many texts lose a part of a field, for they are too long."""
        return sum(prompt.dropped > 0 for prompt in self._encoded(texts))

    @no_exit()
    def write(
        self,
        texts: Sequence[Text],
        *,
        max_tokens: int | None = None,
        temperature: float = 0.0,
        top_p: float = 1.0,
        seed: int = 0,
        batch_size: int = 8,
    ) -> list[str]:
        """Return an answer to each text.

        Args:
            texts: plain texts, for a template with a single field; or mappings from the template's fields to texts.
            max_tokens: of an answer, at most.
            temperature: scores are divided by it before a token is drawn; 0 takes the most likely token, always.
            top_p: tokens are drawn from the most likely ones whose probabilities add up to at least this; 1 draws
                from all.
            seed: of the draws; text n draws from the seed and n.
            batch_size: texts written beside each other.

        Raises:
            UserError: for a single text in place of a sequence, a number that is none, or an answer that the model
                cannot hold.
        """
        from promptkit.generation.writing import write

        if batch_size < 1:
            raise UserError(f"batch_size is {batch_size}; at least 1 text at a time.")
        how, tokens = make_sampling(temperature, top_p, seed), self._tokens(max_tokens)
        prompts = self._encoded(texts)
        mode: Any = "graph" if tokens * len(prompts) >= _COMPILE_FROM else "pynative"
        found = write(self.model, prompts, tokens=tokens, how=how, batch_size=batch_size, mode=mode)
        return [self._decode(ids).strip() for ids in found]

    @no_exit()
    def stream(
        self,
        text: Text,
        *,
        max_tokens: int | None = None,
        temperature: float = 0.0,
        top_p: float = 1.0,
        seed: int = 0,
    ) -> Iterator[str]:
        """Yield the answer to a text piece by piece, as it comes; see `write`."""
        from promptkit.generation.decoding import Decoding
        from promptkit.generation.writing import pieces, token_stream

        how, tokens = make_sampling(temperature, top_p, seed), self._tokens(max_tokens)
        prompts = self._encoded([text])
        mode: Any = "graph" if tokens >= _COMPILE_FROM else "pynative"
        decoding = Decoding(self.model, longest=len(prompts[0].token_ids), texts=1, tokens=tokens, mode=mode)
        return pieces(token_stream(decoding, prompts, numbers=[0], how=how), self._decode)

    def _tokens(self, given: int | None) -> int:
        tokens = self.tokens if given is None else given
        if isinstance(tokens, bool) or not isinstance(tokens, int) or tokens < 1:
            raise UserError(f"--max-tokens takes a whole number above 0, not '{tokens}'.")
        return tokens

    def _encoded(self, texts: Sequence[Text]) -> list[Encoded]:
        return self.prompt.encode_fields(rows_of(texts, self.field_names))

    def _decode(self, ids: Sequence[int]) -> str:
        backbone: Any = self.model.backbone
        return str(backbone.decode(ids))


def make_sampling(temperature: float, top_p: float, seed: int) -> Sampling:
    """Return how tokens are chosen.

    Raises:
        UserError: for numbers that have no meaning.
    """
    if not (math.isfinite(temperature) and temperature >= 0):
        raise UserError(f"--temperature takes a number from 0, not '{temperature}'.")
    if not 0 < top_p <= 1:
        raise UserError(f"--top-p takes a number above 0 and at most 1, not '{top_p}'.")
    if seed < 0:
        raise UserError(f"--seed takes a number from 0, not '{seed}'.")
    return Sampling(temperature, top_p, seed)


@no_exit()
def load_writer(
    path: str | Path,
    *,
    model: str | None = None,
    device: str = "auto",
    precision: str = "fp32",
    download: bool = False,
    mirror: str | None = None,
    offline: bool = False,
) -> Writer:
    """Load the prompt of a run that learnt to write answers; see `promptkit.load` for the arguments.

    Raises:
        UserError: if there is no artifact, its strategy is not installed, it belongs to another backbone, or it
            scores classes.
    """
    opened = open_prompt(
        path, model=model, device=device, precision=precision, access=Access(download, mirror, offline)
    )
    if opened.card["objective"] != "text":
        raise UserError(f"'{path}' was made for classes and writes nothing: use 'promptkit predict'.")
    prompt, built = opened.rebuild(0)
    opened.fill(0, built)
    return Writer(prompt, built, opened.card["max_tokens"])


@no_exit()
def make_writer(
    model: str,
    template: str,
    *,
    max_tokens: int = TOKENS,
    max_length: int | None = None,
    device: str = "auto",
    precision: str = "fp32",
    download: bool = False,
    mirror: str | None = None,
    offline: bool = False,
) -> Writer:
    """Return a writer that asks a model with a plain template, with nothing learnt.

    Args:
        model: name, directory or Hub id.
        template: as `--template` takes it, with `{mask}` last and no virtual tokens.
        max_tokens: of an answer, at most.
        max_length: tokens of a text with its template, at most; by default all that the model reads beside the
            answer.
        device: as for a run.
        precision: of matrix products.
        download: whether a Hub model may be fetched.
        mirror: base URL of a Hub mirror.
        offline: whether nothing may be fetched, whatever else says so.

    Raises:
        UserError: for a model that does not write, or a template that does not ask.
    """
    from promptkit.prompting import Template
    from promptkit.prompting.answers import prompt_length
    from promptkit.prompting.resolved import resolve_prompt

    files = model_files(model, access=Access(download, mirror, offline), precision=precision)
    prompt = resolve_prompt(
        Template.parse(template), None, labels=(), tokenizer=files.tokenizer, readout="answer", slots="same",
        max_length=prompt_length(files.info, files.info.max_length if max_length is None else max_length, max_tokens),
        rng=np.random.default_rng(0),
        kind=files.info.kind, max_tokens=max_tokens,
    )  # fmt: skip
    backbone = frozen_model(files, model, device)
    from promptkit.nn import ClozePrompt

    return Writer(prompt, ClozePrompt(backbone, prompt), max_tokens)
