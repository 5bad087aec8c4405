"""The golden causal checkpoints as backbones, and what PyTorch makes of them, for the tests of decoders."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from typing import Any

import mindspore as ms
import numpy as np
from mindspore import Tensor, ops
from models import GOLDENS, load
from packs import Text, one_batch

from promptkit.backbones.face import Backbone
from promptkit.data import Batch, Rows
from promptkit.nn import Inputs, packed, tensors

CHECKPOINTS = ("llama-odd", "llama-tied", "qwen2-odd", "qwen3-odd", "gpt2-odd", "bloom-odd")
TOLERANCE = 1e-4
# NumPy has no bfloat16: its bits are the upper half of a float32.
STORED = {"F32": np.float32, "F16": np.float16, "BF16": np.uint16}

backbone_of = cache(load)


class Case:
    """A checkpoint with its golden arrays: inputs and what PyTorch computes, alone and behind a prefix."""

    def __init__(self, name: str) -> None:
        self.name, self.backbone = name, backbone_of(name)
        self.golden: dict[str, Any] = dict(np.load(GOLDENS / name / "golden.npz"))
        self.behind: dict[str, Any] = dict(np.load(GOLDENS / name / "golden-prefix.npz"))
        self.real = self.golden["attention_mask"] > 0
        self.prefix = Tensor(self.behind["prefix"])
        self.rows = Tensor(self.golden["rows"].astype(np.int32))
        self.labels = Tensor(self.golden["labels"].astype(np.int32))

    def batch(self, rows: Rows) -> Batch:
        """The texts in packed rows, read at the golden positions."""
        texts = []
        for ids, real, read in zip(self.golden["input_ids"], self.real, self.golden["positions"], strict=True):
            own = tuple(ids[real].tolist())
            texts.append(Text(own, (-1,) * len(own), tuple(read.tolist())))
        return one_batch(texts, rows)

    def inputs(self, *, read: Any = None, more: int = 0) -> Inputs:
        """The golden arrays as they are, one text a row, read at positions (B, M), with `more` padding."""
        mask = np.pad(self.real, ((0, 0), (0, more))).astype(np.int32)
        read = self.golden["positions"] if read is None else read
        ids = np.pad(self.golden["input_ids"], ((0, 0), (0, more)))
        arrays = {
            "token_ids": ids,
            "segment_ids": mask,
            "position_ids": np.arange(mask.shape[1]) * mask,
            "virtual_ids": np.full_like(mask, -1),
            "read": read[:, None],
        }
        return tensors({name: array.astype(np.int32) for name, array in arrays.items()})

    def figures(self, backbone: Backbone, *, graph: bool = True) -> tuple[Any, Any, Any]:
        """Loss behind the prefix and its gradients by embeddings and prefix, compiled or not."""

        def loss(embeddings: Any, prefix: Any, *arrays: Any) -> Any:
            logits = backbone.logits(backbone.run(embeddings, packed(*arrays), prefix), self.rows)
            return ops.cross_entropy(logits.reshape(-1, logits.shape[-1]), self.labels.reshape(-1))

        inputs = self.inputs()
        embeddings = backbone.embed(inputs["token_ids"])
        function = ms.value_and_grad(loss, (0, 1))
        value, gradients = (ms.jit(function) if graph else function)(embeddings, self.prefix, *inputs.values())
        return value, *gradients

    @property
    def expected(self) -> tuple[Any, Any, Any]:
        """The same from PyTorch."""
        return self.behind["loss"], self.behind["grad_inputs_embeds"], self.behind["grad_prefix"]

    def everywhere(self) -> Any:
        """Every position of every row, padding included, (B, S)."""
        return np.tile(np.arange(self.real.shape[1]), (len(self.real), 1))


def far(found: Any, expected: Any) -> float:
    """By how much an array misses PyTorch's, as a share of its largest value where that is less than 1."""
    found = np.asarray(found.asnumpy() if isinstance(found, Tensor) else found)
    assert found.shape == expected.shape
    assert np.isfinite(found).all()
    return float(np.abs(found - expected).max() / min(1.0, np.abs(expected).max()))


def stored_weights(name: str) -> dict[str, Any]:
    """Every weight of a checkpoint in float32, by its name in the files."""
    found = {}
    for path in sorted((GOLDENS / name).glob("*.safetensors")):
        content = path.read_bytes()
        size = int.from_bytes(content[:8], "little")
        for key, entry in json.loads(content[8 : 8 + size]).items():
            if key != "__metadata__":
                begin, end = (8 + size + at for at in entry["data_offsets"])
                raw = np.frombuffer(content[begin:end], STORED[entry["dtype"]]).reshape(entry["shape"])
                wide = (raw.astype(np.uint32) << 16).view(np.float32) if entry["dtype"] == "BF16" else raw
                found[key] = wide.astype(np.float32)
    return found


class Places:
    """Where a model keeps the vectors of a checkpoint's weights, whatever it calls or joins, by their values."""

    def __init__(self, parameters: dict[str, Any]) -> None:
        self._values = parameters
        self._rows: dict[bytes, tuple[str, Any]] = {}
        for path, value in parameters.items():
            for turned in (False, True):
                for number, row in enumerate((value.T if turned else value) if value.ndim == 2 else ()):
                    place = np.s_[:, number] if turned else np.s_[number]
                    self._rows.setdefault(row.tobytes(), (path, place))

    def of(self, weight: Any, width: int) -> Iterator[tuple[Any, str, Any]]:
        """Yield for every part of a weight its index in it, and the parameter and the index where the model has it.

        A matrix is taken by rows, or by columns, a vector as a whole, or by heads of `width` numbers.
        """
        if weight.ndim == 1:
            whole = self._within(weight)
            parts = [np.s_[:]] if whole else [np.s_[at : at + width] for at in range(0, len(weight), width)]
            for part in parts:
                place = self._within(weight[part])
                assert place is not None, "the model has no such values"
                yield part, *place
            return
        turned = weight[0].tobytes() not in self._rows
        for number in range(weight.shape[1] if turned else len(weight)):
            index = np.s_[:, number] if turned else np.s_[number]
            yield index, *self._rows[weight[index].tobytes()]

    def _within(self, vector: Any) -> tuple[str, Any] | None:
        for path, value in self._values.items():
            if value.ndim == 1 and len(value) >= len(vector):
                windows = np.lib.stride_tricks.sliding_window_view(value, len(vector))
                (at,) = np.nonzero((windows == vector).all(-1))
                if len(at):
                    return path, np.s_[at[0] : at[0] + len(vector)]
        return None
