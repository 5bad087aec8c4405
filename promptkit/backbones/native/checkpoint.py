"""Weights from a checkpoint file, renamed and checked.

Only safetensors files are read; a pickle can run code and is never loaded. What the weights of an architecture are
called and how large they are is data, in that architecture's `weights.py`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from promptkit.checking import CheckedModel, checked, cut, read_json_object
from promptkit.errors import UserError

Weights = Mapping[str, npt.NDArray[np.float32]]
SINGLE, INDEX = "model.safetensors", "model.safetensors.index.json"
CONFIG, SETTINGS = "config.json", "tokenizer_config.json"


@dataclass(frozen=True)
class WeightPlan:
    """The weights that an architecture needs.

    Attributes:
        names: the engine's name of each weight -> the names it may have in a file, the one to prefer first.
        shapes: the engine's name of each weight -> its shape.
        ignored: matches what a file may hold besides: buffers, heads of other tasks, second names of tied tensors.
        head: what the names of the masked language model's head begin with; empty where there is none.
        classes: the classes whose checkpoints have one, for the error.
        takes: the engine's name of a weight -> what of the file's array it is, where that is not all of it as it is.
    """

    names: Mapping[str, tuple[str, ...]]
    shapes: Mapping[str, tuple[int, ...]]
    ignored: re.Pattern[str]
    head: str = ""
    classes: str = ""
    takes: Mapping[str, Callable[[Any], Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class Tensors:
    """The tensors of a checkpoint, each read when it is asked for.

    Attributes:
        readers: name -> what reads the array.
        file: what they are read from, for errors.
        paths: the files themselves.
    """

    readers: Mapping[str, Callable[[], npt.NDArray[np.generic]]]
    file: str
    paths: Sequence[Path]


def weights_files(directory: Path) -> list[Path]:
    """Return the checkpoint's safetensors files, the index of split ones first, or say why there is none."""
    path, index = directory / SINGLE, directory / INDEX
    if path.is_file():
        return [path]
    if index.is_file():
        where = f"model '{directory}': {INDEX}"
        found = checked(_Index, read_json_object(index, where), where).weight_map.values()
        names = sorted(set(found))
        # A name from a file may lead out of the directory.
        if strange := [name for name in names if Path(name).name != name]:
            raise UserError(f"{where}: {strange[0][:60]!r} is no name of a file beside it.")
        if gone := [name for name in names if not (directory / name).is_file()]:
            raise UserError(f"model '{directory}': {_some(gone, what='files')} missing, which {INDEX} names.")
        if not names:
            raise UserError(f"{where}: names no file.")
        return [index, *(directory / name for name in names)]
    pickles = [p.name for pattern in ("*.bin", "*.pt", "*.pth", "*.ckpt") for p in directory.glob(pattern)]
    if pickles:
        raise UserError(
            f"model '{directory}': {pickles[0]} is a pickle, which can run code and is never loaded; "
            "convert it to model.safetensors."
        )
    raise UserError(f"model '{directory}': no model.safetensors there.")


class _Index(CheckedModel):
    weight_map: dict[str, str]


def read_weights(directory: Path, plan: WeightPlan) -> StoredWeights:
    """Return the weights the engine needs, as float32, from safetensors files.

    Raises:
        UserError: for a missing or unreadable file, and as `take_weights`.
    """
    paths = [path for path in weights_files(directory) if path.name != INDEX]
    readers: dict[str, Callable[[], npt.NDArray[np.generic]]] = {}
    for path in paths:
        readers |= _readers(path)
    file = SINGLE if len(paths) == 1 else "the files"
    return take_weights(Tensors(readers, file, paths), plan, f"model '{directory}'")


def take_weights(tensors: Tensors, plan: WeightPlan, where: str) -> StoredWeights:
    """Return the weights the engine needs; what the file holds is compared with the plan by names here.

    Raises:
        UserError: for missing or extra weights.
    """
    there, file = tensors.readers, tensors.file
    if plan.head and not any(name.startswith(f"{plan.head}.") for name in there):
        raise UserError(
            f"{where}: the checkpoint has no masked language model head ({plan.head}.*); promptkit needs one of "
            f"{plan.classes}."
        )
    chosen = {ours: next((name for name in names if name in there), None) for ours, names in plan.names.items()}
    missing = [plan.names[ours][0] for ours, name in chosen.items() if name is None]
    if missing:
        raise UserError(f"{where}: {_some(missing)} missing from {file}.")
    known = {name for names in plan.names.values() for name in names}
    extra = [name for name in there if name not in known and not plan.ignored.search(name)]
    if extra:
        raise UserError(f"{where}: {_some(extra)} in {file} that this architecture lacks.")
    return StoredWeights(tensors, plan, {ours: name for ours, name in chosen.items() if name is not None}, where)


