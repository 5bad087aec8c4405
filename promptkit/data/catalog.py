"""Data sets by name or path."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from promptkit.checking import missing, path_shown, user_path
from promptkit.data.classes import note_classes
from promptkit.data.cleaning import clean_task
from promptkit.data.doubles import note_doubles
from promptkit.data.pairs import PairTask, make_pairs
from promptkit.data.readers import CARD, POLARITIES, RawData, read_folder, read_table
from promptkit.data.splits import make_task
from promptkit.data.tables import FORMATS, Columns
from promptkit.data.task import SPLITS, Task
from promptkit.errors import UserError, unknown
from promptkit.hub import Access, hub_id

Registry = Mapping[str, Callable[[], Task]]


@dataclass(frozen=True)
class DatasetCard:
    """A line of the listing.

    Attributes:
        name: what `load_task` takes.
        language: ISO 639-1 code, empty where it is not known before loading.
        summary: one line.
        sizes: split -> number of examples, empty where it is not known before loading.
        licence: SPDX name, empty where nobody said.
    """

    name: str
    language: str
    summary: str
    sizes: Mapping[str, int]
    licence: str = ""


def load_task(
    data: str | Path,
    *,
    text_column: str | None = None,
    text_b_column: str | None = None,
    label_column: str | None = None,
    fields: Sequence[str] = (),
    encoding: str | None = None,
    clean: bool = False,
    registry: Registry | None = None,
    answers: bool = False,
    access: Access | None = None,
) -> Task:
    """Load a data set.

    Args:
        data: name of an embedded set, else of a registered one, else path to a file or folder; or an id,
            `hub:OWNER/NAME` or `ms:OWNER/NAME`, with `:CONFIG` where there are several, and `@REVISION`.
        text_column: column of the text; by default the card's, else a usual name.
        text_b_column: column of the second text of a pair.
        label_column: column of the label; by default the card's, else a usual name.
        fields: the fields to read, each `NAME` or `NAME=COLUMN`; by default the card's, else `text`, and `text_b`
            where it is there.
        encoding: of the files; by default UTF-8 (see `Columns` for `*.pos` and `*.neg`).
        clean: apply `clean_text` to every text.
        registry: data sets that plugins registered, by name.
        answers: whether they are pairs with an answer each, a `PairTask`, and not labelled texts.
        access: whether an id may be fetched; by default only local caches are looked at.

    Raises:
        UserError: for an unknown name or anything that cannot be read, in one line.
    """
    registered = registry or {}
    columns = Columns(text_column, text_b_column, label_column, tuple(fields), answers=answers, encoding=encoding)
    embedded = _embedded()
    if str(data) in embedded:
        task = _made(read_folder(embedded[str(data)], columns), columns)
    elif str(data) in registered:
        # Fields are for templates to ask for; whether they are there is seen there.
        if replace(columns, fields=(), answers=False) != Columns():
            raise UserError(f"data set '{data}' comes from a plugin: columns and encoding are for files.")
        task = registered[str(data)]()
        _check_kind(task.name, isinstance(task, PairTask), answers)
    elif str(data).startswith(("hub:", "ms:")):
        task = _load_id(str(data), columns, access or Access())
    else:
        task = _load_path(data, columns, [*embedded, *registered])
    if answers and clean:
        raise UserError("--clean is for labelled texts; answers are learnt as they are.")
    # Once cleaned, for texts that differed before may be the same now, and a class may have lost its last one.
    return note_classes(note_doubles(clean_task(task) if clean else task))


def list_datasets(registry: Registry | None = None) -> list[DatasetCard]:
    """Return the cards of the embedded and the registered data sets; registered ones are not loaded."""
    cards = []
    for name, folder in _embedded().items():
        raw = read_folder(folder)
        task = _made(raw, Columns(answers=raw.info.answer is not None))
        sizes = {split: len(task.split(split)) for split in SPLITS}
        cards.append(DatasetCard(name, task.language, raw.info.summary, sizes, raw.info.licence))
    for name in sorted(set(registry or {}) - {card.name for card in cards}):
        cards.append(DatasetCard(name, "", "registered by a plugin", {}))
    return cards


def embedded_root() -> Path:
    """Return the folder of the embedded data: in the package once installed, beside it in a checkout.

    Raises:
        UserError: when it is in neither place.
    """
    package = Path(__file__).resolve().parents[1]
    for root in (package / "embedded", package.parent / "data"):
        if any(root.glob(f"*/{CARD}")):
            return root
    raise UserError(f"promptkit's embedded data is missing beside '{package}': install promptkit again.")


def _embedded() -> dict[str, Path]:
    return {card.parent.name: card.parent for card in sorted(embedded_root().glob(f"*/{CARD}"))}


def _load_id(data: str, columns: Columns, access: Access) -> Task:
    wanted = hub_id(data)
    if wanted is None:
        raise UserError(f"'{data}' is no id of a data set; write hub:OWNER/NAME, or hub:OWNER/NAME:CONFIG@REVISION.")
    if columns.encoding:
        raise UserError(f"data set '{data}' comes from a host: an encoding is for files.")
    from promptkit.data.hub import read_hub

    return _made(read_hub(wanted, columns, access), columns)


def _language(raw: RawData) -> str:
    texts = (example.joined for examples in raw.splits.values() for example in examples[:500])
    return raw.info.language or guess_language(texts)


def _load_path(data: str | Path, columns: Columns, known: Iterable[str]) -> Task:
    path = user_path(data)
    if not str(data) or not os.path.exists(path):
        # A bare word is taken for a misspelt name, anything that looks like a path for a path.
        bare = (
            path.name == str(data) and path.suffix.lower() not in (*FORMATS, *POLARITIES) and not os.path.islink(path)
        )
        if bare or not str(data):
            raise unknown("data set", path_shown(data), known)
        raise missing(path)
    if os.path.isdir(path):
        raw = read_folder(path, columns)
    elif path.suffix.lower() in POLARITIES:
        raise UserError(f"'{path}' holds one class alone: name its folder, which has the other one too.")
    else:
        raw = read_table(path, columns)
    return _made(raw, columns)


def _made(raw: RawData, columns: Columns) -> Task:
    """Return the task, of labelled texts or of pairs, as was asked for."""
    _check_kind(raw.name, columns.answers or raw.info.answer is not None, columns.answers)
    make = make_pairs if columns.answers else make_task
    return make(raw, _language(raw))


def _check_kind(name: str, are_pairs: bool, wanted: bool) -> None:
    if are_pairs and not wanted:
        raise UserError(f"data '{name}' holds pairs with an answer each, not labelled texts; use --objective text.")
    if wanted and not are_pairs:
        raise UserError(f"data '{name}' holds labelled texts; --objective text takes pairs with an answer each.")


def guess_language(texts: Iterable[str]) -> str:
    """Return `zh` where at least a third of the letters are Chinese characters and few are kana, else `en`.

    Default templates and label words exist in these two languages, so no finer answer is needed. Japanese has kana in
    every sentence; Chinese has one now and then, in a name or a face made of letters.
    """
    letters = chinese = kana = 0
    for text in texts:
        for char in filter(str.isalpha, text):
            letters += 1
            chinese += "\u3400" <= char <= "\u9fff"
            kana += "\u3040" <= char <= "\u30ff"
    return "zh" if 10 * kana < chinese and 3 * chinese >= letters else "en"
