"""Answers behind prompts: as token ids, and where the model is read to score them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from promptkit.backbones.face import BackboneInfo, Kind, Tokenizer
from promptkit.errors import UserError
from promptkit.prompting.encoder import Encoded
from promptkit.prompting.spacing import Spacing, spaced
from promptkit.prompting.template import Template

_LEAST = 8  # positions that a prompt needs about


def prompt_length(info: BackboneInfo, max_length: int, max_tokens: int) -> int:
    """Return how long a prompt may be on a model, beside an answer of `max_tokens`; 0 where there are no answers.

    Raises:
        UserError: if the answers leave it next to nothing.
    """
    room = info.max_length - max_tokens
    if max_tokens and room < _LEAST:
        raise UserError(
            f"--max-tokens {max_tokens}: the model takes {info.max_length} tokens in all, which leaves "
            f"{max(room, 0)} for a prompt."
        )
    return min(max_length, room)


@dataclass(frozen=True)
class AnswerEncoder:
    """Puts an answer and the end-of-text token behind a prompt that ends at the mask.

    Attributes:
        tokenizer: of the model.
        spacing: what answers stand behind.
        max_tokens: of an answer, its end included; a longer one is cut, and has no end then.
    """

    tokenizer: Tokenizer
    spacing: Spacing
    max_tokens: int

    @classmethod
    def of(cls, template: Template, tokenizer: Tokenizer, kind: Kind, max_tokens: int) -> AnswerEncoder:
        """Return the encoder of a template's answers.

        Raises:
            UserError: for a model that does not write, one whose tokenizer names no end of text, or a template
                without a mask.
        """
        if kind != "causal":
            raise UserError(
                "--objective text takes a causal language model, which writes on; this one is a masked one. Name "
                "another with --model."
            )
        if not template.has_mask:
            raise UserError(f"template '{template}' has no {{mask}}, where the answer is to stand. Put it last.")
        if tokenizer.sep_id < 0:
            raise UserError("the model's tokenizer names no end-of-text token (eos_token), so answers have no end.")
        return cls(tokenizer, template.mask_spacing, max_tokens)

    def ids(self, answers: Sequence[str]) -> list[list[int]]:
        """Return the token ids of answers, each closed by the end of text and cut to `max_tokens`."""
        texts = [spaced(self.tokenizer, text, self.spacing) for text in answers]
        found = self.tokenizer.encode_many(texts) if texts else []
        return [[*ids, self.tokenizer.sep_id][: self.max_tokens] for ids in found]

    def answered(self, prompts: Sequence[Encoded], answers: Sequence[str]) -> list[Encoded]:
        """Return prompts with their answers behind them.

        A token is scored where the one before it stands: `read` has one position for each token of the answer.
        """
        return [
            replace(
                prompt,
                token_ids=(*prompt.token_ids, *ids),
                virtual_ids=(*prompt.virtual_ids, *[-1] * len(ids)),
                read=tuple(range(len(prompt.token_ids) - 1, len(prompt.token_ids) - 1 + len(ids))),
                cut_answer=ids[-1] != self.tokenizer.sep_id,
            )
            for prompt, ids in zip(prompts, self.ids(answers), strict=True)
        ]
