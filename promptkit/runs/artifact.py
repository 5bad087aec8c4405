"""The prompt artifact: tensors and a JSON card in one safetensors file. Nothing in it is ever executed."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from promptkit.checking import cut, parse_json_object, path_shown
from promptkit.errors import UserError
from promptkit.runs.files import write_atomically

_CARD_KEY = "promptkit"


def save_artifact(path: Path, tensors: Mapping[str, np.ndarray[Any, Any]], card: Mapping[str, Any]) -> int:
    """Write an artifact atomically and return its size in bytes.

    Args:
        path: the file, `prompt.safetensors` in a run directory.
        tensors: name -> array of any shape; may be empty (a strategy that learns nothing).
        card: what prediction needs beside the tensors, as JSON values.

    Raises:
        OSError: if the file cannot be written; an older one stays as it was.
        ValueError: if the card holds NaN or infinity.
    """
    from safetensors.numpy import save

    # `np.asarray`, for `np.ascontiguousarray` would turn a scalar into a vector.
    whole = {name: np.asarray(array, order="C") for name, array in tensors.items()}
    text = json.dumps(dict(card), ensure_ascii=False, allow_nan=False)
    data: bytes = save(whole, metadata={_CARD_KEY: text})
    write_atomically(path, data)
    return len(data)


def load_artifact(path: Path) -> tuple[dict[str, np.ndarray[Any, Any]], dict[str, Any]]:
    """Read an artifact.

    Returns:
        The tensors by name, in the order of their names, and the card.

    Raises:
        UserError: if the file is missing, is no safetensors file (a pickle, say), is cut short, or was not
            written by promptkit.
    """
    from safetensors import SafetensorError, safe_open

    shown = path_shown(path)
    if not os.path.isfile(path):
        raise UserError(f"there is no prompt artifact '{shown}'")
    try:
        with safe_open(str(path), framework="numpy") as stored:
            metadata = stored.metadata() or {}
            tensors = {name: stored.get_tensor(name) for name in sorted(stored.keys())}
    except SafetensorError as error:
        if path.suffix != ".safetensors":
            raise UserError(f"'{shown}' is no prompt: give the run's folder, or its prompt.safetensors.") from None
        raise UserError(f"'{shown}' is not a whole safetensors file: {cut(str(error))}") from None
    except OSError as error:
        raise UserError(f"'{shown}' cannot be read: {error.strerror or error}") from None
    except (TypeError, AttributeError, ValueError) as error:
        # Types that NumPy has no name for, such as bfloat16.
        raise UserError(f"'{shown}' holds tensors that cannot be read: {error}") from None
    if _CARD_KEY not in metadata:
        raise UserError(f"'{shown}' is a safetensors file, but not a promptkit artifact: it has no card")
    what = f"'{shown}' is a safetensors file, but it has no card that can be read"
    return tensors, parse_json_object(metadata[_CARD_KEY], what)
