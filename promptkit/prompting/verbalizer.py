"""Verbalizers: the label words a class is read from, and how their pieces add up to class scores."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

from promptkit.backbones.face import Tokenizer
from promptkit.errors import UserError, did_you_mean
from promptkit.prompting.continuations import Continuations
from promptkit.prompting.pieces import readable_piece, whole_word
from promptkit.prompting.spacing import Spacing, spaced
from promptkit.prompting.words import HOW, parse_classes, quote_name, spelt

SlotRule = Literal["same", "first", "mean"]


@dataclass(frozen=True)
class Verbalizer:
    """The label words of every class.

    Attributes:
        classes: pairs of a label and its words, in the order written.

    Raises:
        UserError: for fewer than two classes, a label twice, a class without words, or a word twice.
    """

    classes: tuple[tuple[str, tuple[str, ...]], ...]

    def __post_init__(self) -> None:
        if len(self.classes) < 2:
            raise UserError(
                f"a verbalizer needs at least two classes, got {len(self.classes)}: "
                "write it as positive=great,wonderful; negative=terrible,bad."
            )
        owner: dict[str, str] = {}
        seen: set[str] = set()
        for label, words in self.classes:
            _check_class(label, words, seen)
            seen.add(label)
            for word in words:
                if word in owner:
                    where = f"'{label}' twice" if owner[word] == label else f"'{owner[word]}' and '{label}'"
                    raise UserError(f"verbalizer: the label word '{word}' stands for {where}.")
                owner[word] = label

    @classmethod
    def parse(cls, source: str, labels: Sequence[str] = ()) -> Verbalizer:
        """Read `positive=great,wonderful; negative=terrible,bad`; an end of line does for a semicolon.

        If it names a single one of the data's `labels`, the error says which of them lack words.

        A label or word that holds a separator (`=`, `,`, `;`, end of line) stands in double quotes, in which a double
        quote is doubled: `"so, so"=okay; good=fine`.

        Raises:
            UserError: for what is not a verbalizer; see the class.
        """
        classes = parse_classes(source)
        own = [label for label, _ in classes]
        if len(own) == 1 and own[0] in labels:
            _check_labels(source, own, labels)
        return cls(classes)

    @classmethod
    def from_mapping(cls, words: Mapping[str, str | Sequence[str]]) -> Verbalizer:
        """Build one from label -> word or words."""
        return cls(
            tuple(
                (
                    label.strip(),
                    (given.strip(),) if isinstance(given, str) else tuple(w.strip() for w in given),
                )
                for label, given in words.items()
            )
        )

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels in the order written."""
        return tuple(label for label, _ in self.classes)

    @property
    def words(self) -> dict[str, tuple[str, ...]]:
        """Label -> label words."""
        return dict(self.classes)

    @property
    def source(self) -> str:
        """The verbalizer in its one canonical spelling, which `parse` reads back."""
        return spelt(self.classes)

    def __str__(self) -> str:
        return self.source

    def resolve(
        self,
        tokenizer: Tokenizer,
        labels: Sequence[str],
        *,
        rule: SlotRule = "same",
        spacing: Spacing = "space",
        continued: bool = False,
    ) -> ResolvedVerbalizer:
        """Return the label words as pieces of a model's vocabulary, classes in the order of `labels`.

        Args:
            tokenizer: the backbone's tokenizer.
            labels: the data's labels; their order numbers the classes.
            rule: what happens when words take different numbers of pieces. `same` refuses; `first` reads each
                word at its first piece only; `mean` takes as many slots as the longest word, and scores each
                over its own first slots by the mean of its log-probabilities.
            spacing: what the mask stands behind (`Template.mask_spacing`).
            continued: whether words stand behind the prompt of a causal model, piece by piece, and not in mask slots.
                Their numbers of pieces may then differ under `same` as well.

        Raises:
            UserError: if the labels are not those of the data, a word is not in the vocabulary, words take
                different numbers of pieces under `same`, or two classes come to the same pieces.
        """
        _check_labels(self.source, self.labels, labels)
        words = tuple(self.words[label] for label in labels)
        whole = pieces = tuple(tuple(_known_pieces(tokenizer, word, spacing) for word in group) for group in words)
        lengths = {len(ids) for group in pieces for ids in group}
        if rule == "same" and len(lengths) > 1 and not continued:
            raise _uneven(tokenizer, words, pieces)
        if rule == "first":
            pieces = tuple(tuple(ids[:1] for ids in group) for group in pieces)
        slots = 1 if rule == "first" else max(lengths)
        _check_apart(tokenizer, labels, words, pieces)
        if not continued:
            return ResolvedVerbalizer(tuple(labels), words, pieces, whole, slots, rule)
        behind = Continuations.of(ids for group in pieces for ids in group)
        return ResolvedVerbalizer(tuple(labels), words, pieces, whole, len(behind.beginnings), rule, behind)


