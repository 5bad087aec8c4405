"""A device that cannot be used is one line; what MindSpore writes by itself comes only with a bug."""

from __future__ import annotations

import subprocess
import sys

import pytest

# Writes as C++ and as Python do; a process of its own, for pytest has a standard error of its own.
SPEAKER = """
import os, sys
from promptkit.backbones.device import _unsaid
try:
    with _unsaid(ValueError):
        os.write(2, b"from below\\n")
        print("from above", file=sys.stderr)
        {end}
except Exception as error:
    print("then", type(error).__name__, file=sys.stderr)
"""


def said(code: str) -> str:
    """What a process writes to standard error."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    return done.stderr


@pytest.mark.parametrize(
    ("end", "expected"),
    [
        ("raise ValueError", "then ValueError\n"),
        ("raise KeyError", "from below\nfrom above\nthen KeyError\n"),
        ("pass", "from below\nfrom above\n"),
    ],
    ids=["an expected error", "a bug", "no error"],
)
def test_what_is_written_is_dropped_before_an_expected_error_only(end, expected):
    assert said(SPEAKER.format(end=end)) == expected


def test_a_device_that_cannot_be_used_is_one_line():
    ms = pytest.importorskip("mindspore")
    other = next(name for name in ("GPU", "Ascend") if name not in ms.get_context("device_target"))
    code = (
        "import sys\nfrom promptkit.backbones.device import set_device\nfrom promptkit.errors import UserError\n"
        f"try: set_device({other!r})\nexcept UserError as error: print(error, file=sys.stderr)"
    )
    error = said(code)
    assert error.startswith(f"device '{other}' cannot be used here: ")
    assert error.count("\n") == 1


def test_what_was_computed_before_is_in_nobodys_way():
    """A notebook may have used MindSpore already, by which the device is settled."""
    program = (
        "import mindspore as ms; from mindspore import ops\n"
        "ops.assign(ms.Parameter(ms.Tensor([1.0])), ms.Tensor([2.0]))\n"
        "from promptkit.backbones.device import set_device; print(set_device('CPU'))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.stdout == "CPU\n", done.stderr


def test_a_chip_that_was_chosen_before_is_kept(monkeypatch):
    """`mindspore.set_device("Ascend", 1)` settles the chip, and MindSpore takes no other afterwards."""
    ms = pytest.importorskip("mindspore")
    from promptkit.backbones.device import _set

    def settled(target):
        raise RuntimeError("The 'mindspore.set_device' can not be modified.")

    monkeypatch.setattr(ms, "set_device", settled)
    _set("Ascend", "Ascend")
    with pytest.raises(RuntimeError, match="can not be modified"):
        _set("CPU", "Ascend")
