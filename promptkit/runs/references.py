"""What a user calls a run: a path, or an id or a name in the store."""

from __future__ import annotations

import os
from pathlib import Path

from promptkit.errors import UserError
from promptkit.runs.files import shown
from promptkit.runs.store import STORE_NAME, Store


def resolve_run(reference: str | Path, store: str | Path) -> Path:
    """Return the path a run is meant by: a path that exists, else the directory of a run in the store.

    Args:
        reference: a path, or the id or name of a run in the store.
        store: folder of the store; there need not be one.

    Raises:
        UserError: if it is neither, or the run is a baseline, or its prompt was deleted.
    """
    path, folder = Path(reference), Path(store)
    if os.path.lexists(path):
        return path
    if not os.path.isfile(folder / STORE_NAME):
        raise UserError(
            f"run '{reference}' does not exist: there is no such path, and no store in '{shown(folder)}' to look in; "
            "give the right one with --store DIR."
        )
    # A directory of the store that was deleted is known there by its name.
    name = path.name if path.absolute().parent == folder.absolute() else str(reference)
    with Store.open(folder, create=False) as opened:
        try:
            run = opened.find(name)
        except UserError as error:
            raise UserError(f"no path '{reference}' exists, and {error}") from None
    return run.artifact().parent
