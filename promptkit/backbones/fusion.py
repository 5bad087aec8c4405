"""Fused kernels on the CPU: MindSpore's graph kernel fusion, which its wheel brings and leaves off.

With it a graph's element-wise operators become few kernels, compiled for their shapes by MindSpore's own AKG and
linked by the system's C++ compiler. What is compiled is kept for later processes; MindSpore checks a kept kernel's
SHA-256 and builds anew what is missing or damaged. Nothing here imports MindSpore before it has to.
"""

from __future__ import annotations

import atexit
import contextlib
import importlib.metadata
import importlib.util
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from promptkit.errors import UserError

_LOG = "dsa_transfrom.log"
"""What AKG writes into the working directory, anew with every kernel; nobody reads it."""


def kernels_folder() -> Path:
    """Where compiled kernels are kept: of one version of MindSpore, in the user's cache."""
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "promptkit" / f"kernels-mindspore-{importlib.metadata.version('mindspore')}"


def prepare() -> None:
    """Have OpenMP's threads, on which fused kernels run, wait aside; MindSpore must not have been imported yet.

    Between two kernels they would turn, in the way of MindSpore's own threads. How they wait is read when MindSpore
    loads OpenMP.
    """
    if "mindspore" not in sys.modules:
        os.environ.setdefault("OMP_WAIT_POLICY", "passive")


def missing() -> str | None:
    """Return what stands against fused kernels here and what to do, in a sentence; None for nothing."""
    found = importlib.util.find_spec("mindspore")
    if found is None or found.origin is None:
        return "MindSpore is not installed."
    if not (Path(found.origin).parent / "lib" / "plugin" / "cpu" / "libakg.so").exists():
        return "this MindSpore comes without AKG, which compiles them."
    if shutil.which("g++") is None:
        return "g++, which links them, is not there; install it (Debian and Ubuntu: apt install g++)."
    if importlib.util.find_spec("decorator") is None:
        return "the package that AKG needs is not there: pip install decorator."
    if os.environ.get("OMP_WAIT_POLICY", "").lower() != "passive":
        return (
            "MindSpore was imported without OMP_WAIT_POLICY=passive in the environment, and waiting threads would be "
            "in the way; set it before, or let promptkit import MindSpore."
        )
    return None


def fuse(on: bool, device: str) -> None:
    """Have the graphs that are compiled from now on fused, or not.

    Args:
        on: whether.
        device: that is set.

    Raises:
        UserError: if it cannot be had here.
    """
    if on == fuses():
        return
    if on:
        if device != "CPU":
            raise UserError(f"--mode fused is for the CPU, not for {device}; take --mode graph.")
        if (reason := missing()) is not None:
            raise UserError(f"kernels cannot be fused here: {reason} Or take --mode graph.")
    import mindspore as ms

    if on:
        folder = kernels_folder()
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f"compiled kernels cannot be kept in '{folder}': {error.strerror}.") from None
        # AKG looks for tuned tilings below this path, and says so on the terminal where they lie elsewhere.
        os.environ.setdefault("AKG_WHITE_LIST_PATH", str(Path(ms.__file__).parent / "_akg"))
        ms.set_context(compile_cache_path=str(folder))
        # AKG's exponential is off by up to 3e-4, MindSpore's own by 5e-6 (2.10): it stays a kernel by itself.
        ms.set_context(graph_kernel_flags="--disable_cluster_ops=Exp")
        # MindSpore compiles some operators of its own when it likes to.
        atexit.unregister(_tidy)
        atexit.register(_tidy, Path.cwd())
    ms.set_context(enable_graph_kernel=on)


def fuses() -> bool:
    """Whether graphs that are compiled now are fused."""
    ms = sys.modules.get("mindspore")
    return ms is not None and bool(ms.get_context("enable_graph_kernel"))


@contextlib.contextmanager
def compiling() -> Iterator[None]:
    """Take away what AKG left in the working directory while the body compiled."""
    try:
        yield
    finally:
        if fuses():
            _tidy(Path.cwd())


def _tidy(folder: Path) -> None:
    with contextlib.suppress(OSError):
        (folder / _LOG).unlink(missing_ok=True)
