"""Files and folders as raw data: labelled texts, in the splits they came in."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict

from promptkit.checking import (
    check_encoding,
    checked,
    decode,
    field_name,
    missing,
    parse_fields,
    path_shown,
    read_bytes,
    read_json_object,
)
from promptkit.data.tables import FORMATS, OTHER_FORMATS, Columns, open_table, read_rows
from promptkit.data.task import Example, holds_text
from promptkit.errors import UserError

CARD = "dataset.json"
_UNREAD = (*OTHER_FORMATS, ".parquet", ".arrow", ".feather", ".gz", ".bz2", ".xz", ".zip", ".zst")
"""Endings of data that is not read; beside tables that are it must not be passed over."""
POLARITIES = {".neg": "negative", ".pos": "positive"}
SPLIT_NAMES = {
    "train": "train",
    "dev": "dev",
    "valid": "dev",
    "validation": "dev",
    "val": "dev",
    "test": "test",
}
UNLABELLED_NAMES = {"unlabelled": "unlabelled", "unlabeled": "unlabelled"}


class DatasetInfo(BaseModel):
    """What a `dataset.json` may say about the folder it lies in.

    Attributes:
        name: what tables call the set.
        language: ISO 639-1 code.
        summary: one line.
        text: the text column.
        text_b: the column of the second text of a pair.
        label: the label column.
        answer: the column of answers, for pairs to learn to write from, which have no labels.
        fields: the fields to read, each `NAME` or `NAME=COLUMN`.
        labels: the classes, in the order their indices go by.
        licence: SPDX name.
        templates: to ask with when the user names none.
        verbalizer: the label words when the user names none.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str | None = None
    language: str | None = None
    summary: str = ""
    text: str | None = None
    text_b: str | None = None
    label: str | None = None
    answer: str | None = None
    fields: Annotated[tuple[str, ...], BeforeValidator(parse_fields)] = ()
    labels: tuple[str, ...] | None = None
    licence: str = ""
    templates: tuple[str, ...] = ()
    verbalizer: str | None = None


@dataclass(frozen=True)
class RawData:
    """Labelled texts as they lie on disk.

    Attributes:
        name: of the file, the folder or the card.
        splits: `train`, `dev`, `test` as far as there are such files; `all` for data in one piece.
        info: the card; an empty one where there is none.
        dropped: how many examples had an empty text and were left out.
        unlabelled: texts without labels, each with an empty one.
        notes: what was done to get there, a sentence each.
    """

    name: str
    splits: Mapping[str, tuple[Example, ...]]
    info: DatasetInfo = field(default_factory=DatasetInfo)
    dropped: int = 0
    unlabelled: tuple[Example, ...] = ()
    notes: tuple[str, ...] = ()


def read_folder(path: Path, columns: Columns | None = None) -> RawData:
    """Read a folder: tables named after their splits, or `*.pos` and `*.neg` files, or one single table.

    A split's file is `train`, `dev` (or `valid`, `validation`, `val`) or `test`, alone or behind a name
    (`reviews_train.tsv`, `reviews train.tsv`). Where a split is missing, no file that may hold it is passed over. A
    table `unlabelled` beside them holds texts without labels. A `dataset.json` may name columns, labels and language.

    Args:
        path: the folder.
        columns: columns to read, and how; those not given come from the card, else usual names are looked for.

    Raises:
        UserError: for anything that cannot be read, in one line.
    """
    if not os.path.isdir(path):
        raise missing(path)
    wanted = columns or Columns()
    info = _read_info(path / CARD)
    files = _files_of(path)
    polar = [file for file in files if file.suffix.lower() in POLARITIES]
    tables = [file for file in files if file.suffix.lower() in FORMATS]
    unlabelled = [file for file in tables if _split_of(file, UNLABELLED_NAMES)]
    tables = [file for file in tables if file not in unlabelled]
    by_split = [file for file in tables if _split_of(file)]
    if by_split:
        grouped = _group(path, by_split)
    elif polar and not wanted.answers:
        grouped = _group_polar(polar)
    elif len(tables) == 1:
        grouped = {"all": tables}
    else:
        found = ", ".join(file.name for file in tables) or "no table"
        raise UserError(
            f"folder '{path}' holds neither train/dev/test tables nor *.pos and *.neg files nor one single "
            f"table ({', '.join(FORMATS)}), but {found}."
        )
    if lacking := set(SPLIT_NAMES.values()) - set(grouped):
        _check_left(path, [*tables, *polar] if by_split and not wanted.answers else tables, grouped, lacking)
        _check_formats(path, files, lacking)
    wanted = _completed(wanted, info)
    raw = _read_groups(info.name or path.resolve().name, grouped, wanted, info)
    hidden = _group(path, unlabelled, UNLABELLED_NAMES)
    return replace(raw, unlabelled=_read_unlabelled(hidden.get("unlabelled", ()), wanted))


