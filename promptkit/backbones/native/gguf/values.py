"""The numbers of one tensor of a GGUF file."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from promptkit.backbones.native.gguf.header import Header
from promptkit.errors import UserError

Array = npt.NDArray[np.generic]


def tensor_values(header: Header, name: str) -> Array:
    """Return a tensor as the file has it, dequantised.

    Raises:
        UserError: if the file has become shorter since its header was read.
    """
    entry = header.tensors[name]
    with header.path.open("rb") as file:
        file.seek(entry.start)
        raw = np.fromfile(file, np.uint8, entry.size)
    if len(raw) != entry.size:
        raise UserError(f"{header.where}: tensor {name} is cut.")
    if entry.type == "F32":
        return raw.view("<f4").reshape(entry.shape)
    if entry.type == "F16":
        return raw.view("<f2").reshape(entry.shape)
    if entry.type == "BF16":  # the upper halves of float32
        return (raw.view("<u2").astype(np.uint32) << 16).view(np.float32).reshape(entry.shape)
    import gguf

    rows = raw.reshape(*entry.shape[:-1], -1)
    with np.errstate(all="ignore"):  # scales that are no numbers are found by who looks at the values
        found: Array = gguf.dequantize(rows, gguf.GGMLQuantizationType[entry.type]).reshape(entry.shape)
    return found