class StoredWeights(Weights):
    """Weights that are read when they are asked for, so that a model is not in memory twice.

    A copy that learns reads them again, and of an array that stands for several each reads its own.

    Args:
        tensors: of the checkpoint.
        plan: what they are to be.
        chosen: the engine's names -> their names in the file.
        where: how errors begin.
    """

    def __init__(self, tensors: Tensors, plan: WeightPlan, chosen: Mapping[str, str], where: str) -> None:
        self._tensors, self._plan, self._chosen, self._where = tensors, plan, chosen, where
        self._state = _state(tensors.paths)

    def __getitem__(self, ours: str) -> npt.NDArray[np.float32]:
        """Return a weight.

        Raises:
            UserError: for a wrong shape, for values that are no numbers, or if the file was changed meanwhile.
        """
        name = self._chosen[ours]
        if _state(self._tensors.paths) != self._state:
            raise UserError(f"{self._where}: the file was changed after it was opened; start again.")
        whole = _floats(self._tensors.readers[name](), name, self._where)
        return _taken(whole, self._plan.takes.get(ours), self._plan.shapes[ours], name, self._where)

    def __iter__(self) -> Iterator[str]:
        """Yield the engine's names."""
        return iter(self._chosen)

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._chosen)

    def __contains__(self, ours: object) -> bool:
        """Tell whether there is one of this name, without reading it."""
        return ours in self._chosen

    def are_same(self, one: str, other: str) -> bool:
        """Tell whether two weights are one, or two of the same numbers."""
        return self._chosen[one] == self._chosen[other] or np.array_equal(self[one], self[other])


def _state(paths: Sequence[Path]) -> list[tuple[int, int, int] | None]:
    """Return what changes where a file is written or replaced."""
    found: list[tuple[int, int, int] | None] = []
    for path in paths:
        try:
            status = path.stat()
        except OSError:
            found.append(None)
        else:
            found.append((status.st_ino, status.st_size, status.st_mtime_ns))
    return found


def _floats(raw: npt.NDArray[np.generic], name: str, where: str) -> npt.NDArray[np.float32]:
    if raw.dtype.kind != "f":
        raise UserError(f"{where}: {name} holds {raw.dtype} numbers; quantised weights are not read.")
    values = np.ascontiguousarray(raw, dtype=np.float32)
    if not np.isfinite(values).all():
        raise UserError(f"{where}: {name} holds values that are no finite numbers.")
    return values


def _taken(
    whole: npt.NDArray[np.float32],
    take: Callable[[Any], Any] | None,
    shape: tuple[int, ...],
    name: str,
    where: str,
) -> npt.NDArray[np.float32]:
    own: npt.NDArray[np.float32] | None
    try:
        own = whole if take is None else np.ascontiguousarray(take(whole))
    except ValueError:  # an array that cannot be cut as it should
        own = None
    if own is None or own.shape != shape:
        asked = "another" if take is not None else str(shape)
        raise UserError(f"{where}: {name} has shape {whole.shape}, the configuration says {asked}.")
    return own


def _readers(path: Path) -> dict[str, Callable[[], npt.NDArray[np.generic]]]:
    """Return what reads each tensor of a file; buffers of whole numbers in a bfloat16 file are read as they are."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(path), framework="numpy") as file:
            kinds = {name: file.get_slice(name).get_dtype() for name in file.keys()}  # noqa: SIM118 - no mapping
    except (SafetensorError, OSError, TypeError, AttributeError, KeyError) as error:
        raise _unreadable(path, error) from None
    return {
        _present_name(name): partial(_read_bfloat16 if kind == "BF16" else _read, path, name)
        for name, kind in kinds.items()
    }


def _read(path: Path, name: str) -> npt.NDArray[np.generic]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(path), framework="numpy") as file:
            tensor: npt.NDArray[np.generic] = file.get_tensor(name)
            return tensor
    except (SafetensorError, OSError, TypeError, AttributeError, KeyError) as error:
        raise _unreadable(path, error) from None


def _read_bfloat16(path: Path, name: str) -> npt.NDArray[np.generic]:
    """Read a bfloat16 tensor, which NumPy does not know: its numbers are the upper halves of float32.

    `safe_open` has checked the header by then: its length in eight bytes, then JSON with where each tensor lies.
    """
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        entry = json.loads(file.read(length))[name]
        start, end = entry["data_offsets"]
        file.seek(8 + length + start)
        halves = np.fromfile(file, "<u2", (end - start) // 2).astype(np.uint32)
    found: npt.NDArray[np.generic] = (halves << 16).view(np.float32).reshape(entry["shape"])
    return found


def _unreadable(path: Path, error: Exception) -> UserError:
    return UserError(f"'{path}' is not a readable safetensors file of floating-point weights ({cut(str(error))}).")


def _present_name(name: str) -> str:
    """Give first-generation LayerNorm names their present form."""
    name = re.sub(r"\.gamma$", ".weight", name)
    return re.sub(r"\.beta$", ".bias", name)


def _some(names: list[str], what: str = "weights") -> str:
    shown = ", ".join(sorted(names)[:3])
    more = f" and {len(names) - 3} more {what}" if len(names) > 3 else ""
    return shown + more
