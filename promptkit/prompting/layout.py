"""Where special tokens, fields, mask slots and virtual tokens stand in a row, and where answers are read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal as OneOf

from promptkit.backbones.face import Kind, Tokenizer
from promptkit.errors import UserError
from promptkit.prompting.chat import Conversation
from promptkit.prompting.spacing import Spacing, pieces_before_word, spaced
from promptkit.prompting.template import Chat, Field, Half, Literal, Mask, Separator, Soft, Template

_EMPTY_LINE = "\n\n"
_LEAST_FRONT = 8  # positions
Readout = OneOf["cloze", "head", "answer"]


@dataclass(frozen=True)
class Segment:
    """A run of positions with one role. A field's ids come with the text; all others are fixed.

    Attributes:
        role: `special`, `chat`, `template`, `mask`, `virtual`, `separator`, `demonstration` or `field:NAME`.
        ids: the fixed piece ids.
        virtual: numbers of the virtual tokens that stand here.
        init: the piece each of them starts from, or None.
        field: name of the field.
        half: which half of the field.
        spacing: what the field stands behind.
        slots: how many mask slots it stands for.
    """

    role: str
    ids: tuple[int, ...] = ()
    virtual: tuple[int, ...] = ()
    init: tuple[int | None, ...] = ()
    field: str | None = None
    half: Half | None = None
    spacing: Spacing = ""
    slots: int = 0


@dataclass(frozen=True)
class Front:
    """What all prompts of a causal model begin with, and what need therefore be computed only once.

    Attributes:
        ids: F piece ids.
        virtual_ids: the virtual token at each position, or -1.
    """

    ids: tuple[int, ...] = ()
    virtual_ids: tuple[int, ...] = ()

    @classmethod
    def of(cls, segments: Sequence[Segment]) -> Front:
        """Return what stands before the first field; nothing where that is too little to gain by it."""
        ids: list[int] = []
        virtual_ids: list[int] = []
        for segment in segments:
            if segment.field:
                break
            ids += segment.ids
            virtual_ids += segment.virtual or [-1] * len(segment.ids)
        return cls(tuple(ids), tuple(virtual_ids)) if len(ids) >= _LEAST_FRONT else cls()


@dataclass(frozen=True)
class Layout:
    """What a model puts around a prompt, and at which position it is read.

    Attributes:
        front: special tokens before the prompt.
        back: special tokens behind it.
        mask: the piece that stands in a mask slot; None for a causal model, whose answer comes next and takes no
            position: it is read at the position before.
        filler: the piece under a virtual token, whose vector takes its place.
        closing: what stands behind each demonstration.
        chat: what stands around the turns of a conversation, of which `front` is the beginning; None where there is
            none.
        between: special tokens between two texts; empty for a causal model.
    """

    front: tuple[int, ...]
    back: tuple[int, ...]
    mask: int | None
    filler: int
    closing: tuple[int, ...] = ()
    chat: Conversation | None = None
    between: tuple[int, ...] = ()

    @classmethod
    def of(cls, tokenizer: Tokenizer, kind: Kind, *, chat: bool = False) -> Layout:
        """Return the layout of a kind of model, or of a conversation with it.

        `[CLS] ... [SEP]` for a masked one; for a causal one what its tokenizer opens a text with, if anything, and
        nothing behind, where the answer comes. Of a conversation the model's own chat template says what opens it.

        Raises:
            UserError: if there is to be a conversation, and the model has no chat template that can be used.
        """
        if chat:
            found = Conversation.of(tokenizer)
            if kind == "masked":
                raise UserError("{chat} is for a causal language model; a masked one gives no answer of its own.")
            return cls(found.front, (), None, tokenizer.pad_id, found.turn, found)
        if kind == "masked":
            back = (tokenizer.sep_id,)
            # RoBERTa and those after it, whose separator is the end of a text, were trained with two of them.
            between = back * 2 if tokenizer.token(tokenizer.sep_id) == "</s>" else back
            return cls((tokenizer.cls_id,), back, tokenizer.mask_id, tokenizer.pad_id, back, between=between)
        front = (tokenizer.cls_id,) if tokenizer.cls_id >= 0 else ()
        line = pieces_before_word(tokenizer, _EMPTY_LINE)
        return cls(front, (), None, tokenizer.pad_id, () if tokenizer.unk_id in line else line)

    def segments(self, template: Template, tokenizer: Tokenizer, mask_slots: int) -> Iterator[Segment]:
        """Yield the segments of a prompt: the special tokens and the parts of the template.

        Raises:
            UserError: if the template's mask slots do not come to `mask_slots`, if a causal model is to answer at
                several or before the end, or is given a count or a separator, or if the words of a `{soft:"..."}` are
                not in the vocabulary.
        """
        if self.mask is None and mask_slots:
            _check_answer(template)
        counts = iter(template.mask_counts(mask_slots))
        virtual, marks = 0, tokenizer.marks_spaces
        yield Segment("special", self.front)
        for part, spacing in zip(template.parts, template.spacing, strict=True):
            if isinstance(part, Literal):
                yield Segment("template", _literal_pieces(part, tokenizer, last=part is template.parts[-1]))
            elif isinstance(part, Field):
                yield Segment(f"field:{part.name}", field=part.name, half=part.half, spacing=spacing if marks else "")
            elif isinstance(part, Chat):
                continue
            elif isinstance(part, Separator):
                yield Segment("separator", self._separator(part))
            elif isinstance(part, Mask):
                yield from self._answer()
                slots = next(counts)
                yield Segment("mask", () if self.mask is None else (self.mask,) * slots, slots=slots)
            else:
                init = _initial_pieces(part, tokenizer, spacing)
                numbers = tuple(range(virtual, virtual + len(init)))
                yield Segment("virtual", (self.filler,) * len(init), numbers, init)
                virtual += len(init)
        if not template.has_mask:
            yield from self._answer()
        yield Segment("special", self.back)

    def _separator(self, part: Separator) -> tuple[int, ...]:
        if not self.between:
            raise UserError(
                f"template, column {part.column}: {{sep}} is for a masked model; a causal one has no token between "
                "two texts: write words or a line end."
            )
        return self.between

    def _answer(self) -> Iterator[Segment]:
        """Yield what stands between a user's turn and the answer, where there is a conversation."""
        if self.chat is not None:
            yield Segment("chat", self.chat.answer)

    def with_demonstrations(
        self, own: Sequence[Segment], demonstrations: Sequence[tuple[int, ...]]
    ) -> tuple[Segment, ...]:
        """Put demonstrations beside a prompt's own segments.

        A masked model has them behind its prompt, each closed by the separator (Gao et al. 2021, section 6.1); a
        causal one before it, for it sees only what came before, with an empty line behind each (Brown et al. 2020,
        section 2.4); in a conversation they are turns.
        """
        closed = tuple(Segment("demonstration", ids + self.closing) for ids in demonstrations)
        return (own[0], *closed, *own[1:]) if self.mask is None else (*own, *closed)

    def demonstration_size(self, ids: Sequence[int]) -> int:
        """Return how many positions a demonstration takes."""
        return len(ids) + len(self.closing)

    def slots_read(self, start: int, count: int) -> range:
        """Return where `count` mask slots at `start` are read: there, or before the one answer that comes next.

        Raises:
            UserError: if nothing stands before the answer of a causal model.
        """
        if self.mask is not None:
            return range(start, start + count)
        if start == 0:
            raise UserError("a causal language model answers behind at least one token; here nothing stands before.")
        return range(start - 1, start)

    def head_read(self, length: int) -> int:
        """Return where a linear head reads a prompt: at its first token, or at the last of a causal model.

        Raises:
            UserError: if there is nothing to read.
        """
        if length == 0:
            raise UserError("a causal language model answers behind at least one token; a prompt here has none.")
        return 0 if self.mask is not None else length - 1


