"""Weights from a checkpoint file, renamed and checked before anything is copied.

Only safetensors files are read; a pickle can run code and is never loaded. What the weights of an architecture are
called and how large they are is data, in that architecture's `weights.py`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from promptkit.checking import cut
from promptkit.errors import UserError

Weights = dict[str, npt.NDArray[np.float32]]
_FLOATS = {"F16", "BF16", "F32", "F64"}


@dataclass(frozen=True)
class WeightPlan:
    """The weights that an architecture needs.

    Attributes:
        names: the engine's name of each weight -> the names it may have in a file, the one to prefer first.
        shapes: the engine's name of each weight -> its shape.
        ignored: matches what a file may hold besides: buffers, heads of other tasks, second names of tied tensors.
        head: what the names of the language model head begin with.
        classes: the classes whose checkpoints have one, for the error.
    """

    names: Mapping[str, tuple[str, ...]]
    shapes: Mapping[str, tuple[int, ...]]
    ignored: re.Pattern[str]
    head: str
    classes: str


def weights_file(directory: Path) -> Path:
    """Return the checkpoint's safetensors file, or say why there is none."""
    path = directory / "model.safetensors"
    if path.is_file():
        return path
    if (directory / "model.safetensors.index.json").is_file():
        raise UserError(f"model '{directory}': the weights are split over several files; save them as one.")
    pickles = [p.name for pattern in ("*.bin", "*.pt", "*.pth", "*.ckpt") for p in directory.glob(pattern)]
    if pickles:
        raise UserError(
            f"model '{directory}': {pickles[0]} is a pickle, which can run code and is never loaded; "
            "convert it to model.safetensors."
        )
    raise UserError(f"model '{directory}': no model.safetensors there.")


def read_weights(directory: Path, plan: WeightPlan) -> Weights:
    """Read every weight the engine needs, as float32.

    Raises:
        UserError: for a missing or unreadable file, missing or extra weights, a wrong shape, or weights that are no
            numbers.
    """
    raw = _read_file(weights_file(directory))
    where = f"model '{directory}'"
    if not any(name.startswith(f"{plan.head}.") for name in raw):
        raise UserError(
            f"{where}: the checkpoint has no masked language model head ({plan.head}.*); promptkit needs one of "
            f"{plan.classes}."
        )
    chosen = {ours: next((name for name in names if name in raw), None) for ours, names in plan.names.items()}
    missing = [plan.names[ours][0] for ours, name in chosen.items() if name is None]
    if missing:
        raise UserError(f"{where}: {_some(missing)} missing from model.safetensors.")
    known = {name for names in plan.names.values() for name in names}
    extra = [name for name in raw if name not in known and not plan.ignored.search(name)]
    if extra:
        raise UserError(f"{where}: {_some(extra)} in model.safetensors that this architecture lacks.")
    weights: Weights = {}
    for ours, name in chosen.items():
        assert name is not None
        if raw[name].shape != plan.shapes[ours]:
            raise UserError(f"{where}: {name} has shape {raw[name].shape}, config.json says {plan.shapes[ours]}.")
        if raw[name].dtype.kind != "f":
            raise UserError(f"{where}: {name} holds {raw[name].dtype} numbers; quantised weights are not read.")
        weights[ours] = np.ascontiguousarray(raw[name], dtype=np.float32)
        if not np.isfinite(weights[ours]).all():
            raise UserError(f"{where}: {name} holds values that are no finite numbers.")
    return weights


def _read_file(path: Path) -> dict[str, npt.NDArray[np.generic]]:
    from safetensors import SafetensorError, safe_open

    raw: dict[str, npt.NDArray[np.generic]] = {}
    try:
        with safe_open(str(path), framework="numpy") as file:
            for name in file.keys():  # noqa: SIM118 - no mapping, but a file
                kind = file.get_slice(name).get_dtype()
                if kind == "BF16":
                    return _read_bfloat16(path)
                raw[_present_name(name)] = file.get_tensor(name)
    except (SafetensorError, OSError, TypeError, AttributeError, KeyError) as error:
        reason = cut(str(error))
        raise UserError(
            f"'{path}' is not a readable safetensors file of floating-point weights ({reason})."
        ) from None
    return raw


def _read_bfloat16(path: Path) -> dict[str, npt.NDArray[np.generic]]:
    """Read a file with bfloat16 tensors, which NumPy does not know: they are the upper halves of float32."""
    from safetensors import deserialize

    raw: dict[str, npt.NDArray[np.generic]] = {}
    for name, tensor in deserialize(path.read_bytes()):  # type: ignore[no-untyped-call]
        if tensor["dtype"] == "BF16":
            halves = np.frombuffer(tensor["data"], dtype="<u2").astype(np.uint32)
            values: npt.NDArray[np.generic] = (halves << 16).view(np.float32)
        elif tensor["dtype"] in _FLOATS:
            values = np.frombuffer(tensor["data"], dtype={"F16": "<f2", "F32": "<f4", "F64": "<f8"}[tensor["dtype"]])
        else:
            continue  # buffers such as position ids
        raw[_present_name(name)] = values.reshape(tensor["shape"])
    return raw


def _present_name(name: str) -> str:
    """Give first-generation LayerNorm names their present form."""
    name = re.sub(r"\.gamma$", ".weight", name)
    return re.sub(r"\.beta$", ".bias", name)


def _some(names: list[str], limit: int = 3) -> str:
    shown = ", ".join(sorted(names)[:limit])
    more = f" and {len(names) - limit} more weights" if len(names) > limit else ""
    return shown + more
