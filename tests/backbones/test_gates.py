"""Activations: value and derivative against references in double precision."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.special import erf

ms = pytest.importorskip("mindspore")

from mindspore import Tensor

from promptkit.backbones.device import set_device
from promptkit.backbones.native.layers.gates import gate_of

set_device("CPU")
POINTS = np.concatenate([np.linspace(-40, 40, 4001), np.linspace(-8, 8, 20_001)])


def _gelu(u: Any) -> Any:
    return u * 0.5 * (1 + erf(u / np.sqrt(2)))


def _gelu_tanh(u: Any) -> Any:
    return u * 0.5 * (1 + np.tanh(np.sqrt(2 / np.pi) * (u + 0.044715 * u**3)))


def _silu(u: Any) -> Any:
    return u / (1 + np.exp(-u))


REFERENCES = {"gelu": _gelu, "gelu_new": _gelu_tanh, "silu": _silu, "relu": lambda u: np.maximum(u, 0)}


@pytest.mark.parametrize("on_cpu", [True, False])
@pytest.mark.parametrize("name", sorted(REFERENCES))
def test_value_and_slope_agree_with_double_precision(name: str, on_cpu: bool) -> None:
    gate, slope = gate_of(name, on_cpu=on_cpu)
    reference = REFERENCES[name]
    points = POINTS[np.abs(POINTS) > 1e-3] if name == "relu" else POINTS
    u = Tensor(points.astype(np.float32))
    f = gate(u)
    exact = points.astype(np.float32).astype(np.float64)
    step = 1e-5
    derivative = (reference(exact + step) - reference(exact - step)) / (2 * step)
    value = (u * f).asnumpy()
    # float32 resolves 1e-7 of the value; what is left is the fit and the kernel.
    assert np.abs(value - reference(exact)).max() < 4e-6
    assert np.abs(slope(u, f).asnumpy() - derivative).max() < 1e-5


def test_the_composed_gelu_is_exact_to_single_precision() -> None:
    """The fit itself, evaluated in double precision, is within 1e-7 of u * Phi(u) everywhere."""
    from promptkit.backbones.native.layers import gates

    c = [getattr(gates, f"_C{i}") for i in range(7)]
    u = np.linspace(-60, 60, 600_001)
    fitted = 1 / (1 + np.exp(-np.clip(u * np.polynomial.polynomial.polyval(u * u, c), -700, 700)))
    assert np.abs(u * fitted - _gelu(u)).max() < 1e-7
