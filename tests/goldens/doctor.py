"""Writes promptkit/doctor/goldens.json, which `promptkit doctor` holds a machine against: our own numbers on the CPU.

Run from the root of the repository: python tests/goldens/doctor.py. That the engine agrees with PyTorch is for the
parity tests; the question here is whether another machine computes the same.
"""

from __future__ import annotations

import json

import numpy as np

from promptkit.backbones.catalog import shipped_root
from promptkit.doctor.selfcheck import GOLDENS, MODEL, numbers
from promptkit.testing import load_model


def main() -> None:
    """Compute them eagerly and compiled, and write them if both agree."""
    backbone = load_model(shipped_root() / MODEL, MODEL)
    eager = dict(numbers(backbone, "pynative", print))
    for name, found in numbers(backbone, "graph", print):
        np.testing.assert_allclose(found, eager[name], atol=1e-6, err_msg=name)
    plain = {name: np.round(np.asarray(found, np.float64), 8).tolist() for name, found in eager.items()}
    GOLDENS.write_text(json.dumps(plain) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
