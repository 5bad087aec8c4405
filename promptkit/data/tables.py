"""Rows of CSV, TSV and JSON Lines files as examples."""

from __future__ import annotations

import csv
import io
import json
import math
import re
import shlex
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from promptkit.checking import cut, field_name, guess_slot, parse_json_object, read_text
from promptkit.data.hints import SHOWN, SIGNS, missing_header, name_one, other_separator
from promptkit.data.task import Example, holds_text
from promptkit.errors import UserError, did_you_mean, unknown

# Usual names, then those of GLUE, SNLI and the Microsoft paraphrase corpus.
TEXT_COLUMNS = ("text", "sentence", "content", "review", "comment", "sentence1", "premise", "question1", "#1 string")
TEXT_B_COLUMNS = ("text_b", "sentence2", "hypothesis", "question2", "#2 string")
_ASKED_OF = ("question", "sentence")  # both texts of QNLI, each of whose names may stand for something else alone
_LISTED = 5  # usual names that an error lists
_LOOKED_AT = 1000  # rows, for whether the first line is one of them
_SAYS_SIGN = re.compile(f'"?sep=([{"".join(SIGNS)}])"?(?=[\r\n])', re.IGNORECASE)  # a first line, for Excel
# Columns of pairs: what is asked, each a field of its own name, and the answer.
ASKED_COLUMNS = ("instruction", "question", "prompt", "query", "document", "article", "dialogue")
ANSWER_COLUMNS = ("answer", "response", "output", "completion", "target", "summary", "abstract", "reply")
LABEL_COLUMNS = ("label", "sentiment", "class", "category", "polarity", "gold_label", "quality")

_Texts = tuple[int, list[str]]
Row = tuple[int, Sequence[str | None]]
"""A line's number and its cells; None is an object or a list of JSON, which is refused where it is read."""


@dataclass(frozen=True)
class Columns:
    """How tables are read: which columns, and in which encoding.

    Attributes:
        text, text_b, label: of those fields and the label; None looks for a usual name.
        fields: to read, as `checking.parse_fields` returns them; without any `text`, and `text_b` where it is there.
        answers: whether an answer, of any text, is read in the place of a label.
        encoding: of all files; None means UTF-8, and line by line Windows-1252 in `*.pos` and `*.neg`.
    """

    text: str | None = None
    text_b: str | None = None
    label: str | None = None
    fields: tuple[str, ...] = ()
    answers: bool = False
    encoding: str | None = None


def read_rows(path: Path, columns: Columns) -> tuple[tuple[Example, ...], int, str]:
    """Read one table. `.csv` is comma separated with quotes, `.tsv` and `.txt` tab separated without.

    Returns:
        Its labelled texts; how many rows were left out because their text is empty; and the table's note.

    Raises:
        UserError: naming the file and, where there is one, the line.
    """
    table = open_table(path, columns.encoding)
    places = _places(table, columns)
    kind, usual = ("answer", ANSWER_COLUMNS) if columns.answers else ("label", LABEL_COLUMNS)
    column_label = _column(table, kind, columns.label, usual)
    for name, place in places.items():
        if place == column_label:
            raise UserError(
                f"{path}: the column '{cut(table.header[place], SHOWN)}' is the {kind}; a prompt that shows it "
                f"as {{{name}}} gives the answer away."
            )
    examples, dropped = [], 0
    for line, cells in table.rows:
        label = table.cell(line, cells, column_label)
        if not label:
            raise UserError(f"{path}, line {line}: the {kind} is empty.")
        fields = {name: table.cell(line, cells, place) for name, place in places.items()}
        if holds_text(fields):
            examples.append(Example.of(fields, label))
        else:
            dropped += 1
    if not examples:
        raise UserError(f"'{path}' holds no examples.")
    return tuple(examples), dropped, table.note


@dataclass(frozen=True)
class Table:
    """A table that was opened: its header, its rows as they are read, and a note on how it is written, if any."""

    path: Path
    header: list[str]
    rows: Iterator[Row]
    note: str = ""

    def texts(self, columns: Columns) -> list[dict[str, str]]:
        """Return the fields of every row, empty ones too; no column of labels is looked for.

        Raises:
            UserError: naming the file and, where there is one, the line.
        """
        places = _places(self, columns)
        return [{name: self.cell(line, cells, place) for name, place in places.items()} for line, cells in self.rows]

    def cell(self, line: int, cells: Sequence[str | None], place: int) -> str:
        """Return what is in a cell, without white space around it.

        Raises:
            UserError: if it is an object or a list.
        """
        if (cell := cells[place]) is None:
            raise UserError(
                f"{self.path}, line {line}: '{cut(self.header[place], SHOWN)}' is an object or a list; write a text, "
                "a number, true, false or null."
            )
        return cell.strip()