def _completed(columns: Columns, info: DatasetInfo) -> Columns:
    """Return the columns, those not given from the card, but for what the fields asked for have no use for."""
    asked = [field_name(entry) for entry in columns.fields or info.fields]
    return replace(
        columns,
        text=columns.text or (info.text if not asked or "text" in asked else None),
        text_b=columns.text_b or (info.text_b if not asked or "text_b" in asked else None),
        label=columns.label or info.answer or (None if columns.answers else info.label),
        fields=columns.fields or info.fields,
        answers=columns.answers or info.answer is not None,
    )


def _files_of(folder: Path) -> list[Path]:
    """Return the files of a folder by name. Of those whose name is that of data none is passed over.

    Else a test split whose content has not been fetched (git-annex, DVC) would be made up from train without a word.
    """
    try:
        entries = sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
        for entry in entries:
            if entry.suffix.lower() in (*FORMATS, *POLARITIES) and not entry.is_file():
                raise UserError(f"'{path_shown(entry)}' is no file.") if entry.exists() else missing(entry)
        return [entry for entry in entries if entry.is_file()]
    except OSError as error:
        raise UserError(f"cannot read '{path_shown(folder)}': {error.strerror}.") from None


def read_table(path: Path, columns: Columns | None = None) -> RawData:
    """Read a single CSV, TSV or JSON Lines file.

    Args:
        path: the file.
        columns: columns to read, and how; usual names are looked for where one is not given.

    Raises:
        UserError: for anything that cannot be read, in one line.
    """
    return _read_groups(path.stem, {"all": [path]}, columns or Columns(), DatasetInfo())


def _read_groups(name: str, grouped: Mapping[str, Sequence[Path]], columns: Columns, info: DatasetInfo) -> RawData:
    splits: dict[str, tuple[Example, ...]] = {}
    dropped = 0
    notes: list[str] = []
    for split, files in grouped.items():
        parts = [
            _read_polar(file, columns.encoding) if file.suffix.lower() in POLARITIES else read_rows(file, columns)
            for file in files
        ]
        splits[split] = tuple(example for examples, *_ in parts for example in examples)
        dropped += sum(empty for _, empty, _ in parts)
        notes += [note for *_, note in parts if note]
    return RawData(name=name, splits=splits, info=info, dropped=dropped, notes=tuple(notes))


def _read_unlabelled(files: Sequence[Path], columns: Columns) -> tuple[Example, ...]:
    """Read texts of which no label is read, even where there is a column of them; empty ones are left out."""
    rows = [row for file in files for row in open_table(file, columns.encoding).texts(columns)]
    return tuple(Example.of(row, "") for row in rows if holds_text(row))


