"""The template language: where the text, the mask slots and the virtual tokens of a prompt stand.

A template is literal text with slots in braces:

    {text}, {question}  the fields of an example, by the names its data has for them
    {text:first}        the first half of a field; the second is {text:second}
    {mask}              mask slots, as many as the label words need
    {mask:2}            exactly two mask slots
    {soft:10}           ten virtual tokens
    {soft:"It was"}     virtual tokens initialised from words, one for each piece of the words
    {sep}               the token that a masked model puts between two texts
    {chat}              in front: the prompt is a turn of a conversation, as the model writes one
    {{ and }}           literal braces

The scanner reads it left to right, once; nothing is ever evaluated.
"""

from __future__ import annotations

import re
import shlex
import typing
from dataclasses import dataclass, field

from promptkit.checking import OWN_SLOTS, guess_slot, is_field_name
from promptkit.errors import UserError, did_you_mean
from promptkit.prompting.spacing import Spacing

MAX_COUNT = 512
Half = typing.Literal["first", "second"]
HALVES: tuple[Half, ...] = typing.get_args(Half)
_QUOTES = ("'", '"')
# As other tools write slots: a pair of brackets is text here, and a mask token in a text is text as well.
_FOREIGN = re.compile(
    r"\[\s*(x|x1|x2|text|sentence|s1|s2|z|mask|sep)\s*\]|<\s*(mask|text|sentence|x)\s*>", re.IGNORECASE
)
_HINTS = {"x": "text", "x1": "text", "s1": "text", "x2": "text_b", "s2": "text_b", "z": "mask"}


@dataclass(frozen=True)
class Literal:
    """Text that stands in the prompt as written; `column` is 1-based."""

    text: str
    column: int


@dataclass(frozen=True)
class Field:
    """The place of a field of an example, such as `text`, or of one half of it."""

    name: str
    column: int
    half: Half | None = None


@dataclass(frozen=True)
class Mask:
    """Mask slots: `count` of them, or as many as the label words need where it is None."""

    count: int | None
    column: int


@dataclass(frozen=True)
class Soft:
    """Virtual tokens: `count` of them, or one for each piece of `words`. Exactly one of the two is None."""

    count: int | None
    words: str | None
    column: int


@dataclass(frozen=True)
class Chat:
    """Says that what follows is a user's turn, which the model's own chat template writes."""

    column: int


@dataclass(frozen=True)
class Separator:
    """The special token that a masked model puts between two texts."""

    column: int


Part = Literal | Field | Mask | Soft | Separator | Chat