def open_table(path: Path, encoding: str | None = None) -> Table:
    """Open a table; what is wrong with one of its rows is found when that row is read.

    Raises:
        UserError: if it is no table, or has no header or the same column twice.
    """
    if path.suffix.lower() not in FORMATS:
        if advice := OTHER_FORMATS.get(path.suffix.lower()):
            raise UserError(f"unknown data format '{path.suffix}': {advice}.")
        raise unknown("data format", path.suffix or path.name, FORMATS)
    text, sign = read_text(path, encoding), ","
    if path.suffix.lower() == ".csv":
        if says := _SAYS_SIGN.match(text):
            # The end of that line stays, so that the lines behind it keep their numbers.
            text, sign = text[says.end() :], says[1]
        elif _has_semicolons(text):
            sign = ";"
    header, rows = FORMATS[path.suffix.lower()](text, path, sign)
    for name in header:
        # Columns without a name, as spreadsheets leave them behind the last one, cannot be asked for.
        if name and header.count(name) > 1:
            raise UserError(f"{path}: the column '{cut(name, SHOWN)}' is there {_times(header.count(name))}.")
    return Table(path, header, rows, f"{path.name} is separated by semicolons" if sign == ";" else "")


def _times(count: int) -> str:
    return "twice" if count == 2 else f"{count} times"


def _places(table: Table, columns: Columns) -> dict[str, int]:
    """Return the place of each field's column."""
    header = table.header
    if columns.fields:
        _check_named(columns)
        return {field_name(entry): _field(table, entry, columns) for entry in columns.fields}
    asked = [name for name in ASKED_COLUMNS if name in map(str.lower, header)]
    if columns.answers and columns.text is None and asked:
        return {asked[0]: _column(table, "text", None, asked)}
    first, second = _usual_pair(header, columns)
    text = _column(table, "text", columns.text, first)
    # The column that is named as the text may have a name that is usual for the second one.
    if columns.text_b is None and not any(
        name.lower() in second for place, name in enumerate(header) if place != text
    ):
        return {"text": text}
    usual = [name for name in second if name != header[text].lower()]
    return {"text": text, "text_b": _column(table, "second text", columns.text_b, usual)}


def _check_named(columns: Columns) -> None:
    """Refuse a column that is named for the text, or the second one, where no field reads it."""
    names = [field_name(entry) for entry in columns.fields]
    read = {part.strip().casefold() for entry in columns.fields for part in entry.split("=")}
    for field, named in (("text", columns.text), ("text_b", columns.text_b)):
        if named is not None and field not in names and named.casefold() not in read:
            flag = f"--{field.replace('_', '-')}-column"
            near = f" Did you mean '{{{field}}}'?" if any(did_you_mean(name, [field]) for name in names) else ""
            raise UserError(
                f"{flag} {shlex.quote(cut(named, SHOWN))} says what {{{field}}} is, but the run reads "
                f"{', '.join(f'{{{name}}}' for name in names)} and no {{{field}}}: leave out {flag}, or write "
                f"{{{field}}} in the template.{near}"
            )


def _usual_pair(header: Sequence[str], columns: Columns) -> tuple[Sequence[str], Sequence[str]]:
    """Return the usual names of the text's column and of the second one's: of QNLI's both, or those of all others."""
    if columns.text is columns.text_b is None and all(name in map(str.lower, header) for name in _ASKED_OF):
        return _ASKED_OF[:1], _ASKED_OF[1:]
    return TEXT_COLUMNS, TEXT_B_COLUMNS


def _field(table: Table, entry: str, columns: Columns) -> int:
    """Return the place of a field's column: the one it names, else the one of its own name, in any case."""
    name, _, column = (part.strip() for part in entry.partition("="))
    first, second = _usual_pair(table.header, columns)
    if not column and name == "text":
        return _column(table, "text", columns.text, first)
    if not column and name == "text_b":
        return _column(table, "second text", columns.text_b, second)
    alike = [there for there in table.header if there.lower() == (column or name).lower()]
    return _column(table, f"{{{name}}}", alike[0] if len(alike) == 1 else column or name, ())


