"""Activations written so that they are quick on MindSpore's CPU kernels.

GELU, its tanh form, SiLU and ReLU are all self-gated: a(u) = u * f(u). The encoder layer keeps u and f and
needs only f'(u) for its own backward pass. `ops.gelu` and `ops.erf` are many times slower on the CPU than a
short composition of `tanh` and multiplications, so there the normal distribution function of the exact GELU
is composed; on Ascend and GPU it is `erf` itself.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mindspore import ops

Gate = Callable[[Any], Any]
Slope = Callable[[Any, Any], Any]

# Minimax fit of 2 * Phi(u) - 1 = tanh(u * p(u^2)): |u * (Phi_fit - Phi)| < 1e-7 for every u, which is float32's
# own resolution (tests/engine/test_gates.py). The last coefficient is positive, so the argument grows for
# large |u| and tanh saturates as Phi does.
_C0, _C1, _C2, _C3, _C4, _C5, _C6 = (
    0.7978842686272475,
    0.03633414853802683,
    -3.302629443208346e-05,
    -5.527350267390449e-05,
    3.974085937885007e-06,
    -1.3378409729437488e-07,
    1.81394648031135e-09,
)
_LOG_DENSITY = -0.9189385332046727  # log(1 / sqrt(2 pi))
_SQRT_HALF = 0.7071067811865476
_TANH_SCALE = 0.7978845608028654  # sqrt(2 / pi), Hendrycks & Gimpel 2016
_TANH_CUBE = 0.044715


def normal_cdf_composed(u):  # type: ignore[no-untyped-def]
    """Phi(u) by the tanh composition."""
    z = u * u
    argument = u * (_C0 + z * (_C1 + z * (_C2 + z * (_C3 + z * (_C4 + z * (_C5 + z * _C6))))))
    return ops.tanh(argument) * 0.5 + 0.5


def normal_cdf_erf(u):  # type: ignore[no-untyped-def]
    """Phi(u) by the error function."""
    return ops.erf(u * _SQRT_HALF) * 0.5 + 0.5


def normal_slope(u, f):  # type: ignore[no-untyped-def]
    """Derivative of u * Phi(u), given f = Phi(u)."""
    return f + u * ops.exp(u * u * -0.5 + _LOG_DENSITY)


def tanh_gate(u):  # type: ignore[no-untyped-def]
    """Gate of the tanh approximation of GELU (`gelu_new`)."""
    return ops.tanh(u * (_TANH_SCALE + u * u * (_TANH_SCALE * _TANH_CUBE))) * 0.5 + 0.5


def tanh_slope(u, f):  # type: ignore[no-untyped-def]
    """Derivative of the tanh GELU, given its gate f."""
    return f + u * f * (1.0 - f) * (2.0 * _TANH_SCALE + u * u * (6.0 * _TANH_SCALE * _TANH_CUBE))


def relu_gate(u):  # type: ignore[no-untyped-def]
    """1 where u is positive, else 0."""
    return (u > 0).astype(u.dtype)


def relu_slope(u, f):  # type: ignore[no-untyped-def]
    """Derivative of ReLU, which is its gate."""
    return f + u * 0.0


def silu_gate(u):  # type: ignore[no-untyped-def]
    """The logistic function."""
    return ops.sigmoid(u)


def silu_slope(u, f):  # type: ignore[no-untyped-def]
    """Derivative of SiLU, given f = sigmoid(u)."""
    return f + u * f * (1.0 - f)


def gate_of(activation: str, *, on_cpu: bool) -> tuple[Gate, Slope]:
    """Return (f, a') for an activation a(u) = u * f(u); a' takes u and f(u)."""
    if activation == "gelu":
        return (normal_cdf_composed if on_cpu else normal_cdf_erf), normal_slope
    if activation in ("gelu_new", "gelu_pytorch_tanh"):
        return tanh_gate, tanh_slope
    if activation == "relu":
        return relu_gate, relu_slope
    return silu_gate, silu_slope
