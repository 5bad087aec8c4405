"""What a benchmark runs on: cores, the processor and its vector instructions, and how busy it is."""

from __future__ import annotations

import os
import platform
import resource
import sys
from pathlib import Path
from typing import Any

QUIET_LOAD = 0.5  # load average above which the machine is plainly doing something else
# As Linux lists them for x86 (`flags`) and for ARM (`Features`), the widest last; older ones tell nothing apart.
_VECTOR_UNITS = {
    "avx2": "AVX2",
    "avx512f": "AVX-512",
    "avx512_vnni": "AVX-512 VNNI",
    "avx512_bf16": "AVX-512 BF16",
    "amx_tile": "AMX",
    "asimd": "NEON",
    "sve": "SVE",
}


def machine() -> dict[str, Any]:
    """Return what this process runs on."""
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:
        cores = os.cpu_count() or 0
    info = processor_info()
    return {
        "cores": cores,
        "processor": info.get("model name") or platform.processor() or platform.machine(),
        "vector_instructions": vector_instructions(info.get("flags") or info.get("Features") or ""),
        "platform": platform.platform(),
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS"),
        "load_before": os.getloadavg()[0],
    }


def processor_info(path: Path = Path("/proc/cpuinfo")) -> dict[str, str]:
    """Return what Linux says of the first processor; nothing elsewhere."""
    try:
        first = path.read_text(encoding="utf-8").split("\n\n")[0]
    except OSError:
        return {}
    pairs = (line.partition(":") for line in first.splitlines())
    return {name.strip(): value.strip() for name, _, value in pairs}


def vector_instructions(flags: str) -> list[str]:
    """Return the sets of vector instructions among a processor's flags, the widest last."""
    have = set(flags.split())
    return [name for flag, name in _VECTOR_UNITS.items() if flag in have]


def describe(host: dict[str, Any]) -> str:
    """Return the machine in one phrase."""
    vectors = ", ".join(host["vector_instructions"]) or "no AVX2 known of"
    return (
        f"{host['cores']} cores, {host['processor']} ({vectors}), load average {host['load_before']:.2f} "
        "before the start"
    )


def warn_if_busy(host: dict[str, Any]) -> None:
    """Say so if the machine does something else already."""
    if host["load_before"] > QUIET_LOAD:
        print(f"warning: load average {host['load_before']:.2f}; the machine is not idle", file=sys.stderr)


def peak_memory_mb() -> float:
    """Return this process's largest resident size so far, in MB of 2**20 bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10
