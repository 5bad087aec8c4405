"""Which device MindSpore runs on. Only CPU has been run by the project; see docs/devices.md."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, get_args

from promptkit.backbones.fusion import fuse
from promptkit.errors import UserError, unknown

Device = Literal["auto", "CPU", "Ascend", "GPU"]
Mode = Literal["graph", "fused", "pynative"]
"""Compiled, compiled with fused kernels, or run eagerly."""


def set_device(device: str) -> str:
    """Choose the device through MindSpore's own API and return its name.

    `auto` takes Ascend where MindSpore was built for it and finds one, else CPU. Eager execution is the base
    mode; what is worth compiling is compiled by `promptkit.training`, unfused until `fuse` says otherwise.

    Raises:
        UserError: for an unknown device, or one this MindSpore cannot use.
    """
    if device not in get_args(Device):
        raise unknown("device", device, get_args(Device))
    # MindSpore's warnings about its own deprecations drown what promptkit has to say.
    os.environ.setdefault("GLOG_v", "3")
    # A graph that does not compile is dumped, by default into the working directory.
    os.environ.setdefault("MS_OM_PATH", str(Path(tempfile.gettempdir()) / f"promptkit-{os.getuid()}"))
    import mindspore as ms

    chosen = _best() if device == "auto" else device
    there = ms.get_current_device().device_target
    # What MindSpore writes about a device it cannot use is the error's own reason once more, at length.
    with _unsaid(UserError):
        try:
            # Once anything has been computed, in a notebook say, MindSpore lets no device be set; nor need it be.
            if ms.get_context("device_target") != chosen or not ms.hal.is_initialized(chosen):
                _set(chosen, there)
            ms.set_context(mode=ms.PYNATIVE_MODE)
            fuse(False, chosen)
        except (RuntimeError, ValueError, TypeError) as error:
            reason = str(error).strip().split("\n")[0].rstrip(".")
            raise UserError(f"device '{chosen}' cannot be used here: {reason}.") from None
    return chosen


def _set(chosen: str, there: str) -> None:
    """Set the device, unless the caller has set a chip of it already, by `mindspore.set_device("Ascend", 1)` say."""
    import mindspore as ms

    try:
        ms.set_device(chosen)
    except RuntimeError as error:
        if there != chosen or "can not be modified" not in str(error):
            raise


@contextlib.contextmanager
def _unsaid(*kinds: type[Exception]) -> Iterator[None]:
    """Keep back what the body writes to standard error, its C++ included, if it ends in one of these exceptions.

    In any other case, a bug's among them, all of it is written when the body has ended.
    """
    try:
        terminal = os.dup(2)
    except OSError:
        # There is no standard error to keep anything from.
        yield
        return
    with os.fdopen(terminal, "wb") as shown, tempfile.TemporaryFile() as kept:
        _flush()
        os.dup2(kept.fileno(), 2)
        drop = False
        try:
            yield
        except kinds:
            drop = True
            raise
        finally:
            _flush()
            os.dup2(terminal, 2)
            if not drop:
                kept.seek(0)
                shown.write(kept.read())


def _flush() -> None:
    if sys.stderr is not None:
        sys.stderr.flush()


def _best() -> str:
    import mindspore as ms

    try:
        ascend = ms.device_context.ascend
        return "Ascend" if ascend.is_available() and ascend.device_count() else "CPU"
    except (RuntimeError, ValueError, AttributeError):
        return "CPU"
