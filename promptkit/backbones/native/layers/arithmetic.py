"""How a device computes: which compositions are quick there, and how precise matrix products are.

Of half precision only matrix products are: their operands are rounded, what comes out is float32 again, and so are
states, norms, softmax, gradients and whatever learns (Micikevicius et al. 2018, mixed precision). Matrices that do
not learn are kept as their products take them, in half the memory.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import mindspore as ms
import numpy as np
from mindspore import Parameter, Tensor, nn, ops

from promptkit.backbones.face import Precision
from promptkit.backbones.fusion import fuses
from promptkit.errors import UserError

LOSS_SCALE = {"fp32": 1.0, "fp16": 1024.0, "bf16": 1.0}
"""What a loss is multiplied by before its gradient is taken, so that fp16 does not round that to 0."""
_KINDS = {"fp32": ms.float32, "fp16": ms.float16, "bf16": ms.bfloat16}


@dataclass(frozen=True)
class Arithmetic:
    """How a backbone computes on the device that is set.

    Attributes:
        on_cpu: which compositions are quick; see `gate_of`.
        precision: of matrix products.
        fused: whether graphs' element-wise operators are compiled into kernels of several.
    """

    on_cpu: bool
    precision: Precision = "fp32"
    fused: bool = False

    @classmethod
    def here(cls, precision: Precision) -> Arithmetic:
        """Return what the device that is set can do.

        Raises:
            UserError: if MindSpore has no such products for it.
        """
        on_cpu = ms.get_context("device_target") == "CPU"
        if on_cpu and precision == "bf16":
            raise UserError("MindSpore has no bf16 matrix products on the CPU; take --precision fp32, or fp16.")
        return cls(on_cpu, precision, fused=fuses())

    def product(self, *, batched: bool = False, transpose_a: bool = False, transpose_b: bool = False) -> Any:
        """Return a matrix product, (N, K) x (K, M) or the same of many matrices; float32 in, float32 out."""
        plain = (ops.BatchMatMul if batched else ops.MatMul)(transpose_a=transpose_a, transpose_b=transpose_b)
        return plain if self.precision == "fp32" else HalfProduct(plain, _KINDS[self.precision])

    def matrix(self, name: str, value: Any, learns: bool = False) -> Parameter:
        """Return a matrix as a parameter: float32 if it learns, else as products take it.

        Raises:
            UserError: for a weight that the precision cannot hold.
        """
        whole = np.ascontiguousarray(value, dtype=np.float32)
        if learns or self.precision == "fp32":
            return Parameter(Tensor(whole), name=name, requires_grad=learns)
        if self.precision == "fp16" and np.abs(whole).max(initial=0.0) > np.finfo(np.float16).max:
            raise UserError(f"a weight of the model, '{name}', is beyond the range of fp16; take bf16 or fp32.")
        return Parameter(Tensor(whole).astype(_KINDS[self.precision]), name=name, requires_grad=False)


class HalfProduct(nn.Cell):
    """A product of rounded operands."""

    def __init__(self, product: Any, kind: Any) -> None:
        super().__init__()
        self.product, self.kind = product, kind

    def construct(self, a: Any, b: Any) -> Any:
        return self.product(a.astype(self.kind), b.astype(self.kind)).astype(ms.float32)
