"""The store's tables, and how runs and places go into rows and come out again."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict, Field

from promptkit.checking import CheckedModel, Name, checked, parse_json, parse_json_object, shortened
from promptkit.errors import UserError
from promptkit.runs.baseline import BaselineRecord
from promptkit.runs.files import shown
from promptkit.runs.record import RunRecord
from promptkit.runs.stored import ComparisonSummary, PlannedCell, Role, Shots, StoredRun

STORE_VERSION = 1
APPLICATION_ID = 0x706B7273  # "pkrs": SQLite keeps it in the file's header

# Ids are never used again, so that a note with one never means another run. `shots` has no type: it is a
# number, 'full' or NULL. A cell names its run by key, for the run may not be there yet, or not any more.
_SCHEMA = (
    """CREATE TABLE run (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        name TEXT NOT NULL UNIQUE,
        key TEXT UNIQUE,
        kind TEXT NOT NULL CHECK (kind IN ('run', 'baseline')),
        record TEXT NOT NULL,
        truth BLOB NOT NULL,
        predicted BLOB NOT NULL
    )""",
    """CREATE TABLE comparison (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        name TEXT NOT NULL UNIQUE,
        created TEXT NOT NULL,
        command TEXT NOT NULL,
        spec TEXT NOT NULL
    )""",
    """CREATE TABLE cell (
        comparison INTEGER NOT NULL REFERENCES comparison (id) ON DELETE CASCADE,
        position INTEGER NOT NULL,
        strategy TEXT NOT NULL,
        variant TEXT NOT NULL,
        role TEXT NOT NULL,
        shots,
        seed INTEGER NOT NULL,
        key TEXT NOT NULL,
        PRIMARY KEY (comparison, position)
    )""",
    "CREATE INDEX cell_key ON cell (key)",
    f"PRAGMA application_id = {APPLICATION_ID}",
    f"PRAGMA user_version = {STORE_VERSION}",
)

RUN_COLUMNS = "run.id, run.name, run.key, run.kind, run.record, run.truth, run.predicted"
CELL_COLUMNS = "cell.strategy, cell.variant, cell.role, cell.shots, cell.seed, cell.key"


class _Row(CheckedModel):
    """A row as it has to be. SQLite takes any type in any column, and damage can leave any."""


class _RunRow(_Row):
    id: int
    name: Name
    key: str | None
    kind: Literal["run", "baseline"]
    record: str
    truth: bytes
    predicted: bytes


class _CellRow(_Row):
    strategy: Name
    variant: str
    role: Role
    shots: Shots
    seed: int
    key: Name


class _SummaryRow(_Row):
    name: Name
    created: str
    finished: int
    whole: int


class _HeadRow(_Row):
    id: int
    name: Name
    created: str
    command: str
    spec: str


class _Command(CheckedModel):
    command: list[str]


class _Spec(CheckedModel):
    model_config = ConfigDict(extra="allow")

    notes: list[str] = Field(default_factory=list)


_RowT = TypeVar("_RowT", bound=_Row)


def create_tables(connection: sqlite3.Connection) -> None:
    """Make an empty store, within the transaction that the connection is in."""
    for statement in _SCHEMA:
        connection.execute(statement)


def is_blank(connection: sqlite3.Connection) -> bool:
    """Return whether nothing was ever written to the file, which is so when its creation was cut short."""
    tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    return not tables and _header(connection) == (0, 0)


def check_tables(connection: sqlite3.Connection, path: Path) -> None:
    """Refuse a file that is not a store, or one of a version this promptkit does not know.

    Raises:
        UserError: in one line.
    """
    application, version = _header(connection)
    if application != APPLICATION_ID:
        raise UserError(
            f"'{shown(path)}' is a SQLite file, but not a store of promptkit. Move it away or name another folder."
        )
    if version > STORE_VERSION:
        raise UserError(
            f"'{shown(path)}' is a store of version {version}, made by a newer promptkit; this one reads version "
            f"{STORE_VERSION}. Update promptkit or name another folder."
        )
    if version < STORE_VERSION:
        raise UserError(f"'{shown(path)}' is a store of version {version}; this promptkit reads {STORE_VERSION}.")


def _header(connection: sqlite3.Connection) -> tuple[int, int]:
    application = connection.execute("PRAGMA application_id").fetchone()[0]
    return int(application), int(connection.execute("PRAGMA user_version").fetchone()[0])


def pack(classes: Sequence[int] | NDArray[Any]) -> bytes:
    """Return class indices, (N,), as bytes: 32-bit integers, little-endian.

    Raises:
        ValueError: if they are not whole numbers of 32 bits in one dimension.
    """
    given = np.asarray(classes)
    packed = given.astype("<i4")
    if given.ndim != 1 or not np.array_equal(given, packed):
        raise ValueError("class indices have to be whole numbers in one dimension")
    return packed.tobytes()


def to_run(row: Sequence[Any], folder: Path) -> StoredRun:
    """Return the run in a row of `RUN_COLUMNS`.

    Args:
        row: the row.
        folder: of the store.

    Raises:
        UserError: if the row does not hold a run this version can read.
    """
    source = f"{shown(folder)}, run {row[1] if isinstance(row[1], str) else shortened(row[1])}"
    values = _of_row(_RunRow, row, f"'{source}' is damaged")
    if Path(values.name).name != values.name or "\0" in values.name:
        raise UserError(f"'{source}' is damaged: that is no name of a folder.")
    reader = BaselineRecord if values.kind == "baseline" else RunRecord
    record = reader.from_json(values.record, source)
    truth, predicted = (
        _unpack(packed, record, lowest) for packed, lowest in ((values.truth, -1), (values.predicted, 0))
    )
    if truth is None or predicted is None:
        raise UserError(f"'{source}': the predictions are damaged.")
    return StoredRun(
        id=values.id,
        name=values.name,
        key=values.key,
        record=record,
        truth=truth,
        predicted=predicted,
        directory=None if values.kind == "baseline" else folder / values.name,
    )


def _unpack(packed: bytes, record: RunRecord | BaselineRecord, lowest: int) -> NDArray[np.int64] | None:
    """Undo `pack`; None if these cannot be classes of the test split."""
    # A run that writes texts has no classes to keep.
    if len(packed) != (4 * record.task.test if record.task.labels else 0):
        return None
    classes = np.frombuffer(packed, "<i4").astype(np.int64)
    return classes if np.all((classes >= lowest) & (classes < len(record.task.labels))) else None


def _of_row(model: type[_RowT], row: Sequence[Any], what: str) -> _RowT:
    """Return a row of the model's columns, checked.

    Raises:
        UserError: if a column holds what it cannot hold.
    """
    return checked(model, dict(zip(model.model_fields, row, strict=True)), what)


def from_cell(cell: PlannedCell) -> tuple[Any, ...]:
    """Return a place as a row of `CELL_COLUMNS`."""
    return cell.strategy, cell.variant, cell.role, cell.shots, cell.seed, cell.key


def to_cell(row: Sequence[Any], folder: Path) -> PlannedCell:
    """Return the place in a row of `CELL_COLUMNS`.

    Raises:
        UserError: if the row is damaged.
    """
    return PlannedCell(**dict(_of_row(_CellRow, row, f"'{shown(folder)}', a place of a comparison is damaged")))


def to_summary(row: Sequence[Any], folder: Path) -> ComparisonSummary:
    """Return the summary in a row of name, time, finished places and all places.

    Raises:
        UserError: if the row is damaged.
    """
    return ComparisonSummary(**dict(_of_row(_SummaryRow, row, f"'{shown(folder)}', a comparison is damaged")))


def to_head(row: Sequence[Any], folder: Path) -> tuple[int, str, str, tuple[str, ...], dict[str, Any]]:
    """Return id, name, time, command and spec in a row of these columns of a comparison.

    Raises:
        UserError: if the row is damaged.
    """
    what = f"'{shown(folder)}', a comparison is damaged"
    head = _of_row(_HeadRow, row, what)
    command = checked(_Command, {"command": parse_json(head.command, what)}, what).command
    spec = parse_json_object(head.spec, what)
    checked(_Spec, spec, what)
    return head.id, head.name, head.created, tuple(command), spec


def to_text(value: Any) -> str:
    """Return JSON values as text.

    Raises:
        ValueError: for what JSON has no value for.
    """
    return json.dumps(value, ensure_ascii=False, allow_nan=False)
