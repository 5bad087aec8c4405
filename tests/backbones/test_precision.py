"""Matrix products in half precision: how far they are from float32, what stays float32, and what is refused.

On the CPU, where MindSpore has fp16 products and no bf16 ones.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

ms = pytest.importorskip("mindspore")

from decoders import Case, far
from mindspore import Tensor
from models import GOLDENS, load, prompt_task

from promptkit import UserError, run
from promptkit.backbones.engines import describe_model, load_backbone
from promptkit.backbones.face import Precision
from promptkit.backbones.native.engine import NativeEngine
from promptkit.backbones.native.layers.arithmetic import Arithmetic
from promptkit.data import Rows
from promptkit.doctor.selfcheck import numbers
from promptkit.nn import SoftPrompt, VirtualTokens
from promptkit.running.config import make_config
from promptkit.running.plan import make_plan
from promptkit.testing import write_tiny_model, write_tiny_task
from promptkit.training import Classification, Executor, PackedSource

FAR = 1e-2  # fp16 has 11 bits, so a product of rounded numbers is off by some 1e-3
# Words, queries, keys and values, outputs, feed-forward, the head.
MATRICES = ("word", "decoder", "qkv_weight", ".output_weight", "up_weight", "down_weight", "transform.weight")


class Plain:
    """An engine that says nothing of precisions."""

    name, summary = "native", "an older one"

    def claims(self, directory: Path) -> bool:
        return True

    def describe(self, directory: Path) -> Any:
        return NativeEngine().describe(directory)

    def load(self, files: Any, source: str) -> Any:
        raise NotImplementedError


def half(name: str, precision: Precision = "fp16") -> Any:
    """A golden checkpoint in half precision."""
    engines = {"native": NativeEngine()}
    return load_backbone(describe_model(GOLDENS / name, engines, precision=precision), engines, name)


@pytest.mark.parametrize("mode", ["graph", "pynative"])
def test_an_encoder_agrees_with_float32(mode: Any) -> None:
    """The default model's numbers in fp16 are held against stored ones by the self-check (test_doctor.py)."""
    whole = dict(numbers(load("bert-odd"), "pynative", pytest.fail))
    rounded = dict(numbers(half("bert-odd"), mode, pytest.fail))
    assert np.abs(whole["scores"] - rounded["scores"]).max() < FAR
    assert far(rounded["loss"], whole["loss"]) < FAR
    assert far(rounded["gradient"], whole["gradient"]) < FAR
    assert not np.array_equal(whole["scores"], rounded["scores"])


# Together they have every way a graph can take; see test_decoder_parity.py.
@pytest.mark.parametrize(
    ("name", "graph"), [("llama-odd", False), ("gpt2-odd", False), ("qwen3-odd", True), ("bloom-odd", True)]
)
def test_decoders_agree_with_float32(name: str, graph: bool) -> None:
    """PyTorch's, which test_decoder_parity.py holds those of the engine to."""
    case = Case(name)
    for found, expected in zip(case.figures(half(name), graph=graph), case.expected, strict=True):
        assert found.dtype == ms.float32
        assert far(found, expected) < FAR


def test_frozen_matrices_take_half_the_memory_and_what_learns_stays_float32() -> None:
    backbone = half("bert-odd")
    kinds = {parameter.name: parameter.dtype for parameter in backbone.get_parameters()}
    products = {name for name in kinds if name.endswith(MATRICES)}
    assert {name for name, kind in kinds.items() if kind == ms.float16} == products
    assert set(kinds.values()) == {ms.float16, ms.float32}
    assert backbone.embed(Tensor([1])).dtype == ms.float32
    learning = backbone.trainable("all")
    assert {parameter.dtype for parameter in learning.get_parameters()} == {ms.float32}
    assert learning.loss_scale == backbone.loss_scale == 1024.0
    assert load("bert-odd").loss_scale == 1.0


class Faint(Classification):
    """Cross entropy so small that fp16 would round most of its gradient to 0."""

    def loss(self, scores: Any, labels: Any, weights: Any) -> Any:
        return super().loss(scores, labels, weights) * 1e-5


def test_small_gradients_are_kept_by_scaling_the_loss() -> None:
    def gradient(backbone: Any, scale: float) -> Any:
        prompt = prompt_task(backbone, "{soft:3}{text} It was {mask}.")
        vectors = np.random.default_rng(0).normal(size=(3, backbone.info.hidden_size)).astype(np.float32)
        model = SoftPrompt(backbone, prompt, prompt=VirtualTokens(vectors))
        backbone.loss_scale = scale
        texts = ("A fine film.", "Bad.", "It was all too long.", "Oh, great!")
        encoded = prompt.encoder.encode_many([{"text": text} for text in texts])
        rows = Rows(2, 48, 4)
        source = PackedSource(prompt.packer(encoded, np.array([1, 0, 0, 1]), batch_size=4, rows=rows))
        executor = Executor(model, "pynative", pytest.fail, Faint(2))
        return executor.loss_and_gradients(next(iter(source.epoch(None))))[1][0].asnumpy()

    expected, rounded = gradient(load("bert-odd"), 1.0), half("bert-odd")
    assert far_off(gradient(rounded, 1024.0), expected) < FAR
    assert far_off(gradient(rounded, 1.0), expected) > 5 * FAR


def far_off(found: Any, expected: Any) -> float:
    """The largest difference as a share of the largest value."""
    return float(np.abs(found - expected).max() / np.abs(expected).max())


def test_what_is_refused_is_one_line() -> None:
    with pytest.raises(UserError, match="MindSpore has no bf16 matrix products on the CPU; take --precision fp32"):
        half("bert-odd", "bf16")
    with pytest.raises(UserError, match="engine 'native' computes in fp32, not in fp16"):
        describe_model(GOLDENS / "bert-odd", {"native": Plain()}, "native", "fp16")
    with pytest.raises(UserError, match=r"--precision: .*'fp16'"):
        make_config(strategy="hard", precision="half")
    with pytest.raises(UserError, match="a weight of the model, 'w', is beyond the range of fp16"):
        Arithmetic(on_cpu=True, precision="fp16").matrix("w", np.array([[1e5]]))


def test_precision_is_in_the_key_and_in_the_record(tmp_path: Path) -> None:
    plans = [make_plan(make_config(strategy="hard", precision=it)) for it in ("fp32", "fp16")]
    assert plans[0].key != plans[1].key
    model, data = write_tiny_model(tmp_path / "model"), write_tiny_task(tmp_path / "data")
    result = run(
        "soft", model=str(model), data=str(data), mode="pynative", precision="fp16", shots=2, limit=4, epochs=1,
        batch_size=4, save=False, quiet=True,
    )  # fmt: skip
    assert result.record.options.precision == "fp16"
    assert np.isfinite(result.record.history[0].loss)