def _column(table: Table, kind: str, name: str | None, usual: Sequence[str]) -> int:
    """Return the place of a column, by its name or by a usual one in any case."""
    path, header = table.path, table.header
    there = ", ".join(f"'{cut(column, SHOWN)}'" for column in header)
    if name is not None:
        if name in header:
            return header.index(name)
        hint = other_separator(path, header)
        slot = guess_slot(name, ("text", "text_b")) if kind == f"{{{name}}}" else ""
        near = "" if hint else did_you_mean(name, header) or slot
        raise UserError(
            f"{path}: no {kind} column '{name}'.{near} Columns there are: {there}. {hint}{_headless(table)}"
        )
    for candidate in usual:
        places = [place for place, column in enumerate(header) if column.lower() == candidate]
        if len(places) > 1:
            both = " and ".join(f"'{header[place]}'" for place in places)
            hint = name_one(kind, [header[place] for place in places], ())
            raise UserError(f"{path}: the {kind} column could be {both}. {hint}")
        if places:
            return places[0]
    others = LABEL_COLUMNS if kind in ("text", "second text") else (*TEXT_COLUMNS, *TEXT_B_COLUMNS, *ASKED_COLUMNS)
    headless = _headless(table)
    hint = other_separator(path, header) or name_one(kind, () if headless else header, others)
    listed = ", ".join(usual[:_LISTED])
    raise UserError(f"{path}: no {kind} column ({listed}). Columns there are: {there}. {hint}{headless}")


def _headless(table: Table) -> str:
    """Return a hint for a table whose first line is one of its rows, or nothing; takes rows from the table."""
    if table.path.suffix.lower() == ".jsonl":
        return ""
    try:
        return missing_header(
            table.header, [[it or "" for it in cells] for _, cells in islice(table.rows, _LOOKED_AT)]
        )
    except UserError:  # for a row; what is said of the columns comes first
        return missing_header(table.header, [])


def _has_semicolons(text: str) -> bool:
    """Return whether a header has semicolons and no comma, as Excel writes it where the comma is a decimal point."""
    try:
        header = next(
            filter(None, csv.reader(io.StringIO(text, newline=""), delimiter=";", skipinitialspace=True)), []
        )
    except csv.Error:
        return False
    return len(header) > 1 and not any("," in name for name in header)


def _csv(text: str, path: Path, sign: str) -> tuple[list[str], Iterator[_Texts]]:
    """Read text separated by commas, or another sign; a quoted field may span lines."""
    # newline="" leaves line ends within quotes as they are; strict finds the quote that never closes. Some write a
    # space after the comma; kept, it would make the quote after it a part of the text.
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=sign, strict=True, skipinitialspace=True)

    def numbered() -> Iterator[_Texts]:
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

    return _headed(numbered(), path, f": {SIGNS[sign]} within a field needs double quotes around the field")


def _tsv(text: str, path: Path, _: str) -> tuple[list[str], Iterator[_Texts]]:
    """Read tab-separated text, in which quotes mean nothing and only a line feed ends a line."""
    lines = enumerate(text.split("\n"), 1)
    return _headed(((number, _cells(line)) for number, line in lines), path)


def _cells(line: str) -> list[str]:
    line = line.removesuffix("\r")
    return line.split("\t") if line else []


def _headed(rows: Iterable[_Texts], path: Path, advice: str = "") -> tuple[list[str], Iterator[_Texts]]:
    """Take the header off, and refuse rows that do not fit it, with `advice` those that are too long."""
    filled = ((line, cells) for line, cells in rows if cells)
    _, first = next(filled, (0, None))
    if first is None:
        raise UserError(f"'{path}' is empty.")
    header = [cell.strip() for cell in first]

    def checked() -> Iterator[_Texts]:
        for line, cells in filled:
            if len(cells) != len(header):
                few, why = ("few", "") if len(cells) < len(header) else ("many", advice)
                counts = f"{len(cells)} where the header has {len(header)}"
                raise UserError(f"{path}, line {line}: too {few} columns, {counts}{why}.")
            yield line, cells

    return header, checked()


def _jsonl(text: str, path: Path, _: str) -> tuple[list[str], Iterator[Row]]:
    """Read one JSON object a line; the first one's keys are the columns."""
    if text.lstrip().startswith("["):
        raise UserError(f"{path}: a JSON array; write one JSON object a line.")
    lines = ((number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip())
    objects = (
        # NaN is how Python's own json writes a gap.
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
            for name in item:
                if name not in first:
                    raise UserError(
                        f"{path}, line {line}: '{cut(name, SHOWN)}' is a key that line {first_line} lacks; every "
                        "line needs the same keys, with null where there is nothing."
                    )
            yield line, [_cell(item[name]) for name in header]

    return header, cells()


def _cell(value: object) -> str | None:
    """Return a JSON value as a table would hold it; null and NaN are empty, a label 1 is `1`, true is `true`."""
    if isinstance(value, dict | list):
        return None
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


OTHER_FORMATS = {
    ".json": "write one JSON object a line, into a .jsonl file",
    **dict.fromkeys((".xlsx", ".xls", ".ods"), "save the table as CSV UTF-8"),
}
FORMATS: dict[str, Callable[[str, Path, str], tuple[list[str], Iterator[Row]]]] = {
    ".csv": _csv,
    ".tsv": _tsv,
    ".txt": _tsv,
    ".jsonl": _jsonl,
}