def _read_polar(path: Path, encoding: str | None) -> tuple[tuple[Example, ...], int, str]:
    """Read one text a line, all of the class that the file is named after; return as `read_rows` does."""
    content = read_bytes(path)
    if encoding is None:
        # Only a line feed ends a line here: Windows-1252 texts hold 0x85, which str.splitlines breaks on.
        lines = [_decode_line(line) for line in content.split(b"\n")]
    else:
        lines = decode(content, path, check_encoding(encoding)).split("\n")
    if not lines[-1].strip():
        lines.pop()
    label = POLARITIES[path.suffix.lower()]
    texts = [line.strip().removeprefix("\ufeff") for line in lines]
    examples = tuple(Example(text=text, label=label) for text in texts if text)
    return examples, len(texts) - len(examples), ""


def _decode_line(line: bytes) -> str:
    """Return a line of unknown encoding: UTF-8, else Windows-1252, else Latin-1, which allows any byte."""
    for encoding in ("utf-8", "cp1252"):
        try:
            return line.decode(encoding)
        except UnicodeDecodeError:
            continue
    return line.decode("latin-1")


def _split_of(path: Path, names: Mapping[str, str] = SPLIT_NAMES) -> str | None:
    """Return the split that a file is named after."""
    match = re.search(r"(?:^|[-_. ])([a-z]+)$", path.stem.lower())
    return names.get(match.group(1)) if match else None


def _group(folder: Path, files: Sequence[Path], names: Mapping[str, str] = SPLIT_NAMES) -> dict[str, list[Path]]:
    """Give each split its one file."""
    grouped: dict[str, list[Path]] = {}
    for file in files:
        split = _split_of(file, names)
        assert split is not None
        if split in grouped:
            raise UserError(
                f"folder '{folder}' holds two files for {split}: {grouped[split][0].name} and {file.name}."
            )
        grouped[split] = [file]
    return grouped


def _check_left(
    folder: Path, files: Sequence[Path], grouped: Mapping[str, Sequence[Path]], lacking: Collection[str]
) -> None:
    """Refuse files that may hold a missing split: with `test (1).csv` passed over, test would be made up from train.

    A `.txt` file is often no data (`README.txt`, `classes.txt`), so a word of its name has to be that split's.
    """
    read = [file for group in grouped.values() for file in group]
    left = [
        file.name
        for file in files
        if file not in read
        and (
            file.suffix.lower() != ".txt"
            or any(SPLIT_NAMES.get(word) in lacking for word in re.findall("[a-z]+", file.stem.lower()))
        )
    ]
    if left:
        raise UserError(
            f"folder '{folder}' holds files whose names end in no split: {', '.join(left)}. Rename them, as in "
            "reviews_test.csv, or move them elsewhere, or give one file by its path."
        )


def _check_formats(folder: Path, files: Sequence[Path], lacking: Collection[str]) -> None:
    """Refuse a file named after a missing split whose format is not read, as `test.xlsx` beside `train.csv`."""
    other = [file.name for file in files if file.suffix.lower() in _UNREAD and _split_of(_bare(file)) in lacking]
    if other:
        raise UserError(
            f"folder '{folder}' holds {', '.join(other)}, and no such split that can be read: save it as CSV, TSV or "
            "JSON Lines in UTF-8, or move it elsewhere."
        )


def _bare(path: Path) -> Path:
    """Return a path without the endings that say how it is written and packed."""
    while path.suffix.lower() in (*_UNREAD, *FORMATS):
        path = path.with_suffix("")
    return path.with_name(f"{path.name}.csv")


def _group_polar(files: Sequence[Path]) -> dict[str, list[Path]]:
    """Group `*.pos` and `*.neg` files by split, others left out; without a whole train take all as one piece."""
    grouped: dict[str, list[Path]] = {}
    for file in files:
        grouped.setdefault(_split_of(file) or "", []).append(file)
    grouped.pop("", None)
    whole = {file.suffix.lower() for file in grouped.get("train", ())} == set(POLARITIES)
    return grouped if whole else {"all": list(files)}


def _read_info(path: Path) -> DatasetInfo:
    """Read a card; no file is an empty card."""
    if not os.path.lexists(path):
        return DatasetInfo()
    return checked(DatasetInfo, read_json_object(path), str(path))