def _check_answer(template: Template) -> None:
    """Refuse a mask that a causal model does not answer at: before the end, or of a count of slots."""
    if template.has_mask and not isinstance(template.parts[-1], Mask):
        raise UserError(
            f"template '{template}' goes on behind {{mask}}: a causal language model answers behind what it has "
            "read, so put {mask} last."
        )
    masks = [part for part in template.parts if isinstance(part, Mask)]
    if len(masks) > 1 or any(mask.count for mask in masks):
        raise UserError(
            f"template '{template}' counts mask slots: a causal language model answers once, in as many pieces as a "
            "label word has; write a single {mask}, without a count."
        )


def _literal_pieces(literal: Literal, tokenizer: Tokenizer, *, last: bool) -> tuple[int, ...]:
    """Return the pieces of a template's words; where spaces are marked one at the end belongs to what follows."""
    if not tokenizer.marks_spaces:
        return tuple(tokenizer.encode(literal.text))
    if last or literal.text.endswith(" "):
        return tuple(tokenizer.encode(literal.text.removesuffix(" ")))
    return pieces_before_word(tokenizer, literal.text)


def _initial_pieces(soft: Soft, tokenizer: Tokenizer, spacing: Spacing) -> tuple[int | None, ...]:
    """Return what each virtual token of a slot starts from: a piece of its words, or None."""
    if soft.words is None:
        return (None,) * (soft.count or 0)
    pieces = tuple(tokenizer.encode(spaced(tokenizer, soft.words, spacing)))
    if not pieces or tokenizer.unk_id in pieces:
        raise UserError(
            f"template, column {soft.column}: the words '{soft.words}' are not in the model's vocabulary."
        )
    return pieces