@dataclass(frozen=True)
class Template:
    """A parsed template. Two templates are equal when their sources are.

    Attributes:
        source: the template as it was written.
        parts: its literals and slots, in order.

    Raises:
        UserError: for a source that is not a template, with the column (1-based) and what was expected there.
    """

    source: str
    parts: tuple[Part, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        parts = _Scanner(self.source).scan()
        object.__setattr__(self, "parts", parts)
        if not self.fields:
            hint = f" {foreign}" if (foreign := foreign_slots(self.source)) else ""
            raise UserError(
                f"template '{self.source}' has no field: write {{text}}, or the name of another column in braces, "
                f"where the text shall stand.{hint}"
            )
        for part in parts[1:]:
            if isinstance(part, Chat):
                raise UserError(f"template, column {part.column}: {{chat}} stands in front of everything else.")

    @classmethod
    def parse(cls, source: str) -> Template:
        """Return the template that `source` describes; see the class for what is raised."""
        return cls(source)

    def __str__(self) -> str:
        return self.source

    @property
    def fields(self) -> tuple[str, ...]:
        """The names of the fields in order of appearance, a repeated one as often as it stands there.

        A half goes by the name of its field, so `{text:first} {mask} {text:second}` has ("text", "text").
        """
        return tuple(part.name for part in self.parts if isinstance(part, Field))

    @property
    def foreign(self) -> str:
        """A sentence on slots that are written as other tools write them, or nothing; see `foreign_slots`."""
        return foreign_slots("".join(part.text for part in self.parts if isinstance(part, Literal)))

    @property
    def has_mask(self) -> bool:
        """Whether there is a mask slot to read an answer from."""
        return any(isinstance(part, Mask) for part in self.parts)

    @property
    def has_soft(self) -> bool:
        """Whether there are virtual tokens."""
        return any(isinstance(part, Soft) for part in self.parts)

    @property
    def has_chat(self) -> bool:
        """Whether the prompt is a turn of a conversation."""
        return isinstance(self.parts[0], Chat)

    @property
    def spacing(self) -> tuple[Spacing, ...]:
        """For every part, what a word that begins there stands behind.

        A virtual token stands for a word, so that `{soft:3}{mask}` asks for a word and not for a suffix. An answer
        that begins a turn of its own follows nothing. Only tokenizers that tell " great" from "great" care.
        """

        def behind(left: Part | None, part: Part) -> Spacing:
            if self.has_chat and isinstance(part, Mask):
                return ""
            if isinstance(left, Soft):
                return "word"
            return "space" if isinstance(left, Literal) and left.text.endswith(" ") else ""

        before = (None, *self.parts[:-1])
        return tuple(behind(left, part) for left, part in zip(before, self.parts, strict=True))

    @property
    def mask_spacing(self) -> Spacing:
        """What the word at the first `{mask}` stands behind; nothing where there is no mask."""
        return next((it for part, it in zip(self.parts, self.spacing, strict=True) if isinstance(part, Mask)), "")

    def mask_counts(self, needed: int) -> tuple[int, ...]:
        """Return how many slots each `{mask}` of the template takes when label words need `needed` in all.

        A single open `{mask}` takes what the counted ones leave. Several open ones take one slot each.

        Args:
            needed: slots the label words need; 0 where nobody reads the slots, and open ones then take one.

        Raises:
            UserError: if there is no mask although one is needed, or the slots do not come to `needed`.
        """
        masks = [part for part in self.parts if isinstance(part, Mask)]
        open_masks = sum(mask.count is None for mask in masks)
        counted = sum(mask.count or 0 for mask in masks)
        if needed and not masks:
            hint = f" {self.foreign}" if self.foreign else ""
            raise UserError(f"template '{self.source}' has no {{mask}}, and the label words are read at one.{hint}")
        share = max(needed - counted, 1) if open_masks == 1 else 1
        total = counted + share * open_masks
        if needed and total != needed:
            raise UserError(
                f"template '{self.source}' has {total} mask slots, but the label words need {needed}: "
                f"write one {{mask}} without a count, or slots that come to {needed}."
            )
        return tuple(share if mask.count is None else mask.count for mask in masks)

    def with_soft_prefix(self, count: int) -> Template:
        """Return this template with `count` virtual tokens in front (Lester et al. 2021), in a user's turn.

        Itself where it has virtual tokens.
        """
        if self.has_soft:
            return self
        at = self.parts[1].column - 1 if self.has_chat else 0
        return Template(f"{self.source[:at]}{{soft:{count}}}{self.source[at:]}")

    def with_soft_before_mask(self, count: int) -> Template:
        """Return this template with `count` virtual tokens right before the first mask (Shin et al. 2020).

        Itself where it has virtual tokens, or no mask.
        """
        at = next((part.column - 1 for part in self.parts if isinstance(part, Mask)), None)
        if self.has_soft or at is None:
            return self
        return Template(f"{self.source[:at]}{{soft:{count}}}{self.source[at:]}")


def foreign_slots(text: str) -> str:
    """Return a sentence that says how `[x]`, `[mask]` or `<mask>` in a template are written here, or nothing."""
    found = {match[0]: (match[1] or match[2]).lower() for match in _FOREIGN.finditer(text)}
    if not found:
        return ""
    meant = ", ".join(f"{{{_HINTS.get(name, name)}}} for {written}" for written, name in found.items())
    return f"Slots are written in braces: {meant}."


def fields_of(sources: typing.Iterable[str]) -> tuple[str, ...]:
    """Return the fields that templates use, each once: `text` and `text_b` first, the others as they come."""
    used = dict.fromkeys(name for source in sources for name in Template.parse(source).fields)
    return tuple(sorted(used, key=lambda name: ("text", "text_b", name).index(name)))


def fill_in_fields(source: str, fields: typing.Sequence[str], between: str = " ") -> str:
    """Return a template with every field of the data, in order, where it says `{text}`; for one that nobody wrote."""
    return re.sub(r"(?<!\{)\{text\}(?!\})", between.join(f"{{{name}}}" for name in fields), source)


def ending_at_mask(sources: typing.Iterable[str]) -> tuple[str, ...]:
    """Return templates for a causal model, which answers behind what it reads, from some for a masked one.

    Of those that end at their one mask but for punctuation, that is left off: `{text} It was {mask}.` ends in
    `{mask}`. Others are left out; if none is left, all are returned as they are, for an error to name one.
    """
    sources = tuple(sources)
    cut = (re.sub(r"(\{mask\})[\s.!?。！？]+$", r"\1", source) for source in sources)
    fitting = tuple(source for source in cut if source.endswith("{mask}") and source.count("{mask") == 1)
    return fitting or sources


class _Scanner:
    """One pass over a template's source, from left to right."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.at = 0

    def scan(self) -> tuple[Part, ...]:
        parts: list[Part] = []
        while self.at < len(self.source):
            literal = self._literal()
            if literal is not None:
                parts.append(literal)
            if self.at < len(self.source):
                parts.append(self._slot())
        return tuple(parts)

    def _literal(self) -> Literal | None:
        """Read up to the next slot, doubled braces made single; None where a slot begins at once."""
        start, text = self.at, ""
        while self.at < len(self.source):
            here = self.source[self.at]
            doubled = here in "{}" and self.source.startswith(here * 2, self.at)
            if here == "{" and not doubled:
                break
            if here == "}" and not doubled:
                raise self._error(self.at, "'}' closes nothing. Write '}}' for a literal brace.")
            text += here
            self.at += 2 if doubled else 1
        return Literal(text, start + 1) if text else None

    def _slot(self) -> Part:
        """Read one slot, from its opening brace to its closing one."""
        start = self.at
        self.at += 1
        _, name = self._until(":{}")
        if not name:
            raise self._error(start, "expected a slot: {text}, {mask} and the like. Write '{{' for a literal brace.")
        if name not in OWN_SLOTS and (name.casefold() in OWN_SLOTS or not is_field_name(name)):
            near = guess_slot(name) or (
                " A field is a word: letters, digits and '_', no digit first; a column of another name becomes one "
                f"by --fields NAME={shlex.quote(name)}."
            )
            raise self._error(start, f"unknown slot '{{{name}}}'.{near} Write '{{{{' for a literal brace.")
        argument: int | str | None = None
        if self.source.startswith(":", self.at):
            self.at += 1
            argument = self._argument(name)
        self._skip_blanks()
        if not self.source.startswith("}", self.at):
            wanted = "'}'" if argument is not None else "':' or '}'"
            raise self._error(self.at, f"expected {wanted} to end the slot that begins at column {start + 1}.")
        end = self.at
        self.at += 1
        return self._make(name, argument, start, end)

    def _make(self, name: str, argument: int | str | None, start: int, end: int) -> Part:
        column = start + 1
        if name == "soft":
            if argument is None:
                raise self._error(end, '{soft} needs a count or words: {soft:10} or {soft:"It was"}.')
            if isinstance(argument, int):
                return Soft(argument, None, column)
            return Soft(None, argument, column)
        if name == "chat":
            return Chat(column)
        if name == "sep":
            return Separator(column)
        if name == "mask":
            assert not isinstance(argument, str)
            return Mask(argument, column)
        if argument is None:
            return Field(name, column)
        return Field(name, column, "first" if argument == "first" else "second")

    def _argument(self, name: str) -> int | str:
        """Read what stands between the colon and the closing brace: a half, a count, or quoted words."""
        self._skip_blanks()
        if name in ("chat", "sep"):
            raise self._error(self.at, f"{{{name}}} takes nothing behind a colon.")
        if self.source.startswith(_QUOTES, self.at):
            if name != "soft":
                takes = "a count" if name in OWN_SLOTS else "'first' or 'second'"
                raise self._error(self.at, f"{{{name}}} takes {takes}, not words.{self._other(name)}")
            return self._quoted()
        at, written = self._until("{}")
        return self._count(name, at, written) if name in OWN_SLOTS else self._half(name, at, written)

    def _half(self, name: str, at: int, written: str) -> str:
        if written not in HALVES:
            near = did_you_mean(written.casefold(), HALVES) or self._other(name)
            raise self._error(at, f"expected 'first' or 'second' after '{name}:', got '{written[:20]}'.{near}")
        return written

    def _count(self, name: str, at: int, written: str) -> int:
        if not (written.isascii() and written.isdigit()):
            wanted = "a count or quoted words" if name == "soft" else "a count"
            raise self._error(at, f"expected {wanted} after '{name}:', got '{written}'.")
        # Measured before it is converted: Python refuses integers of thousands of digits.
        count = int(written) if len(written.lstrip("0")) <= len(str(MAX_COUNT)) else MAX_COUNT + 1
        if not 1 <= count <= MAX_COUNT:
            raise self._error(at, f"the count of '{name}' must be from 1 to {MAX_COUNT}, got '{written[:20]}'.")
        return count

    def _quoted(self) -> str:
        quote, start = self.source[self.at], self.at
        end = self.source.find(quote, start + 1)
        if end < 0:
            raise self._error(start, f"the quote {quote} is never closed.")
        words = self.source[start + 1 : end]
        if not words.strip():
            raise self._error(start, "expected words between the quotes.")
        self.at = end + 1
        return words

    def _until(self, stops: str) -> tuple[int, str]:
        """Read up to one of `stops` or the end; return where the text begins and the text, blanks trimmed."""
        self._skip_blanks()
        start = self.at
        while self.at < len(self.source) and self.source[self.at] not in stops:
            self.at += 1
        return start, self.source[start : self.at].rstrip()

    def _skip_blanks(self) -> None:
        while self.at < len(self.source) and self.source[self.at].isspace():
            self.at += 1

    @staticmethod
    def _other(name: str) -> str:
        """Return a guess at the slot that was meant by a field with a count or words, which only slots take."""
        return "" if name in (*OWN_SLOTS, "text", "text_b") else guess_slot(name)

    @staticmethod
    def _error(at: int, message: str) -> UserError:
        return UserError(f"template, column {at + 1}: {message}")
