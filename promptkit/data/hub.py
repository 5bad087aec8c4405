"""Data sets by id: their files come as models do, and the package `datasets` reads them; no code of theirs is run."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from promptkit.checking import cut
from promptkit.data.readers import CARD, SPLIT_NAMES, UNLABELLED_NAMES, RawData, read_folder
from promptkit.data.tables import ANSWER_COLUMNS, LABEL_COLUMNS, Columns
from promptkit.errors import UserError
from promptkit.hub import Access, HubId, Repository, find_snapshot, matches

_ABOUT = ("README.md", "dataset_infos.json", CARD)
_FILES = ("*.parquet", "*.csv", "*.tsv", "*.jsonl", "*.json", "*.txt", "*.pos", "*.neg")
# What `datasets` calls splits that a folder of ours names otherwise.
_SPLITS = {**SPLIT_NAMES, "unsupervised": "unlabelled", **UNLABELLED_NAMES}

# Types of values that a cell of a table can be.
_PLAIN = {"string", "large_string", "bool", "float32", "float64"} | {
    f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)
}
# Of a table in numbered parts: `data/train-00000-of-00002.parquet`.
_PART = re.compile(r"-\d{5}-of-(\d{5})(?=[.-])")


def read_hub(wanted: HubId, columns: Columns, access: Access) -> RawData:
    """Read a data set of a host, from the local cache or fetched where that is allowed.

    A folder with a `dataset.json` is read as any folder. Else columns whose values are no text, number or truth value
    are left out, numbers of classes become their names, and rows whose label is hidden, as in GLUE's test sets, are
    left out.

    Raises:
        UserError: if it cannot be had or read, in one line.
    """
    asked = (*_ABOUT, *(_files_of_config(wanted, access) or _FILES))
    folder = find_snapshot(Repository(wanted, "dataset", asked, whole=partial(_has_all_parts, asked)), access)
    if (folder / CARD).is_file() and not wanted.config:
        return read_folder(folder, columns)
    _check_files(wanted, folder)
    with tempfile.TemporaryDirectory(prefix="promptkit-data-") as place:
        tables = Path(place) / "tables"
        notes = _write_tables(_splits(wanted, folder, Path(place) / "arrow"), wanted, columns, tables)
        try:
            return replace(read_folder(tables, columns), notes=notes)
        except UserError as error:
            ours = f"data '{wanted}'"
            said = str(error).replace(f"{tables}/", f"{ours}, ").replace(f"folder '{tables}'", ours)
            raise UserError(" ".join([said, *(f"{note[0].upper()}{note[1:]}." for note in notes)])) from None


def _has_all_parts(asked: Sequence[str], folder: Path) -> bool:
    """Return whether of every table asked for in numbered parts all are there: a stopped program leaves some."""
    parts = {path.relative_to(folder).as_posix() for path in folder.rglob("*-of-*") if path.is_file()}
    for path in filter(partial(matches, patterns=asked), parts):
        if found := _PART.search(path):
            every = (
                f"{path[: found.start()]}-{n:05d}-of-{found[1]}{path[found.end() :]}" for n in range(int(found[1]))
            )
            if not parts.issuperset(every):
                return False
    return True


def _files_of_config(wanted: HubId, access: Access) -> tuple[str, ...]:
    """Return the patterns of a configuration's files, as the set's README lists them, if it does."""
    if not wanted.config:
        return ()
    try:
        about = find_snapshot(Repository(wanted, "dataset", _ABOUT), access)
        found = next(it for it in _configs(about) if it["config_name"] == wanted.config)["data_files"]
        each = [it["path"] if isinstance(it, dict) else it for it in (found if isinstance(found, list) else [found])]
    except Exception:  # for what is written there is anybody's; what is not there is said later
        return ()
    return tuple(path for it in each for path in (it if isinstance(it, list) else [it]) if isinstance(path, str))


def _configs(folder: Path) -> Any:
    """Return what a set's README says of its configurations; nothing where it says nothing that can be read."""
    from huggingface_hub import metadata_load

    try:
        return (metadata_load(folder / "README.md") or {}).get("configs") or ()
    except Exception:  # of the parser's as well
        return ()