@dataclass(frozen=True)
class ResolvedVerbalizer:
    """Label words as pieces of one vocabulary. C classes, M positions read, W different pieces.

    Attributes:
        labels: the C labels; the index is the class.
        words: class -> label words.
        pieces: class -> word -> ids of the pieces that are read.
        whole: the same with all pieces of the words, as where an answer is shown.
        slots: M: mask slots; of a causal model one position for each beginning of words.
        rule: how words of different lengths are treated: `same`, `first` or `mean`, as `--slots` takes them.
        behind: what stands behind the prompt of a causal model; None for mask slots. Its `beginnings` are the M
            beginnings of words, ids of pieces, of which the first is empty; its `rows` are those that stand there.
    """

    labels: tuple[str, ...]
    words: tuple[tuple[str, ...], ...]
    pieces: tuple[tuple[tuple[int, ...], ...], ...]
    whole: tuple[tuple[tuple[int, ...], ...], ...]
    slots: int
    rule: SlotRule
    behind: Continuations | None = None

    @property
    def mask_slots(self) -> int:
        """How many slots `{mask}` stands for: M, and one for a causal model, whose answer comes behind the prompt."""
        return self.slots if self.behind is None else 1

    @property
    def rows(self) -> tuple[int, ...]:
        """The W rows of the vocabulary that are read: the ids of all pieces, each once, ascending."""
        return tuple(sorted({piece for group in self.pieces for ids in group for piece in ids}))

    @property
    def needs_normalising(self) -> bool:
        """Whether `selection` must be fed log-probabilities over the whole vocabulary; else logits will do.

        A slot's normaliser, log sum exp over the V logits, is the same for every piece. Where every word is
        read at the same slots with the same weights it is subtracted from all classes alike, and cancels in
        the softmax over classes. Under `mean` words are read at different slots, and it does not cancel; nor where
        words go on behind different beginnings.
        """
        return self.rule == "mean" or (self.behind is not None and self.slots > 1)

    def slot(self, word: tuple[int, ...], number: int) -> int:
        """Return at which of the M positions a piece of a word is read.

        Args:
            word: the ids of the pieces that are read, as in `pieces`.
            number: of the piece in the word, from 0.
        """
        return number if self.behind is None else self.behind.slot(word[:number])

    def selection(self) -> list[list[float]]:
        """Return the matrix, shape (M * W, C), that turns piece scores into class scores.

        Scores of shape (N, M, W), the last axis in the order of `rows`, flattened to (N, M * W), times this
        matrix are the class scores (N, C): for each word the sum over its slots, that is the log of
        the product of p([mask]_j = V(y)_j) over j (Schick & Schütze 2021), under `mean` the mean; then the
        mean over the words of a class.
        """
        rows = self.rows
        column = {piece: at for at, piece in enumerate(rows)}
        matrix = [[0.0] * len(self.labels) for _ in range(self.slots * len(rows))]
        for index, group in enumerate(self.pieces):
            for ids in group:
                weight = 1.0 / len(group) / (len(ids) if self.rule == "mean" else 1)
                for number, piece in enumerate(ids):
                    matrix[self.slot(ids, number) * len(rows) + column[piece]][index] += weight
        return matrix


# Pairs of label names that plainly mean good and bad, good first.
_SENTIMENT = (
    ("positive", "negative"),
    ("pos", "neg"),
    ("good", "bad"),
    ("1", "0"),
    ("1", "-1"),
    ("+1", "-1"),
    ("+", "-"),
    ("正面", "负面"),
    ("正向", "负向"),
    ("正", "负"),
    ("积极", "消极"),
    ("好评", "差评"),
    ("好", "坏"),
    ("好", "差"),
)
_DEFAULT_WORDS = {"en": ("great", "terrible"), "zh": ("好", "差")}


def default_words(labels: Sequence[str], language: str, words: tuple[str, str] | None = None) -> Verbalizer | None:
    """Return label words for a data set of two plainly named sentiment classes, or None.

    Args:
        labels: the data's labels, in any order, letter case ignored: positive/negative, pos/neg, 1/0,
            好评/差评 and the like.
        language: a task's; `en` gives great/terrible (Gao et al. 2021), `zh` gives 好/差; for others there are none.
        words: for good and bad, to take in place of the language's.
    """
    words = words or _DEFAULT_WORDS.get(language)
    spelt = {label.strip().casefold(): label for label in labels}
    if words is None or len(labels) != 2:
        return None
    for pair in _SENTIMENT:
        if set(spelt) == set(pair):
            return Verbalizer.from_mapping({spelt[name]: word for name, word in zip(pair, words, strict=True)})
    return None


