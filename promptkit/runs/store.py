"""The store of runs: one SQLite file beside the run directories.

What was measured is in the file, prompts and predictions with their texts stay in the directories. Whatever
is killed at whatever moment, the file can be read, each run in it is whole, and no run is in it twice:

- Every change is one transaction with a rollback journal, synced to disk (sqlite.org/atomiccommit.html).
- A run's directory is in place before its row is written. `adopt` takes in one that was left without.
- `remove` hides the directory under `.NAME.removed-ID` before the row's removal is committed. Whoever opens the
  store next completes or undoes what was cut short; which of the two, the row decides.
"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import shutil
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

from numpy.typing import NDArray

from promptkit.errors import UserError, did_you_mean
from promptkit.runs import tables
from promptkit.runs.baseline import BaselineRecord
from promptkit.runs.contents import holds_run, read_contents
from promptkit.runs.database import Database
from promptkit.runs.faults import DiskFullError, disk_fault, make_folder
from promptkit.runs.files import partial_name, shown
from promptkit.runs.record import RunRecord, now
from promptkit.runs.stored import ComparisonSummary, Entry, PlannedCell, StoredComparison, StoredRun

STORE_NAME = "store.sqlite3"
WAIT_SECONDS = 30.0
FINGERPRINTS = {"data": "data fingerprint", "model": "model fingerprint"}
"""Keys of a comparison's spec: which data and which model their paths stood for."""

_DIGITS = 18  # a whole number with more may be too large for SQLite
_REMOVED = re.compile(rf"\.(.+)\.removed-([0-9]{{1,{_DIGITS}}})", re.DOTALL)
_RUNS = f"SELECT {tables.RUN_COLUMNS} FROM run"


