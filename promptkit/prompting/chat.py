"""A prompt as a turn of a conversation, in the words of the model's own chat template.

Models that were trained to converse bring a Jinja template of how turns are written. It is rendered with marks where
texts go, in a sandbox; what stands around the marks are the pieces around a prompt.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from promptkit.backbones.face import ChatTokenizer, Tokenizer
from promptkit.errors import UserError
from promptkit.prompting.pieces import Pieces

_USER, _ANSWER, _NEXT = "\ue000", "\ue001", "\ue002"  # for private use: no template writes them


@dataclass(frozen=True)
class Conversation:
    """The pieces around the turns of a conversation.

    Attributes:
        front: before the first user's turn: what opens a text, and the system's turn if the model's template has one.
        answer: between a user's turn and the answer that the model is about to give.
        shown: between a user's turn and an answer that it has given; mostly the same.
        turn: between that answer and the next user's turn.
    """

    front: Pieces
    answer: Pieces
    shown: Pieces
    turn: Pieces

    @classmethod
    def of(cls, tokenizer: Tokenizer) -> Conversation:
        """Return those of a model.

        Raises:
            UserError: if it has no chat template, or one that cannot be used.
        """
        if not isinstance(tokenizer, ChatTokenizer) or tokenizer.chat_template is None:
            raise UserError(
                "{chat} writes a prompt as the model's own chat template does, and this model has none: leave {chat} "
                "out, or name a causal model that was trained to converse."
            )
        turns = [("user", _USER), ("assistant", _ANSWER), ("user", _NEXT)]
        messages = [{"role": role, "content": content} for role, content in turns]
        front, answer = _rendered(tokenizer, messages[:1], _USER)
        _, shown, turn, _ = _rendered(tokenizer, messages, _USER, _ANSWER, _NEXT)
        return cls(*(tuple(tokenizer.encode_marked(text)) for text in (front, answer, shown, turn)))


def _rendered(tokenizer: ChatTokenizer, messages: list[dict[str, str]], *marks: str) -> list[str]:
    """Return what stands around the marks, in order."""
    import jinja2
    from jinja2.ext import Extension
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    class Generation(Extension):
        """`{% generation %}` marks what a model is trained to write; here it stands as it is."""

        tags = {"generation"}  # noqa: RUF012  # as Jinja declares it

        def parse(self, parser: Any) -> Any:
            next(parser.stream)
            return parser.parse_statements(("name:endgeneration",), drop_needle=True)

    # As transformers has it. A clock is not offered: a prompt must be the same on another day.
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols", Generation]
    )
    environment.globals["raise_exception"] = _refuse
    try:
        text = environment.from_string(tokenizer.chat_template or "").render(
            messages=messages, add_generation_prompt=True, tools=None, documents=None, **tokenizer.chat_tokens
        )
    except UserError:
        raise
    except (
        jinja2.TemplateError,
        ArithmeticError,
        LookupError,
        TypeError,
        ValueError,
        AttributeError,
        RuntimeError,
    ) as error:
        raise _unusable(str(error) or type(error).__name__) from None
    parts: list[str] = []
    for mark in marks:
        before, found, text = text.partition(mark)
        if not found or mark in text:
            raise _unusable("it does not write every turn once, in order")
        parts.append(before)
    return [*parts, text]


def _refuse(message: Any) -> None:
    raise _unusable(str(message))


def _unusable(reason: str) -> UserError:
    line = " ".join(reason.split())[:160]
    return UserError(f"the model's chat template cannot be used ({line}); leave {{chat}} out.")
