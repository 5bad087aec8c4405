"""From a template and texts to token ids: what stands at every position, and what was cut to fit.

A `Layout` says what stands around the template's parts. Only fields are ever truncated.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise

from promptkit.backbones.face import Tokenizer
from promptkit.errors import UserError
from promptkit.prompting.continuations import Continuations
from promptkit.prompting.halves import split_halves
from promptkit.prompting.layout import Front, Layout, Readout, Segment
from promptkit.prompting.pieces import readable_piece
from promptkit.prompting.spacing import Spacing, spaced
from promptkit.prompting.template import HALVES, Half, Template

Content = str | Sequence[int]
"""What stands for a field: a text, or piece ids that are taken as they are."""


@dataclass(frozen=True)
class Encoded:
    """One prompt, ready to be packed. S is its own length, M the number of positions read.

    Attributes:
        token_ids: S piece ids, the layout's filler where a virtual token stands.
        virtual_ids: S numbers of virtual tokens, -1 where none stands.
        read: the M positions that class scores are read at.
        dropped: field tokens that were cut off.
        unknown: unknown pieces among the field tokens kept.
        field_tokens: field tokens kept.
        cut: the fields that were cut, each once, in the order of the template.
        shown: demonstrations that stand there.
        left_out: demonstrations that did not fit.
        front: positions that stand before these S, which are left to `Encoder.front`.
        parts: where label words go on behind a prompt, the positions of each of its rows, which stand one after the
            other and see nothing of each other; empty where there is one.
        cut_answer: whether the answer behind the prompt, if there is one, was cut.
    """

    token_ids: tuple[int, ...]
    virtual_ids: tuple[int, ...]
    read: tuple[int, ...]
    dropped: int
    unknown: int
    field_tokens: int
    cut: tuple[str, ...] = ()
    shown: int = 0
    left_out: int = 0
    front: int = 0
    parts: tuple[int, ...] = ()
    cut_answer: bool = False


@dataclass(frozen=True)
class Demonstration:
    """An example to be shown with its answer.

    Attributes:
        fields: what stands for the template's fields.
        answer: the pieces of its label word, which stand in the mask slots.
    """

    fields: Mapping[str, str]
    answer: tuple[int, ...]


@dataclass(frozen=True)
class _Frame:
    """What stands around the fields of a prompt, and the room it leaves them."""

    segments: tuple[Segment, ...]
    room: int
    shown: int
    left_out: int


class Encoder:
    """Fits texts into a template.

    Where the tokenizer marks spaces, a space at the end of a literal belongs to what comes next: a field is
    tokenised with the space in front; before a mask it is left out, and the label words are tokenised with it.
    `Template.spacing` says where one stands, and where a virtual token counts as a word.

    Args:
        template: the template.
        tokenizer: the backbone's tokenizer.
        mask_slots: slots the label words need; 0 where nobody reads them (`Template.mask_counts`).
        max_length: the most positions a prompt may take, special tokens included.
        readout: what is read: label words at the mask slots (`cloze`), an answer that is written there (`answer`),
            or one state by a linear head (`head`).
        layout: of the model; a masked model's by default.
        behind: the label words behind the prompt of a causal model; by default each is one piece.
        demonstrations: to be laid out beside texts, whole or not at all: they take at most half of the room that the
            template leaves, and those that do not fit are left out.
        arrange: from the numbers of those that fit to the order in which they stand.
        front: the demonstrations beside every text, where what all prompts begin with is to be left to `self.front`;
            None where every prompt is to be whole.

    Attributes:
        front: what prompts begin with that have less than all their positions; empty where none do.
        num_virtual: P, the number of virtual tokens.
        virtual_init: for each of the P virtual tokens the piece it is initialised from, or None.
        fixed_tokens: positions taken by everything but the fields.
        longest: the most positions that an example takes: `max_length`, or the rows of label words together.
        template_unknown: how many pieces of the template's own text the vocabulary does not have.

    Raises:
        UserError: if the template leaves less than one token for each field, if its mask slots do not come to
            `mask_slots`, or if the words of a `{soft:"..."}` are not in the vocabulary.
    """

    def __init__(
        self,
        template: Template,
        tokenizer: Tokenizer,
        *,
        mask_slots: int,
        max_length: int,
        readout: Readout = "cloze",
        layout: Layout | None = None,
        behind: Continuations | None = None,
        demonstrations: Sequence[Demonstration] = (),
        arrange: Callable[[Sequence[int]], Sequence[int]] | None = None,
        front: Sequence[int] | None = None,
    ) -> None:
        self.template = template
        self.tokenizer = tokenizer
        self._layout, self._readout = layout or Layout.of(tokenizer, "masked"), readout
        self.max_length = max_length
        self._behind = behind if behind is not None and behind.longest else None
        self._room = max_length - (self._behind.longest if self._behind else 0)
        self._segments = tuple(self._layout.segments(template, tokenizer, mask_slots))
        self.virtual_init = tuple(piece for segment in self._segments for piece in segment.init)
        self.num_virtual = len(self.virtual_init)
        self._fixed = sum(len(segment.ids) for segment in self._segments)
        self._arrange = arrange or tuple
        self._demonstrations = self._laid_out(demonstrations)
        self._frame = self._framed(tuple(range(len(demonstrations))))
        self.front = Front() if front is None else Front.of(self._framed(front).segments)
        self.fixed_tokens = max_length - self._frame.room
        self.template_unknown = sum(
            segment.ids.count(tokenizer.unk_id) for segment in self._segments if segment.role == "template"
        )
        self._names = [segment.field for segment in self._segments if segment.field]
        fields = len(self._names)
        if self._frame.room < fields:
            raise UserError(
                f"template '{template}' takes {self.fixed_tokens} of at most {max_length} tokens, which "
                f"leaves {max(self._frame.room, 0)} for its {fields} field{'s' if fields > 1 else ''}: "
                "shorten it or allow a greater length."
            )

    @property
    def longest(self) -> int:
        """The most positions that an example takes: `max_length`, or the rows of label words together."""
        if self._behind is None:
            return self.max_length
        return sum(self._room + len(row) for row in self._behind.rows)

    def _laid_out(self, demonstrations: Sequence[Demonstration]) -> list[tuple[int, ...]]:
        """Return the pieces of each demonstration, uncut, its answer filled in."""
        laid_out: list[tuple[int, ...]] = []
        masks = sum(segment.slots > 0 for segment in self._segments)
        for each, pieces in zip(demonstrations, self._tokenise([d.fields for d in demonstrations]), strict=True):
            ids: list[int] = []
            filled = 0
            answer = list(each.answer)
            for segment, own in _fill(self._segments, pieces):
                if segment.slots:
                    filled += 1
                    # The last mask takes what is left, for a word may have more pieces than are read of it.
                    taken = len(answer) if filled == masks else segment.slots
                    ids += answer[:taken]
                    del answer[:taken]
                elif segment.role == "chat" and self._layout.chat is not None:
                    ids += self._layout.chat.shown
                elif segment.role not in ("special", "virtual"):
                    ids += own
            laid_out.append(tuple(ids))
        return laid_out

    def _framed(self, chosen: Sequence[int]) -> _Frame:
        """Return the frame with those of the chosen demonstrations that fit, each whole."""
        room = (self._room - self._fixed) // 2
        fitting: list[int] = []
        for number in chosen:
            size = self._layout.demonstration_size(self._demonstrations[number])
            if size <= room:
                fitting.append(number)
                room -= size
        shown = [self._demonstrations[number] for number in self._arrange(fitting)]
        segments = self._layout.with_demonstrations(self._segments, shown)
        taken = sum(len(segment.ids) for segment in segments)
        return _Frame(segments, self._room - taken, len(fitting), len(chosen) - len(fitting))

    def encode_many(
        self, texts: Sequence[Mapping[str, Content]], chosen: Sequence[Sequence[int]] | None = None
    ) -> list[Encoded]:
        """Encode one prompt for each mapping from field names to texts, in order.

        A field may be given as piece ids instead, of which the tokenizer's own special ones are the use: no text
        comes to them. They never count as mask slots.

        Fields that do not fit are cut token by token from the one that is longest at the time (Devlin et al.
        2018), computed in closed form; a half counts as a field. They lose their end, and a second half its
        beginning: of a long text the beginning and the end stay (Sun et al. 2019, section 5.3.1).

        Args:
            texts: what stands for the fields.
            chosen: for each text the numbers of the demonstrations that are to stand beside it, the most wanted
                first; by default all of them.

        Raises:
            UserError: if a mapping lacks a field of the template.
            ValueError: for a piece id that the tokenizer does not have.
        """
        frames = [self._frame] * len(texts) if chosen is None else map(self._framed, chosen)
        return [self._encode(pieces, frame) for pieces, frame in zip(self._tokenise(texts), frames, strict=True)]

    def whole(self, encoded: Encoded) -> Encoded:
        """Return a prompt with all its positions, those that were left to the front as well."""
        if not encoded.front:
            return encoded
        lengths = encoded.parts or (len(encoded.token_ids),)
        ids: list[int] = []
        virtual_ids: list[int] = []
        begins = [0, *accumulate(lengths)]
        for start, end in pairwise(begins):
            ids += (*self.front.ids, *encoded.token_ids[start:end])
            virtual_ids += (*self.front.virtual_ids, *encoded.virtual_ids[start:end])
        return replace(
            encoded,
            token_ids=tuple(ids),
            virtual_ids=tuple(virtual_ids),
            read=tuple(place + encoded.front * bisect_right(begins, place) for place in encoded.read),
            parts=tuple(length + encoded.front for length in encoded.parts),
            front=0,
        )

    def explain(self, text: Mapping[str, Content], chosen: Sequence[int] | None = None) -> list[tuple[str, str]]:
        """Return a row (piece, role) for every position of the prompt for one text.

        Roles are `special`, `chat`, `template`, `mask`, `virtual`, `separator`, `demonstration` and `field:NAME`, for
        halves too.
        Virtual tokens show as `[V0]`, or `[V0=it]` where one is initialised from a piece. `chosen` are the
        demonstrations, see `encode_many`.
        """
        frame = self._frame if chosen is None else self._framed(chosen)
        pieces = next(self._tokenise([text]))
        rows: list[tuple[str, str]] = []
        for segment, ids in _fill(frame.segments, self._fit(pieces, frame.room)):
            if segment.role == "virtual":
                rows += [(self._virtual_name(number), segment.role) for number in segment.virtual]
            else:
                rows += [(readable_piece(self.tokenizer, piece), segment.role) for piece in ids]
        return rows

    def _virtual_name(self, number: int) -> str:
        piece = self.virtual_init[number]
        return f"[V{number}]" if piece is None else f"[V{number}={readable_piece(self.tokenizer, piece)}]"

    def _tokenise(self, texts: Sequence[Mapping[str, Content]]) -> Iterator[tuple[list[int], ...]]:
        """Yield for each text the pieces of the template's fields, uncut, a repeated field repeatedly."""
        columns: dict[tuple[str, Half | None, Spacing], list[list[int]]] = {}
        keys = [(segment.field, segment.half, segment.spacing) for segment in self._segments if segment.field]
        for key in keys:
            if key not in columns:
                columns[key] = self._pieces(*key, texts)
        return zip(*(columns[key] for key in keys), strict=True)

    def _pieces(
        self, name: str, half: Half | None, spacing: Spacing, texts: Sequence[Mapping[str, Content]]
    ) -> list[list[int]]:
        """Return the pieces of one field, or of one half of it, for each text, in one call of the tokenizer."""
        contents = _column(texts, name)
        plain = [spaced(self.tokenizer, _half(text, half), spacing) for text in contents if isinstance(text, str)]
        encoded = iter(self.tokenizer.encode_many(plain) if plain else [])
        return [next(encoded) if isinstance(each, str) else self._given(each, half) for each in contents]

    def _given(self, ids: Sequence[int], half: Half | None) -> list[int]:
        """Return piece ids that stand for a field, or their first or second half; the first is the longer."""
        if any(not 0 <= piece < self.tokenizer.vocab_size for piece in ids):
            raise ValueError(f"piece ids must be from 0 to {self.tokenizer.vocab_size - 1}, got {list(ids)}")
        middle = -(-len(ids) // 2)
        return list(ids if half is None else ids[:middle] if half == "first" else ids[middle:])

    def _fit(self, pieces: Sequence[list[int]], room: int) -> list[list[int]]:
        fields = [segment for segment in self._segments if segment.field]
        shares = share_room([len(ids) for ids in pieces], room)
        return [
            ids[len(ids) - share :] if segment.half == "second" else ids[:share]
            for segment, ids, share in zip(fields, pieces, shares, strict=True)
        ]

    def _encode(self, pieces: Sequence[list[int]], frame: _Frame) -> Encoded:
        kept = self._fit(pieces, frame.room)
        token_ids: list[int] = []
        virtual_ids: list[int] = []
        read: list[int] = []
        for segment, ids in _fill(frame.segments, kept):
            if segment.slots and self._readout != "head":
                read += self._layout.slots_read(len(token_ids), segment.slots)
            token_ids += ids
            virtual_ids += segment.virtual or [-1] * len(ids)
        if self._readout == "head":
            read = [self._layout.head_read(len(token_ids))]
        front = self._cut(token_ids, virtual_ids, read)
        token_ids, virtual_ids, read = token_ids[front:], virtual_ids[front:], [place - front for place in read]
        parts: tuple[int, ...] = ()
        if self._behind is not None:
            read, length = list(self._behind.read(len(token_ids))), len(token_ids)
            token_ids = [piece for row in self._behind.rows for piece in (*token_ids, *row)]
            virtual_ids = [number for row in self._behind.rows for number in (*virtual_ids, *[-1] * len(row))]
            parts = tuple(length + len(row) for row in self._behind.rows)
        field_tokens = sum(map(len, kept))
        return Encoded(
            token_ids=tuple(token_ids),
            virtual_ids=tuple(virtual_ids),
            read=tuple(read),
            dropped=sum(map(len, pieces)) - field_tokens,
            unknown=sum(ids.count(self.tokenizer.unk_id) for ids in kept),
            field_tokens=field_tokens,
            cut=tuple(dict.fromkeys(self._names[n] for n, part in enumerate(kept) if len(part) < len(pieces[n]))),
            shown=frame.shown,
            left_out=frame.left_out,
            front=front,
            parts=parts,
        )

    def _cut(self, token_ids: list[int], virtual_ids: list[int], read: list[int]) -> int:
        """Return how many positions of a prompt are the front: all of it, or none.

        None where other demonstrations stand there, or where it is read before anything of its own comes.
        """
        count, front = len(self.front.ids), self.front
        if not count or not read or min(read) < count or tuple(token_ids[:count]) != front.ids:
            return 0
        return count if tuple(virtual_ids[:count]) == front.virtual_ids else 0


def _fill(segments: Sequence[Segment], pieces: Sequence[list[int]]) -> Iterator[tuple[Segment, Sequence[int]]]:
    """Yield every segment with its ids, those of the fields filled in."""
    fields = iter(pieces)
    for segment in segments:
        yield segment, (next(fields) if segment.field else segment.ids)


def share_room(lengths: Sequence[int], room: int) -> list[int]:
    """Return how many tokens each field keeps of its `lengths` so that together they take at most `room`.

    The same as dropping one token at a time from the longest field, the later one where lengths are equal,
    until all fit: every field is cut to one common level, and what is left over goes to the earlier ones.
    """
    if sum(lengths) <= room:
        return list(lengths)
    level, left, open_fields = 0, room, len(lengths)
    for length in sorted(lengths):
        level = left // open_fields
        if length > level:
            break
        left -= length
        open_fields -= 1
    spare = left - level * open_fields
    shares: list[int] = []
    for length in lengths:
        extra = int(length > level and spare > 0)
        spare -= extra
        shares.append(min(length, level) + extra)
    return shares


def _column(texts: Sequence[Mapping[str, Content]], name: str) -> list[Content]:
    """Return the values of one field."""
    values: list[Content] = []
    for number, text in enumerate(texts, start=1):
        if name not in text:
            has = ", ".join(sorted(text)) or "nothing"
            raise UserError(f"the template uses {{{name}}}, but example {number} has only: {has}.")
        values.append(text[name])
    return values


def _half(text: str, half: Half | None) -> str:
    return text if half is None else split_halves(text)[HALVES.index(half)]