class Store:
    """A folder of runs and the file that lists them; a context manager. `open` makes one.

    Attributes:
        folder: absolute; the run directories lie in it.
    """

    def __init__(self, folder: Path, database: Database) -> None:
        self.folder = folder
        self._database = database

    @classmethod
    def open(cls, folder: str | Path, *, create: bool = True, timeout: float = WAIT_SECONDS) -> Store:
        """Open the store in a folder.

        Args:
            folder: where the runs are.
            create: the caller is going to write: make the store if there is none, and refuse a folder that
                cannot be written to before anything is computed. Without it a read-only store will do.
            timeout: seconds to wait for another process that is writing, now and later.

        Raises:
            UserError: if there is no store (without `create`), the file is no store, is damaged, locked or of a
                newer version, the folder cannot be written to, or the disk is full.
        """
        place = Path(folder).absolute()
        path = place / STORE_NAME
        if create:
            make_folder(place)
        if os.path.lexists(path) and not os.path.isfile(path):
            raise UserError(f"'{shown(path)}' is not a file, so it is no store. Move it away or name another folder.")
        if create and os.path.isfile(path) and not os.access(path, os.W_OK):
            raise UserError(f"the store '{shown(path)}' cannot be written to: it is read-only, or another user's.")
        if not create and not os.path.lexists(path):
            raise UserError(f"there is no store in '{shown(place)}' (no file '{shown(path)}').")
        store = cls(place, Database(path, create=create, timeout=timeout))
        store._settle()
        return store

    def add(
        self,
        record: RunRecord | BaselineRecord,
        truth: Sequence[int] | NDArray[Any],
        predicted: Sequence[int] | NDArray[Any],
        *,
        name: str,
        key: str | None = None,
        single: bool = False,
    ) -> StoredRun:
        """List a run whose directory `folder/name` is in place, or a baseline, which has none.

        A run that is listed already, by its key or by name and record, is returned and nothing is changed. A
        folder holds one run, so whichever other run is listed under the name has lost its folder; it is kept as
        `NAME~ID`.

        Args:
            record: everything measured.
            truth: true classes of the test split, (N,).
            predicted: predicted classes, (N,).
            name: of the directory.
            key: of the run, see `Plan.key`; a comparison finds it by that.
            single: it was run by itself. It takes the key from an earlier run, for a plugin may have been edited in
                between, but from none that has a place in a comparison: a table does not change on its own.

        Raises:
            UserError: if the disk is full, or the store locked or read-only; it is as it was then.
            ValueError: if there is no such directory, or the classes are not two vectors of one length.
        """
        if Path(name).name != name:
            raise ValueError(f"{name!r} is no name of a directory")
        if isinstance(record, RunRecord) and not (self.folder / name).is_dir():
            raise ValueError(f"the directory of run {name!r} is not in place")
        if len(truth) != len(predicted):
            raise ValueError(f"{len(truth)} true classes, but {len(predicted)} predicted ones")
        kind, text = "run" if isinstance(record, RunRecord) else "baseline", record.to_json()
        packed = tables.pack(truth), tables.pack(predicted)
        with self._database.transaction() as connection:
            there = self._already(name, None if single else key, text)
            if there is None:
                row = (name, self._freed(key) if single else key, kind, text, *packed)
                connection.execute("UPDATE run SET name = name || '~' || id WHERE name = ?", (name,))
                there = connection.execute(
                    "INSERT INTO run (name, key, kind, record, truth, predicted) VALUES (?, ?, ?, ?, ?, ?)", row
                ).lastrowid
            return self._select("run.id = ?", there)[0]

    def adopt(self, name: str, *, key: str) -> StoredRun | None:
        """List the run whose directory is in place, but which was killed before it was listed.

        Returns:
            The run; None if there is no whole run directory of the name, or it is listed under another key. One that
            is listed and has lost its key, to a run that was removed since, has it again.

        Raises:
            UserError: as `add`.
        """
        listed = self._select("run.name = ?", name)
        if listed and listed[0].key is not None:
            return listed[0] if listed[0].key == key else None
        found = read_contents(self.folder / name)
        return None if found is None else self.add(*found, name=name, key=key)

    def by_key(self, key: str) -> StoredRun | None:
        """Return the run of a key, or None if there is none."""
        return next(iter(self._select("run.key = ?", key)), None)

    def find(self, reference: str) -> StoredRun:
        """Return a run by its id or its name.

        Raises:
            UserError: if there is none, with the nearest name, or if it is the id of one and the name of another.
        """
        found = self._select("run.name = ?", reference)
        if reference.isdecimal() and len(reference) <= _DIGITS:
            found += [run for run in self._select("run.id = ?", int(reference)) if run.name != reference]
        if len(found) > 1:
            raise UserError(
                f"'{reference}' is the name of run {found[0].id} and the id of run '{found[1].name}'; "
                f"say {found[0].id} or {found[1].name}."
            )
        if not found:
            near = did_you_mean(reference, self._names("run"))
            raise UserError(
                f"there is no run '{reference}' in the store '{shown(self.folder)}'.{near} "
                "'promptkit runs list' lists them."
            )
        return found[0]

    def runs(self) -> list[StoredRun]:
        """Return every run, by id."""
        return self._select("1 ORDER BY run.id")

    def remove(self, references: Sequence[str]) -> list[StoredRun]:
        """Remove runs, their directories too. Places of comparisons stay and count as missing.

        A directory that holds something else by now is left alone. On a full disk the directories go first, to
        make the space that forgetting them takes.

        Args:
            references: ids or names.

        Returns:
            What was removed, each once.

        Raises:
            UserError: if one of them is not there, or the store cannot be written; nothing is removed then.
        """
        runs = list({run.id: run for run in map(self.find, references)}.values())
        try:
            self._hide_and_forget(runs)
        except DiskFullError:
            # The journal needs a few KB. Killed in here, a run stays listed as one whose folder was deleted.
            for place in self._places(runs):
                hidden = place.with_name(partial_name(place.name))
                os.rename(place, hidden)
                _delete(hidden)
            self._hide_and_forget(runs)
        return runs

    def save_comparison(
        self, name: str, cells: Sequence[PlannedCell], *, spec: dict[str, Any], command: Sequence[str]
    ) -> None:
        """Save the places of a comparison; the same experiment, or a smaller one, of the name is replaced.

        Args:
            name: unique in the store.
            cells: in the order of the table.
            spec: the experiment as JSON values. Saved again with the same one, it keeps its time.
            command: the command line that made it.

        Raises:
            UserError: if another experiment has the name, the disk is full, or the store is locked or read-only; it
                is as it was then.
        """
        created, text = now(), tables.to_text(spec)
        with self._database.transaction() as connection:
            self.refuse_other(name, cells, spec)
            same = "SELECT created FROM comparison WHERE name = ? AND spec = ?"
            for (earlier,) in connection.execute(same, (name, text)):
                created = earlier
            connection.execute("DELETE FROM comparison WHERE name = ?", (name,))
            number = connection.execute(
                "INSERT INTO comparison (name, created, command, spec) VALUES (?, ?, ?, ?)",
                (name, created, tables.to_text(list(command)), text),
            ).lastrowid
            connection.executemany(
                "INSERT INTO cell VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                [(number, position, *tables.from_cell(cell)) for position, cell in enumerate(cells)],
            )

    def refuse_other(self, name: str, cells: Sequence[PlannedCell], spec: dict[str, Any]) -> None:
        """Refuse a name that another experiment has, unless every place of that one is among the new ones.

        Raises:
            UserError: naming what the two differ in.
        """
        columns = "SELECT id, name, created, command, spec FROM comparison WHERE name = ?"
        for row in self._database.rows(columns, name):
            number, *_, there = tables.to_head(row, self.folder)
            # Notes are what was found out about the experiment, and no part of it.
            keys = (spec.keys() | there.keys()) - {"notes"}
            unlike = sorted(key for key in keys if spec.get(key) != there.get(key))
            places = {key for (key,) in self._database.rows("SELECT key FROM cell WHERE comparison = ?", number)}
            if unlike and not places <= {cell.key for cell in cells}:
                raise UserError(
                    f"the store '{shown(self.folder)}' holds another comparison '{name}', which differs in "
                    f"{', '.join(unlike)}. Choose another --name, or forget that one: "
                    f"promptkit runs rm --comparison {shlex.quote(name)} --store {shlex.quote(shown(self.folder))}"
                )

    def comparison(self, name: str | None = None) -> StoredComparison:
        """Return a comparison with the runs that are finished; without a name the one that was saved last.

        Raises:
            UserError: if there is none, or none of the name.
        """
        with self._database.transaction("DEFERRED"):
            head = self._database.rows(
                "SELECT id, name, created, command, spec FROM comparison WHERE ? IS NULL OR name = ? "
                "ORDER BY id DESC LIMIT 1",
                name,
                name,
            )
            if not head:
                raise self._no_comparison(name)
            number, found, created, command, spec = tables.to_head(head[0], self.folder)
            rows = self._database.rows(
                f"SELECT {tables.CELL_COLUMNS}, {tables.RUN_COLUMNS} FROM cell LEFT JOIN run ON run.key = cell.key "
                "WHERE cell.comparison = ? ORDER BY cell.position",
                number,
            )
        entries = tuple(
            Entry(
                tables.to_cell(row[:6], self.folder), None if row[6] is None else tables.to_run(row[6:], self.folder)
            )
            for row in rows
        )
        return StoredComparison(found, created, command, spec, entries)

    def comparisons(self, *, key: str | None = None) -> list[ComparisonSummary]:
        """Return every comparison in the order they were saved, or those with a place for the run of a key."""
        rows = self._database.rows(
            "SELECT name, created, "
            "(SELECT count(*) FROM cell JOIN run ON run.key = cell.key WHERE cell.comparison = c.id), "
            "(SELECT count(*) FROM cell WHERE cell.comparison = c.id) FROM comparison AS c "
            "WHERE ? IS NULL OR EXISTS (SELECT 1 FROM cell WHERE cell.comparison = c.id AND cell.key = ?) "
            "ORDER BY id",
            key,
            key,
        )
        return [tables.to_summary(row, self.folder) for row in rows]

    def remove_comparison(self, name: str) -> None:
        """Forget a comparison; its runs stay.

        Raises:
            UserError: if there is none of the name, or the store cannot be written.
        """
        with self._database.transaction() as connection:
            if not connection.execute("DELETE FROM comparison WHERE name = ?", (name,)).rowcount:
                raise self._no_comparison(name)

    def close(self) -> None:
        """Close the file."""
        self._database.connection.close()

    def __enter__(self) -> Store:
        """Return itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the file."""
        self.close()

    def _hide_and_forget(self, runs: Sequence[StoredRun]) -> None:
        try:
            with self._database.transaction() as connection:
                connection.executemany("DELETE FROM run WHERE id = ?", [(run.id,) for run in runs])
                for place, run in self._places(runs).items():
                    os.rename(place, self.folder / f".{run.name}.removed-{run.id}")
        except OSError as error:
            raise disk_fault(error) or UserError(f"cannot remove '{error.filename}': {error.strerror}.") from None
        finally:
            self._settle()

    @staticmethod
    def _places(runs: Sequence[StoredRun]) -> dict[Path, StoredRun]:
        """Return the directories that still hold their runs."""
        return {run.directory: run for run in runs if run.directory and holds_run(run.directory, run)}

    def _settle(self) -> None:
        """Complete or undo removals that were cut short. What cannot be done now is left to the next time."""
        with contextlib.suppress(OSError, UserError):
            hidden = {path: match for path in self.folder.iterdir() if (match := _REMOVED.fullmatch(path.name))}
            if not hidden:
                return
            # With the lock, for another process may be in the middle of removing them.
            with self._database.transaction():
                for path, match in hidden.items():
                    name, number = match.groups()
                    listed = self._database.rows("SELECT 1 FROM run WHERE name = ? AND id = ?", name, int(number))
                    if listed and os.path.lexists(path) and not os.path.lexists(self.folder / name):
                        os.rename(path, self.folder / name)
            for path in hidden:
                _delete(path)

    def _already(self, name: str, key: str | None, record: str) -> int | None:
        """Return the id of a run that is listed already, by key, or by name and record."""
        for (number,) in self._database.rows("SELECT id FROM run WHERE key = ?", key):
            return int(number)
        same = "SELECT id FROM run WHERE name = ? AND record = ? AND (key IS NULL OR ? IS NULL)"
        for (number,) in self._database.rows(same, name, record, key):
            # A single run that turns out to be a place of a comparison.
            self._database.connection.execute("UPDATE run SET key = coalesce(key, ?) WHERE id = ?", (key, number))
            return int(number)
        return None

    def _freed(self, key: str | None) -> str | None:
        """Return the key after taking it from the run that has it; None if that one stays in a comparison."""
        in_use = "SELECT 1 FROM run JOIN cell ON cell.key = run.key WHERE run.key = ?"
        if self._database.rows(in_use, key):
            return None
        self._database.connection.execute("UPDATE run SET key = NULL WHERE key = ?", (key,))
        return key

    def _no_comparison(self, name: str | None) -> UserError:
        names = self._names("comparison")
        if not names:
            return UserError(f"the store '{shown(self.folder)}' holds no comparison; 'promptkit compare' makes one.")
        near = did_you_mean(name or "", names)
        return UserError(
            f"there is no comparison '{name}' in '{shown(self.folder)}'.{near} Known: {', '.join(names)}."
        )

    def _names(self, table: Literal["run", "comparison"]) -> list[str]:
        # A damaged row may hold anything.
        return [str(name) for (name,) in self._database.rows(f"SELECT name FROM {table} ORDER BY id")]

    def _select(self, condition: str, *values: Any) -> list[StoredRun]:
        return [tables.to_run(row, self.folder) for row in self._database.rows(f"{_RUNS} WHERE {condition}", *values)]


def _delete(path: Path) -> None:
    """Delete a folder, or the link to it. What cannot be deleted stays, under its hidden name."""
    if path.is_symlink():
        path.unlink()
    else:
        shutil.rmtree(path, ignore_errors=True)
