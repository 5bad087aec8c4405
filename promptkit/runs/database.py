"""The SQLite file of a store: opened safely, changed in whole transactions, its faults said in one line."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from promptkit.errors import UserError
from promptkit.runs import tables
from promptkit.runs.faults import sqlite_faults
from promptkit.runs.files import shown


class Database:
    """An open file.

    Args:
        path: the file.
        create: make it if it is not there.
        timeout: seconds to wait for another process that is writing, now and later.

    Attributes:
        path: as given.
        connection: to SQLite; a transaction begins and ends where it is told to.

    Raises:
        UserError: if it is no store, is damaged, locked or of a newer version, or cannot be made.
    """

    def __init__(self, path: Path, *, create: bool, timeout: float) -> None:
        self.path = path
        address = f"{path.as_uri()}?mode={'rwc' if create else 'rw'}"
        with sqlite_faults(path):
            self.connection = sqlite3.connect(address, uri=True, timeout=timeout, isolation_level=None)
        try:
            with sqlite_faults(path):
                self.connection.execute("PRAGMA synchronous = FULL")
                self.connection.execute("PRAGMA foreign_keys = ON")
                self._check(create)
        except BaseException:
            self.connection.close()
            raise

    def rows(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """Return what a statement answers."""
        with sqlite_faults(self.path):
            return self.connection.execute(statement, values).fetchall()

    @contextlib.contextmanager
    def transaction(self, kind: Literal["IMMEDIATE", "DEFERRED"] = "IMMEDIATE") -> Iterator[sqlite3.Connection]:
        """Do all of the body or nothing.

        IMMEDIATE is for writing: it waits for the lock now and not in the middle. DEFERRED is for several reads of
        one state.
        """
        with sqlite_faults(self.path):
            self.connection.execute(f"BEGIN {kind}")
            try:
                yield self.connection
                self.connection.execute("COMMIT")
            except BaseException:
                # SQLite may have rolled back already, for instance where the disk is full.
                if self.connection.in_transaction:
                    self.connection.execute("ROLLBACK")
                raise

    def _check(self, create: bool) -> None:
        if create and tables.is_blank(self.connection):
            with self.transaction():
                # Another process may have been faster.
                if tables.is_blank(self.connection):
                    tables.create_tables(self.connection)
        if tables.is_blank(self.connection):
            raise UserError(f"there is no store in '{shown(self.path.parent)}': '{shown(self.path)}' is empty.")
        tables.check_tables(self.connection, self.path)
