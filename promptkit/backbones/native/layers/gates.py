"""Activations written so that they are quick on MindSpore's CPU kernels.

GELU, its tanh form, SiLU and ReLU are all self-gated: a(u) = u * f(u). The encoder layer keeps u and f and
needs only f'(u) for its own backward pass. `ops.gelu` and `ops.erf` are many times slower on the CPU than a
short composition of `sigmoid` and multiplications, so there the normal distribution function of the exact GELU
is composed; on Ascend and GPU it is `erf` itself. The compositions use `sigmoid` and not `tanh`, whose CPU
kernel is wrong by 1e-4 where it saturates (measured with MindSpore 2.10).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mindspore import ops

Gate = Callable[[Any], Any]
Slope = Callable[[Any, Any], Any]

# Minimax fit of Phi(u) = sigmoid(u * p(u^2)): |u * (Phi_fit - Phi)| < 1e-7 for every u, which is float32's own
# resolution (tests/backbones/test_gates.py). The last coefficient is positive, so the argument grows for large |u|
# and the sigmoid saturates as Phi does.
_C0, _C1, _C2, _C3, _C4, _C5, _C6 = (
    1.595768537254495,
    0.07266829707605366,
    -6.605258886416693e-05,
    -0.00011054700534780898,
    7.948171875770014e-06,
    -2.6756819458874975e-07,
    3.6278929606227e-09,
)
_LOG_DENSITY = -0.9189385332046727  # log(1 / sqrt(2 pi))
_SQRT_HALF = 0.7071067811865476
_TANH_SCALE = 0.7978845608028654  # sqrt(2 / pi), Hendrycks & Gimpel 2016
_TANH_CUBE = 0.044715


def normal_cdf_composed(u: Any) -> Any:
    """Phi(u) by the sigmoid composition."""
    z = u * u
    return ops.sigmoid(u * (_C0 + z * (_C1 + z * (_C2 + z * (_C3 + z * (_C4 + z * (_C5 + z * _C6)))))))


def normal_cdf_erf(u: Any) -> Any:
    """Phi(u) by the error function."""
    return ops.erf(u * _SQRT_HALF) * 0.5 + 0.5


def normal_slope(u: Any, f: Any) -> Any:
    """Derivative of u * Phi(u), given f = Phi(u)."""
    return f + u * ops.exp(u * u * -0.5 + _LOG_DENSITY)


def tanh_gate(u: Any) -> Any:
    """Gate of the tanh approximation of GELU (`gelu_new`)."""
    return ops.sigmoid(u * (2.0 * _TANH_SCALE + u * u * (2.0 * _TANH_SCALE * _TANH_CUBE)))


def tanh_slope(u: Any, f: Any) -> Any:
    """Derivative of the tanh GELU, given its gate f."""
    return f + u * f * (1.0 - f) * (2.0 * _TANH_SCALE + u * u * (6.0 * _TANH_SCALE * _TANH_CUBE))


def relu_gate(u: Any) -> Any:
    """1 where u is positive, else 0."""
    return (u > 0).astype(u.dtype)


def relu_slope(u: Any, f: Any) -> Any:
    """Derivative of ReLU, which is its gate."""
    return f + u * 0.0


def silu_gate(u: Any) -> Any:
    """The logistic function."""
    return ops.sigmoid(u)


def silu_slope(u: Any, f: Any) -> Any:
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
