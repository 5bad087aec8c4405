"""Rows of CSV, TSV and JSON Lines files as examples."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from promptkit.checking import parse_json_object, read_text
from promptkit.data.task import Example
from promptkit.errors import UserError, did_you_mean, unknown

TEXT_COLUMNS = ("text", "sentence", "content", "review", "comment")
TEXT_B_COLUMNS = ("text_b",)
LABEL_COLUMNS = ("label", "sentiment", "class", "category", "polarity")

Row = tuple[int, list[str]]


@dataclass(frozen=True)
class Columns:
    """Names of the columns to read; None looks for a usual name."""

    text: str | None = None
    text_b: str | None = None
    label: str | None = None


@dataclass(frozen=True)
class Rows:
    """What one file holds.

    Attributes:
        examples: its labelled texts.
        dropped: how many rows had an empty text.
    """

    examples: tuple[Example, ...]
    dropped: int = 0


@dataclass(frozen=True)
class PlainText:
    """A text of a table without its label; `line` is where its row begins, from 1."""

    line: int
    text: str
    text_b: str | None = None


def read_rows(path: Path, columns: Columns, encoding: str | None = None) -> Rows:
    """Read one table. `.csv` is comma separated with quotes, `.tsv` and `.txt` tab separated without.

    Raises:
        UserError: naming the file and, where there is one, the line.
    """
    header, rows = _open(path, encoding)
    column_text = _column(path, "text", header, columns.text, TEXT_COLUMNS)
    column_label = _column(path, "label", header, columns.label, LABEL_COLUMNS)
    column_text_b = _second_column(path, header, columns)
    examples, dropped = [], 0
    for line, cells in rows:
        label = cells[column_label].strip()
        if not label:
            raise UserError(f"{path}, line {line}: the label is empty.")
        example = Example(
            text=cells[column_text].strip(),
            label=label,
            text_b=None if column_text_b is None else cells[column_text_b].strip(),
        )
        if example.text:
            examples.append(example)
        else:
            dropped += 1
    if not examples:
        raise UserError(f"'{path}' holds no examples.")
    return Rows(tuple(examples), dropped)


def read_texts(path: Path, columns: Columns, encoding: str | None = None) -> tuple[PlainText, ...]:
    """Read the texts of one table, empty ones too; no column of labels is looked for.

    Raises:
        UserError: naming the file and, where there is one, the line.
    """
    header, rows = _open(path, encoding)
    text = _column(path, "text", header, columns.text, TEXT_COLUMNS)
    text_b = _second_column(path, header, columns)
    return tuple(
        PlainText(line, cells[text].strip(), None if text_b is None else cells[text_b].strip())
        for line, cells in rows
    )


def _open(path: Path, encoding: str | None) -> tuple[list[str], Iterator[Row]]:
    """Return the header and the rows of a table."""
    if path.suffix.lower() not in FORMATS:
        raise unknown("data format", path.suffix or path.name, FORMATS)
    header, rows = FORMATS[path.suffix.lower()](read_text(path, encoding), path)
    for name in header:
        # Columns without a name, as spreadsheets leave them behind the last one, cannot be asked for.
        if name and header.count(name) > 1:
            raise UserError(f"{path}: the column '{_short(name)}' is there {_times(header.count(name))}.")
    return header, rows


def _times(count: int) -> str:
    return "twice" if count == 2 else f"{count} times"


def _second_column(path: Path, header: Sequence[str], columns: Columns) -> int | None:
    """Return the place of the second text; None where none is asked for and none is there."""
    if columns.text_b is None and not any(name.lower() in TEXT_B_COLUMNS for name in header):
        return None
    return _column(path, "second text", header, columns.text_b, TEXT_B_COLUMNS)


def _column(path: Path, kind: str, header: Sequence[str], name: str | None, usual: Sequence[str]) -> int:
    """Return the place of a column, by its name or by a usual one in any case."""
    there = ", ".join(f"'{_short(column)}'" for column in header)
    if name is not None:
        if name in header:
            return header.index(name)
        hint = _other_separator(path, header)
        near = "" if hint else did_you_mean(name, header)
        raise UserError(f"{path}: no {kind} column '{name}'.{near} Columns there are: {there}. {hint}")
    for candidate in usual:
        places = [place for place, column in enumerate(header) if column.lower() == candidate]
        if len(places) > 1:
            both = " and ".join(f"'{header[place]}'" for place in places)
            raise UserError(f"{path}: the {kind} column could be {both}. Name the one to use.")
        if places:
            return places[0]
    hint = _other_separator(path, header) or "Name the one to use."
    raise UserError(f"{path}: no {kind} column ({', '.join(usual)}). Columns there are: {there}. {hint}")


def _other_separator(path: Path, header: Sequence[str]) -> str:
    """Return a hint for a table whose only column is a whole header, written with another sign; or nothing."""
    own = {".csv": ",", ".tsv": "\t", ".txt": "\t"}.get(path.suffix.lower())
    signs = {",": "a comma", ";": "a semicolon", "\t": "a tab"}
    for sign, called in signs.items():
        if own and len(header) == 1 and sign in header[0]:
            return f"They look separated by {called}; '{path.suffix}' takes {signs[own]}: save the table that way."
    return ""


def _short(text: str, most: int = 30) -> str:
    """Return a column name that fits a line, for a file without header has whole texts there."""
    return text if len(text) <= most else text[: most - 3] + "..."


def _csv(text: str, path: Path) -> tuple[list[str], Iterator[Row]]:
    """Read comma-separated text; a quoted field may span lines."""
    # newline="" leaves line ends within quotes as they are; strict finds the quote that never closes.
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)

    def numbered() -> Iterator[Row]:
        while True:
            line = reader.line_num + 1
            # The limit on a field is the whole process's, and no field is longer than the file.
            limit = csv.field_size_limit(min(len(text), 2**31 - 1))
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                raise UserError(f"{path}, line {line}: not valid CSV: {error}.") from None
            finally:
                csv.field_size_limit(limit)
            yield line, cells

    return _headed(numbered(), path)


def _tsv(text: str, path: Path) -> tuple[list[str], Iterator[Row]]:
    """Read tab-separated text, in which quotes mean nothing and only a line feed ends a line."""
    lines = enumerate(text.split("\n"), 1)
    return _headed(((number, _cells(line)) for number, line in lines), path)


def _cells(line: str) -> list[str]:
    line = line.removesuffix("\r")
    return line.split("\t") if line else []


def _headed(rows: Iterable[Row], path: Path) -> tuple[list[str], Iterator[Row]]:
    """Take the header off, and refuse rows that do not fit it."""
    filled = ((line, cells) for line, cells in rows if cells)
    _, first = next(filled, (0, None))
    if first is None:
        raise UserError(f"'{path}' is empty.")
    header = [cell.strip() for cell in first]

    def checked() -> Iterator[Row]:
        for line, cells in filled:
            if len(cells) != len(header):
                few = "few" if len(cells) < len(header) else "many"
                counts = f"{len(cells)} where the header has {len(header)}"
                raise UserError(f"{path}, line {line}: too {few} columns, {counts}.")
            yield line, cells

    return header, checked()


def _jsonl(text: str, path: Path) -> tuple[list[str], Iterator[Row]]:
    """Read one JSON object a line; the first one's keys are the columns."""
    lines = ((number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip())
    objects = (
        # NaN in a column that nobody reads is how Python's own json writes a gap.
        (number, parse_json_object(line, str(path), line=number, nan=True))
        for number, line in lines
    )
    first_line, first = next(objects, (0, None))
    if first is None:
        raise UserError(f"'{path}' is empty.")
    header = list(first)

    def cells() -> Iterator[Row]:
        yield first_line, [_cell(first[name]) for name in header]
        for line, item in objects:
            for name in header:
                if name not in item:
                    raise UserError(f"{path}, line {line}: no '{name}', which line {first_line} has.")
            yield line, [_cell(item[name]) for name in header]

    return header, cells()


def _cell(value: object) -> str:
    """Return a JSON value as a table would hold it; null is empty, a label 1 is `1`, true is `true`."""
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


FORMATS = {".csv": _csv, ".tsv": _tsv, ".txt": _tsv, ".jsonl": _jsonl}
