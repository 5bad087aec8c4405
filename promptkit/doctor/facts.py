"""What a machine and an installation are made of. Nothing here imports MindSpore, and nothing missing is an error."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from promptkit.hooks import Origin

# As Linux lists them for x86 (`flags`) and for ARM (`Features`), the widest last; older ones tell nothing apart.
_VECTOR_UNITS = {
    "avx2": "AVX2", "avx512f": "AVX-512", "avx512_vnni": "AVX-512 VNNI", "avx512_bf16": "AVX-512 BF16",
    "amx_tile": "AMX", "asimd": "NEON", "sve": "SVE",
}  # fmt: skip
_OPTIONAL = ("mindnlp", "datasets", "huggingface_hub", "distributed")
_OF_RUNS = ("promptkit_run_started", "promptkit_epoch_ended", "promptkit_run_ended")
_CANN = (
    "/usr/local/Ascend/ascend-toolkit/latest", "/usr/local/Ascend/cann",
    "~/Ascend/ascend-toolkit/latest", "~/Ascend/cann",
)  # fmt: skip
_DRIVER = "/usr/local/Ascend/driver/version.info"


@dataclass(frozen=True)
class Fact:
    """Something found out.

    Attributes:
        name: of it.
        value: in words.
        fault: what is wrong with it and what to do, in a sentence; empty for nothing.
    """

    name: str
    value: str
    fault: str = ""


def machine(root: Path = Path("/")) -> Iterator[Fact]:
    """Yield what the machine is.

    Args:
        root: where `/proc` and the like are.
    """
    yield Fact("system", platform.platform())
    first = _read(root / "proc/cpuinfo").split("\n\n")[0]
    told = {name.strip(): value.strip() for name, _, value in (it.partition(":") for it in first.splitlines())}
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 0
    yield Fact("processor", f"{told.get('model name') or platform.machine()}, {cores} cores for this process")
    flags = set((told.get("flags") or told.get("Features") or "").split())
    units = [name for flag, name in _VECTOR_UNITS.items() if flag in flags]
    yield Fact("vector instructions", ", ".join(units) or "none that are known here")
    sizes = dict(re.findall(r"^(\w+):\s+(\d+) kB", _read(root / "proc/meminfo"), re.M))
    if {"MemTotal", "MemAvailable"} <= sizes.keys():
        total, free = (int(sizes[name]) * 1024 / 1e9 for name in ("MemTotal", "MemAvailable"))
        low = "less than 1.5 GB are free; promptkit-mini alone takes about 1 GB." if free < 1.5 else ""
        yield Fact("memory", f"{total:.1f} GB, {free:.1f} GB free", low)


def ascend(root: Path = Path("/"), environment: Mapping[str, str] | None = None) -> Iterator[Fact]:
    """Yield what there is of Ascend: devices, driver, CANN.

    Args:
        root: where `/dev` and `/usr` are.
        environment: in place of the process's own.
    """
    variables = os.environ if environment is None else environment
    chips = sorted(it.name for it in (root / "dev").glob("davinci[0-9]*"))
    driver = _version(_read(root / _DRIVER.lstrip("/")))
    named = [variables.get(name, "") for name in ("ASCEND_HOME_PATH", "ASCEND_TOOLKIT_HOME")]
    places = (
        [Path(it) for it in named if it] + [root / it.lstrip("/") for it in _CANN[:2]] + [Path(_CANN[2]).expanduser()]
    )
    found = next(((place, text) for place in places if (text := _cann(place))), None)
    yield Fact("Ascend chips", ", ".join(chips) or "none")
    if chips or driver:
        missing = "" if driver else "no driver is found; install Ascend HDK for this hardware."
        yield Fact("Ascend driver", driver or "none", missing)
    if found is None:
        advice = "CANN is not found; install the one that fits MindSpore (docs/ascend.md)." if chips else ""
        yield Fact("CANN", "none", advice)
        return
    place, version = found
    unset = (
        ""
        if any(named)
        else f"its environment is not set; run: source {place}/set_env.sh (or {place}/../set_env.sh)."
    )
    yield Fact("CANN", f"{version} in {place}", unset if chips else "")


def _cann(place: Path) -> str:
    names = ("compiler/version.info", "version.info", "version.cfg", "runtime/version.info")
    return next((found for name in names if (found := _version(_read(place / name)))), "")


def _version(text: str) -> str:
    found = re.search(r"^\s*(?:\w*version\w*)\s*=\s*\[?([\w.:-]+)", text, re.I | re.M)
    return found.group(1) if found else ""


def packages() -> Iterator[Fact]:
    """Yield Python and the packages that promptkit stands on, held against what it asks for."""
    yield Fact("Python", f"{platform.python_version()} ({platform.machine()})")
    needed = dict(_requirements())
    for name in sorted({*needed, "promptkit"}):
        version, bounds = _installed(name), needed.get(name, "")
        if not version:
            yield Fact(name, "not installed", f"install it: pip install '{name}{bounds}'.")
        elif bounds and not _fits(version, bounds):
            yield Fact(name, version, f"promptkit asks for {name}{bounds}: pip install '{name}{bounds}'.")
        else:
            yield Fact(name, version)
    for name in _OPTIONAL:
        if name not in needed:
            yield Fact(name, _installed(name) or "not installed (optional)")


def _requirements() -> Iterator[tuple[str, str]]:
    """Yield name and bounds of what promptkit asks for here, `("numpy", ">=1.26,<2")`, extras left out."""
    from packaging.requirements import InvalidRequirement, Requirement

    try:
        told = importlib.metadata.requires("promptkit") or []
    except importlib.metadata.PackageNotFoundError:
        return
    for text in told:
        try:
            needed = Requirement(text)
        except InvalidRequirement:
            continue
        if needed.marker is None or needed.marker.evaluate({"extra": ""}):
            yield needed.name, str(needed.specifier)


def _fits(version: str, bounds: str) -> bool:
    from packaging.specifiers import SpecifierSet

    return SpecifierSet(bounds).contains(version, prereleases=True)


def _installed(name: str) -> str:
    try:
        # Half-removed distributions leave metadata without a version.
        return importlib.metadata.version(name) or ""
    except Exception:
        return ""


def caches() -> Iterator[Fact]:
    """Yield where what has an id is kept, and how much room there is."""
    try:
        from huggingface_hub import constants

        hub = str(constants.HF_HUB_CACHE)
    except Exception:
        hub = os.environ.get("HF_HUB_CACHE", "~/.cache/huggingface/hub")
    places = {
        "cache of the Hub": hub,
        "cache of ModelScope": os.environ.get("MODELSCOPE_CACHE", "~/.cache/modelscope"),
    }
    for name, place in places.items():
        path = Path(place).expanduser()
        there = path if path.is_dir() else next((it for it in path.parents if it.is_dir()), None)
        if there is None:
            yield Fact(name, f"{path}, not there yet")
            continue
        free = shutil.disk_usage(there).free / 1e9
        fault = (
            "" if os.access(there, os.W_OK) else "nothing can be written there; name another place (docs/models.md)."
        )
        yield Fact(name, f"{path}{'' if path.is_dir() else ', not there yet'}, {free:.1f} GB free", fault)


def plugins() -> Iterator[Fact]:
    """Yield every plugin with its distribution, version and what it does, and what was refused, with the reason."""
    from promptkit.hooks import get_host

    host = get_host()
    for origin, hooks in host.plugins.items():
        names = [
            name
            for kind in ("strategies", "datasets", "models", "engines", "metrics")
            for name, entry in getattr(host, kind).items()
            if entry.origin == origin
        ]
        does = [", ".join(dict.fromkeys(names))] if names else []
        does += ["adds commands"] if "promptkit_register_commands" in hooks else []
        does += ["is told of runs"] if any(hook in hooks for hook in _OF_RUNS) else []
        said = "; ".join(does) or "registers nothing"
        yield Fact("plugin", f"{_named(origin)}: {said}")
    for refusal in host.refusals:
        yield Fact("plugin", _named(refusal.origin), f"{refusal}.")


def _named(origin: Origin) -> str:
    return f"{origin.plugin} ({origin.distribution} {origin.version})"


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
