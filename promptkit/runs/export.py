"""Runs for other programs: a table, JSON lines, or an archive of everything."""

from __future__ import annotations

import io
import json
import os
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from promptkit.errors import UserError
from promptkit.runs.baseline import BaselineRecord
from promptkit.runs.faults import disk_fault
from promptkit.runs.files import final_path, open_atomically, shown
from promptkit.runs.predictions import json_line
from promptkit.runs.record import RECORD_NAME
from promptkit.runs.spreadsheet import write_csv
from promptkit.runs.stored import ARTIFACT_NAME, StoredRun

BASELINE_NAME = "baseline.json"
# A baseline's settings by the names that they have in a run's record, so that they share a column.
_SHARED = {"name": "options.strategy", "data": "options.data", "shots": "options.shots", "seed": "options.seed"}


def export_runs(runs: Sequence[StoredRun], path: Path) -> list[str]:
    """Write runs to a file that does not exist yet; it appears whole or not at all.

    `.csv` is a row a run, with lists as JSON and no text that a spreadsheet program executes; `.jsonl` an object a
    run; both of `flat`. `.zip` holds a folder for each run with its files, or its record alone where it has none: for
    a baseline, or if they were deleted. What a symbolic link brings in from outside the run's folder is left out.

    Args:
        runs: in the order of the rows.
        path: the file; its suffix says what it becomes.

    Returns:
        What is missing in a `.zip`, a sentence each.

    Raises:
        UserError: for another suffix, if the file exists or cannot be written, or if the disk is full.
    """
    writers: dict[str, Callable[[Sequence[StoredRun], BinaryIO], None]] = {
        ".csv": _write_csv,
        ".jsonl": _write_jsonl,
        ".zip": _write_zip,
    }
    if path.suffix not in writers:
        raise UserError(f"'{path.name}' has to end in one of {', '.join(writers)}.")
    if os.path.lexists(path):
        raise UserError(f"'{path}' exists; name another file or remove it.")
    try:
        with open_atomically(path) as stream:
            writers[path.suffix](runs, stream)
    except OSError as error:
        at = final_path(Path(error.filename)) if isinstance(error.filename, str) else path
        place = "" if at == path else f"'{shown(at)}': "
        raise disk_fault(error) or UserError(f"cannot write '{path}': {place}{error.strerror}.") from None
    return _missing(runs) if path.suffix == ".zip" else []


def flat(run: StoredRun) -> dict[str, Any]:
    """Return a run as one level of values: what the store knows, then the record by dotted names.

    The names are those of `run.json`, e.g. `test.accuracy`, `cost.seconds.train`, `options.strategy`. Strategy,
    data, shots and seed of a baseline stand under the names that they have for a run.
    """
    baseline = isinstance(run.record, BaselineRecord)
    record = run.record.model_dump(mode="json", by_alias=True)
    if baseline:
        record = {_SHARED.get(name, name): value for name, value in record.items()}
    return {
        "id": run.id,
        "name": run.name,
        "key": run.key,
        "kind": "baseline" if baseline else "run",
        **_flattened(record),
    }


def _flattened(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, dict):
            found |= _flattened(value, f"{prefix}{name}.")
        else:
            found[prefix + name] = value
    return found


def _write_csv(runs: Sequence[StoredRun], stream: BinaryIO) -> None:
    rows = [flat(run) for run in runs]
    columns = list(dict.fromkeys(name for row in rows for name in row))
    text = io.TextIOWrapper(stream, encoding="utf-8", newline="")
    write_csv(text, [columns, *([_cell(row.get(name)) for name in columns] for row in rows)])
    text.detach()


def _cell(value: Any) -> Any:
    """Return a value as it stands in a table: nothing for None, JSON for lists and truth values."""
    if isinstance(value, bool | list):
        return json.dumps(value, ensure_ascii=False)
    return value


def _write_jsonl(runs: Sequence[StoredRun], stream: BinaryIO) -> None:
    for run in runs:
        stream.write(json_line(flat(run)).encode() + b"\n")


def _write_zip(runs: Sequence[StoredRun], stream: BinaryIO) -> None:
    # Dates that a zip file cannot hold are moved to the nearest that it can.
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED, strict_timestamps=False) as archive:
        for run in runs:
            files, _ = _files(run)
            for path in files:
                # Tensors hardly shrink, and take long.
                method = zipfile.ZIP_STORED if path.name == ARTIFACT_NAME else zipfile.ZIP_DEFLATED
                archive.write(path, f"{run.name}/{path.relative_to(run.directory or path)}", method)
            if all(path.name != RECORD_NAME for path in files):
                name = BASELINE_NAME if isinstance(run.record, BaselineRecord) else RECORD_NAME
                archive.writestr(f"{run.name}/{name}", run.record.to_json())


def _files(run: StoredRun) -> tuple[list[Path], list[Path]]:
    """Return the files in a run's folder, and the symbolic links in it that lead to none of them.

    The folder itself may be a link, to another disk for instance; from within it a link could lead to anything.
    """
    if run.directory is None:
        return [], []
    folder = run.directory.resolve()
    own: list[Path] = []
    linked: list[Path] = []
    for path in sorted(path for path in run.directory.rglob("*") if path.is_file() or path.is_symlink()):
        (own if path.is_file() and path.resolve().is_relative_to(folder) else linked).append(path)
    return own, linked


def _missing(runs: Sequence[StoredRun]) -> list[str]:
    said = []
    for run in runs:
        if run.directory is not None and not run.has_prompt:
            said.append(f"the prompt of run '{run.name}' was deleted; what is left of the run was written.")
        for path in _files(run)[1]:
            said.append(f"'{shown(path)}' is a symbolic link to no file of the run's folder and was left out.")
    return said