def _check_files(wanted: HubId, folder: Path) -> None:
    """Refuse a set whose README names files elsewhere: `datasets` would fetch them, or read what is on this disk."""
    for path in _texts(_configs(folder)):
        if "://" in path or path.startswith(("/", "~")) or ".." in Path(path).parts:
            raise UserError(f"data '{wanted}' names a file that is not its own: '{cut(path)}'.")


def _texts(value: Any) -> Iterable[str]:
    """Yield all texts of lists and mappings within each other."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping | list | tuple):
        for each in value.values() if isinstance(value, Mapping) else value:
            yield from _texts(each)


def _splits(wanted: HubId, folder: Path, cache: Path) -> Mapping[str, Any]:
    """Return the splits of a folder as `datasets` reads them; nothing is fetched and nothing run."""
    import datasets

    datasets.disable_progress_bars()
    datasets.logging.set_verbosity(datasets.logging.CRITICAL)
    try:
        found = datasets.load_dataset(str(folder), wanted.config or None, cache_dir=str(cache))
    except Exception as error:  # a dozen kinds, of several libraries
        said = " ".join(str(error).split()).replace(str(folder), str(wanted))[:300]
        more = f" Write --data hub:{wanted.name}:CONFIG." if "config" in said.lower() and not wanted.config else ""
        raise UserError(f"data '{wanted}' cannot be read: {said.rstrip('.')}.{more}") from None
    return dict(found)


def _write_tables(splits: Mapping[str, Any], wanted: HubId, columns: Columns, place: Path) -> tuple[str, ...]:
    """Write the splits as tables of a folder of ours, and return what was left out."""
    place.mkdir(parents=True)
    notes: list[str] = []
    classes: list[str] = []
    there: set[Any] = set()
    sources: dict[str, str] = {}
    for name, split in splits.items():
        ours = _SPLITS.get(name)
        if ours is None:
            notes.append(f"split '{name}' left out: it is none of {', '.join(_SPLITS)}")
            continue
        kept = [it for it, feature in split.features.items() if getattr(feature, "dtype", "") in _PLAIN]
        usual = ANSWER_COLUMNS if columns.answers else LABEL_COLUMNS
        label = columns.label or next((it for name in usual for it in kept if it.lower() == name), None)
        classes = classes or list(getattr(split.features.get(label), "names", None) or ())
        # A column that is not there is refused where the table is read, with those that are.
        rows = list(_rows(split.select_columns(kept), label if label in kept and ours != "unlabelled" else None))
        if hidden := len(split) - len(rows):
            notes.append(f"{hidden} of {len(split)} rows of '{name}' left out: their label is hidden")
        if not rows:
            continue
        if ours in sources:
            raise UserError(f"data '{wanted}' has two splits that are {ours}: {sources[ours]} and {name}.")
        sources[ours] = name
        there |= {row.get(label or "") for row in rows} if classes else set()
        text = "".join(json.dumps(row, ensure_ascii=False, default=str) + "\n" for row in rows)
        (place / f"{ours}.jsonl").write_text(text, encoding="utf-8")
    if set(splits) == set(sources) == {"test"}:
        (place / "test.jsonl").rename(place / "all.jsonl")
    labels = [name for name in classes if name in there]
    card = {"name": wanted.config or wanted.name.rpartition("/")[2], **({"labels": labels} if labels else {})}
    (place / CARD).write_text(json.dumps(card, ensure_ascii=False), encoding="utf-8")
    return tuple(notes)


def _rows(split: Any, label: str | None) -> Iterable[dict[str, Any]]:
    """Yield rows with the names of classes in place of their numbers, those without a label left out."""
    names = {it: feature.names for it, feature in split.features.items() if hasattr(feature, "names")}
    for row in split:
        for column, classes in names.items():
            number = row[column]
            row[column] = classes[number] if number is not None and 0 <= number < len(classes) else None
        if label is None or row.get(label) is not None:
            yield row
