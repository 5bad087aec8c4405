"""How a verbalizer is written: labels and words between separators, in double quotes where they hold one."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from promptkit.checking import cut
from promptkit.errors import UserError

# Full-width signs, as a Chinese keyboard types them, separate as well.
_FULL_WIDTH = str.maketrans("＝，；", "=,;")
_SIGNS = "=,;\n＝，；"
_QUOTED = re.compile(rf'[^\S\n]*"((?:[^"]|"")*)"[^\S\n]*(?=[{_SIGNS}]|\Z)')
_BARE = re.compile(rf"[^{_SIGNS}]*")
HOW = "write label=word,word"


@dataclass(frozen=True)
class _Piece:
    """A name and the sign behind it: `=`, `,`, `;`, or nothing at the end."""

    name: str
    quoted: bool
    sign: str
    start: int
    end: int


def parse_classes(source: str) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Return the pairs of a label and its words in `positive=great,wonderful; negative=terrible,bad`.

    An end of line does for a semicolon. What begins with a double quote ends at the next one that is not doubled, and
    everything between them belongs to the name.

    Raises:
        UserError: for an entry that is not a label with words.
    """
    classes = []
    entry: list[_Piece] = []
    for piece in _pieces(source):
        entry.append(piece)
        if piece.sign in ("", ";"):
            if any(each.name or each.quoted or each.sign == "=" for each in entry):
                classes.append(_class(entry, source))
            entry = []
    return tuple(classes)


def quote_name(name: str) -> str:
    """Return a label or word as a verbalizer has to spell it: in double quotes only where it needs them."""
    if name == name.strip() and not name.startswith('"') and not any(sign in name for sign in _SIGNS):
        return name
    return '"' + name.replace('"', '""') + '"'


def spelt(classes: Sequence[tuple[str, Sequence[str]]]) -> str:
    """Return classes in their one canonical spelling, which `parse_classes` reads back."""
    return "; ".join(f"{quote_name(label)}={','.join(map(quote_name, words))}" for label, words in classes)


def _pieces(source: str) -> Iterator[_Piece]:
    at, sign = 0, ";"
    while sign:
        quoted = _QUOTED.match(source, at)
        bare = _BARE.match(source, at)
        assert bare is not None
        end = quoted.end() if quoted else bare.end()
        name = quoted[1].replace('""', '"') if quoted else bare[0].strip()
        if not quoted and name.startswith('"'):
            raise UserError(
                f"verbalizer: the double quote at '{cut(source[at:].strip(), 60)}' is not closed, or more stands "
                'behind the closing one; a double quote within double quotes is doubled: "5"" disk".'
            )
        sign = source[end : end + 1].translate(_FULL_WIDTH).replace("\n", ";")
        yield _Piece(name, quoted is not None, sign, at, end)
        at = end + 1


def _class(entry: Sequence[_Piece], source: str) -> tuple[str, tuple[str, ...]]:
    """Return the label and the words of an entry."""
    label, *words = entry
    text = source[entry[0].start : entry[-1].end].strip()
    if label.sign == "=" and all(word.sign != "=" for word in words):
        # Commas too many are forgiven, but what is written as empty is meant.
        return label.name, tuple(word.name for word in words if word.name or word.quoted)
    quotes = ""
    if any(piece.sign in ("=", ",") for piece in entry):
        quotes = "; what holds '=', ',', ';' or an end of line goes into double quotes"
    raise UserError(f"verbalizer: expected label=word,word in '{cut(text, 60)}'{quotes}.")