def stand_in_words(labels: Sequence[str], tokenizer: Tokenizer) -> Verbalizer:
    """Return a word of the vocabulary for each label, to go on with until better ones are found.

    Raises:
        UserError: if the vocabulary has fewer words than there are labels.
    """
    names = (whole_word(tokenizer, number) for number in range(tokenizer.vocab_size))
    space = " " if tokenizer.marks_spaces else ""
    words = (it for it in names if it and len(tokenizer.encode(space + it)) == 1)
    found = [word for _, word in zip(labels, dict.fromkeys(words), strict=False)]
    if len(found) < len(labels):
        raise UserError(f"the model's vocabulary has fewer words than there are labels ({len(labels)}).")
    return Verbalizer.from_mapping(dict(zip(labels, found, strict=True)))


def advise_words(labels: Sequence[str]) -> str:
    """Return the option to give with the label words left open, as a shell takes it."""
    return f"--verbalizer {shlex.quote('; '.join(f'{quote_name(label)}=WORD' for label in labels))}"


def explain_words(
    tokenizer: Tokenizer, verbalizer: Verbalizer, spacing: Spacing = "space"
) -> list[tuple[str, str, list[str]]]:
    """Return a row (label, word, pieces) for every label word, unknown ones included."""
    return [
        (label, word, [readable_piece(tokenizer, piece) for piece in _pieces(tokenizer, word, spacing)])
        for label, words in verbalizer.classes
        for word in words
    ]


def _check_class(label: str, words: Sequence[str], seen: Iterable[str]) -> None:
    if not label:
        raise UserError(f"verbalizer: the words {_quoted(words)} have no label: {HOW}.")
    if label in seen:
        raise UserError(f"verbalizer: the label '{label}' stands there twice.")
    if not words or not all(words):
        raise UserError(f"verbalizer: the label '{label}' has no words, or an empty one: {HOW}.")


def _check_labels(source: str, own: Sequence[str], labels: Sequence[str]) -> None:
    """Refuse a verbalizer whose labels are not those of the data."""
    missing = [label for label in labels if label not in own]
    left_over = [label for label in own if label not in labels]
    if not missing and not left_over:
        return
    faults = []
    if missing:
        faults.append(f"no words for {_quoted(missing)}")
    if left_over:
        faults.append(f"words for {_quoted(left_over)}, which the data does not have")
    guess = did_you_mean(left_over[0], missing) if left_over and missing else ""
    fault = " and ".join(faults)
    raise UserError(f"verbalizer '{source}' has {fault}.{guess} Labels of the data: {', '.join(labels)}.")


def _pieces(tokenizer: Tokenizer, word: str, spacing: Spacing) -> tuple[int, ...]:
    return tuple(tokenizer.encode(spaced(tokenizer, word, spacing)))


def _known_pieces(tokenizer: Tokenizer, word: str, spacing: Spacing) -> tuple[int, ...]:
    pieces = _pieces(tokenizer, word, spacing)
    if not pieces or tokenizer.unk_id in pieces:
        raise UserError(f"label word '{word}' is not in the model's vocabulary.")
    return pieces


def _uneven(
    tokenizer: Tokenizer, words: Sequence[Sequence[str]], pieces: Sequence[Sequence[Sequence[int]]]
) -> UserError:
    listing = ", ".join(
        f"{word} = {' '.join(readable_piece(tokenizer, piece) for piece in ids)} ({len(ids)})"
        for group, group_pieces in zip(words, pieces, strict=True)
        for word, ids in zip(group, group_pieces, strict=True)
    )
    return UserError(
        f"label words take different numbers of mask slots: {listing}. "
        "Choose other words, or a rule: --slots first or --slots mean."
    )


def _check_apart(
    tokenizer: Tokenizer,
    labels: Sequence[str],
    words: Sequence[Sequence[str]],
    pieces: Sequence[Sequence[tuple[int, ...]]],
) -> None:
    """Refuse two classes that are read at the same pieces: they could not be told apart by them."""
    for one, other in combinations(range(len(labels)), 2):
        shared = set(pieces[one]) & set(pieces[other])
        if shared:
            ids = min(shared)
            first, second = words[one][pieces[one].index(ids)], words[other][pieces[other].index(ids)]
            spelt = " ".join(readable_piece(tokenizer, piece) for piece in ids)
            raise UserError(
                f"label words '{first}' ({labels[one]}) and '{second}' ({labels[other]}) are read as the "
                f"same piece{'s' if len(ids) > 1 else ''} '{spelt}', so they cannot tell the classes apart."
            )


def _quoted(names: Sequence[str]) -> str:
    return ", ".join(f"'{name}'" for name in names)
