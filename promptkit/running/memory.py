"""The peak memory of this process."""

from __future__ import annotations

import contextlib
import resource
import sys


def peak_memory_mb() -> float:
    """Return the process's peak resident memory, in MB (10^6 bytes), since it began or `forget_peak_memory`."""
    with contextlib.suppress(OSError), open("/proc/self/status", encoding="ascii") as status:
        # Linux; the peak that `getrusage` gives is not forgotten.
        for line in status:
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024 / 1e6
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak * (1 if sys.platform == "darwin" else 1024) / 1e6


def forget_peak_memory() -> None:
    """Begin a new peak at the present resident memory, where the system can (Linux)."""
    with contextlib.suppress(OSError), open("/proc/self/clear_refs", "w", encoding="ascii") as file:
        file.write("5")
