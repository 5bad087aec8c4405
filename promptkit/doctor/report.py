"""All that the doctor found, and what it says of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from promptkit.backbones.device import Mode
from promptkit.doctor import facts
from promptkit.doctor.facts import Fact
from promptkit.doctor.selfcheck import Step

_LONGEST = 900  # seconds: the first compilation on a device may take minutes
# Without the working directory, which Python looks in first: a `tokenizers.py` of the user's would stand for the
# package.
_SELFCHECK = (
    "import sys, runpy; del sys.path[0]; "
    "runpy.run_module('promptkit.doctor.selfcheck', run_name='__main__', alter_sys=True)"
)
_SECTIONS: dict[str, Callable[[], Iterable[Fact]]] = {
    "machine": facts.machine, "ascend": facts.ascend, "packages": facts.packages, "caches": facts.caches,
    "plugins": facts.plugins,
}  # fmt: skip


@dataclass(frozen=True)
class Diagnosis:
    """What was found.

    Attributes:
        facts: by section.
        steps: of the self-check, as far as it came; none where it was not asked for.
    """

    facts: dict[str, tuple[Fact, ...]]
    steps: tuple[Step, ...]

    @property
    def faults(self) -> tuple[str, ...]:
        """What is not well, a sentence each."""
        of_facts = [f"{it.name}: {it.fault}" for each in self.facts.values() for it in each if it.fault]
        return (*of_facts, *(f"self-check, {it.name}: {it.said}" for it in self.steps if not it.ok))


def diagnose(device: str = "auto", mode: Mode = "graph", precision: str = "fp32", *, check: bool = True) -> Diagnosis:
    """Look at everything.

    Args:
        device: for the self-check, as for a run.
        mode: of the self-check.
        precision: of its matrix products.
        check: whether to do it.
    """
    found = {name: tuple(_careful(name, collect)) for name, collect in _SECTIONS.items()}
    return Diagnosis(found, tuple(_checked(device, mode, precision)) if check else ())


def _careful(section: str, collect: Callable[[], Iterable[Fact]]) -> Iterator[Fact]:
    """Yield the facts of a section; what breaks there is one of them."""
    try:
        yield from collect()
    except Exception as error:
        yield Fact(section, "unknown", f"it cannot be found out ({type(error).__name__}: {error}).")


def _checked(device: str, mode: str, precision: str) -> Iterator[Step]:
    """Carry out the self-check in a process of its own, and say how it ended if it did not end well."""
    command = [sys.executable, "-c", _SELFCHECK, device, mode, precision]
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_LONGEST,
            env={**os.environ, "GLOG_v": "3"},
        )
        out, err, code = done.stdout, done.stderr, done.returncode
    except subprocess.TimeoutExpired as error:
        out, err, code = _text(error.stdout), _text(error.stderr), None
    steps = [Step(**json.loads(line[5:])) for line in out.splitlines() if line.startswith("step {")]
    yield from steps
    if code != 0:
        how = (
            "did not end"
            if code is None
            else f"was ended by signal {-code}"
            if code < 0
            else f"ended with code {code}"
        )
        last = steps[-1].name if steps else "the start"
        said = " ".join(err.split())[-400:]
        yield Step(
            f"after {last}",
            False,
            f"the process {how}{': ...' + said if said else ''}",
            float(_LONGEST) if code is None else 0.0,
        )


def _text(given: str | bytes | None) -> str:
    return given.decode(errors="replace") if isinstance(given, bytes) else given or ""


def diagnosis_text(found: Diagnosis) -> str:
    """Return all of it as lines that can be pasted."""
    lines = []
    for section, each in found.facts.items():
        lines += ["", f"{section}:", *(f"  {'!' if it.fault else ' '} {it.name}: {it.value}" for it in each)]
    if found.steps:
        lines += ["", "self-check:"]
        lines += [f"  {' ' if it.ok else '!'} {it.name}: {it.said} ({it.seconds} s)" for it in found.steps]
    faults = found.faults
    verdict = ["All is well."] if not faults else [f"{len(faults)} not well:", *(f"  ! {it}" for it in faults)]
    return "\n".join([*lines[1:], "", *verdict])
