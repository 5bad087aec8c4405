"""Fused kernels: the same numbers, kept and checked kernels, nothing left lying about, and what is refused."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

ms = pytest.importorskip("mindspore")

from decoders import Case, far
from models import load

from promptkit import UserError
from promptkit.backbones import fusion
from promptkit.backbones.device import set_device
from promptkit.backbones.native.layers.arithmetic import Arithmetic
from promptkit.doctor.selfcheck import numbers
from promptkit.testing import write_tiny_model

CLOSE = 1e-5
RUN = (
    "-m", "promptkit", "run", "--strategy", "soft", "--data", "reviews-en", "--shots", "2", "--epochs", "1",
    "--batch-size", "4", "--limit", "16", "--max-length", "48", "--mode", "fused", "--quiet",
)  # fmt: skip


@pytest.fixture
def fused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Kernels are fused while the test runs; graphs that it compiles before asking for it are not."""
    monkeypatch.setenv("OMP_WAIT_POLICY", "passive")
    if (reason := fusion.missing()) is not None:
        pytest.skip(f"kernels cannot be fused here: {reason}")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    set_device("CPU")
    yield
    fusion.fuse(False, "CPU")


@pytest.mark.slow
@pytest.mark.usefixtures("fused")
def test_an_encoder_agrees_with_its_unfused_self() -> None:
    plain = dict(numbers(load("bert-odd"), "pynative", pytest.fail))
    fusion.fuse(True, "CPU")
    found = dict(numbers(load("bert-odd"), "fused", pytest.fail))
    assert np.abs(found["scores"] - plain["scores"]).max() < CLOSE
    assert far(found["loss"], plain["loss"]) < CLOSE
    assert far(found["gradient"], plain["gradient"]) < CLOSE


@pytest.mark.slow
@pytest.mark.usefixtures("fused")
@pytest.mark.parametrize("name", ["llama-odd", "gpt2-odd", "qwen3-odd", "bloom-odd"])
def test_decoders_agree_with_their_unfused_selves(name: str) -> None:
    case = Case(name)
    plain = case.figures(case.backbone, graph=False)
    fusion.fuse(True, "CPU")
    with fusion.compiling():
        found = case.figures(load(name))
    for one, other in zip(found, plain, strict=True):
        assert far(one, other.asnumpy()) < CLOSE


@pytest.mark.usefixtures("fused")
def test_a_device_that_is_set_anew_compiles_unfused() -> None:
    fusion.fuse(True, "CPU")
    assert (fusion.fuses(), Arithmetic.here("fp32").fused) == (True, True)
    set_device("CPU")
    assert (fusion.fuses(), Arithmetic.here("fp32").fused) == (False, False)


@pytest.mark.slow
def test_a_run_keeps_its_kernels_mends_damaged_ones_and_leaves_nothing_behind(tmp_path: Path) -> None:
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache")}
    environment.pop("OMP_WAIT_POLICY", None)
    folder = tmp_path / "work"
    folder.mkdir()

    model = write_tiny_model(tmp_path / "model")

    def run(*more: str) -> tuple[dict[str, Any], dict[str, bytes]]:
        command = [sys.executable, *RUN, "--model", str(model), *more]
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
        if "kernels cannot be fused here" in done.stderr:
            pytest.skip(done.stderr.strip())
        assert done.returncode == 0, done.stderr
        assert [it.name for it in folder.iterdir()] == ["runs"]
        assert "tiling" not in done.stdout + done.stderr
        kept = {it.name: it.read_bytes() for it in (tmp_path / "cache").rglob("*.so")}
        record = json.loads(max(folder.glob("runs/*/run.json")).read_text(encoding="utf-8"))
        assert record["options"]["mode"] == "fused"
        return {part: record[part] for part in ("test", "dev", "history")}, kept

    first, kernels = run()
    assert len(kernels) > 10
    damaged = next((tmp_path / "cache").rglob("*.so"))
    damaged.write_bytes(kernels[damaged.name][:4096])
    second, again = run("--set", "tokens=20")
    assert len(list(folder.glob("runs/*/run.json"))) == 2
    assert first == second
    assert again.keys() == kernels.keys()
    assert len(again[damaged.name]) == len(kernels[damaged.name])


@pytest.mark.slow
def test_kernels_that_cannot_be_linked_are_done_without(tmp_path: Path) -> None:
    linker = tmp_path / "bin" / "g++"
    linker.parent.mkdir()
    linker.write_text("#!/bin/sh\nexit 1\n", encoding="utf-8")
    linker.chmod(0o755)
    environment = {
        **os.environ,
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
        "PATH": f"{linker.parent}{os.pathsep}{os.environ['PATH']}",
    }
    command = [sys.executable, *RUN, "--model", str(write_tiny_model(tmp_path / "model"))]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    if "kernels cannot be fused here" in done.stderr:
        pytest.skip(done.stderr.strip())
    assert done.returncode == 0, done.stderr
    record = json.loads(next(tmp_path.glob("runs/*/run.json")).read_text(encoding="utf-8"))
    assert record["options"]["mode"] == "graph"
    assert any("kernels of the prompted model are not fused" in warning for warning in record["warnings"])


def test_what_is_missing_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_WAIT_POLICY", "passive")
    there = fusion.importlib.util.find_spec
    for name, said in (("mindspore", "MindSpore is not installed"), ("decorator", "pip install decorator")):
        with monkeypatch.context() as patch:
            patch.setattr(fusion.importlib.util, "find_spec", lambda it, gone=name: None if it == gone else there(it))
            patch.setattr(fusion.shutil, "which", lambda name: name)
            assert said in (fusion.missing() or "")
    with monkeypatch.context() as patch:
        patch.setenv("PATH", "")
        assert "apt install g++" in (fusion.missing() or "")
        with pytest.raises(UserError, match=r"kernels cannot be fused here: g\+\+.* Or take --mode graph\."):
            fusion.fuse(True, "CPU")
    with monkeypatch.context() as patch:
        patch.setattr(fusion.shutil, "which", lambda name: name)
        patch.delenv("OMP_WAIT_POLICY")
        fusion.prepare()  # too late: MindSpore is imported
        assert "OMP_WAIT_POLICY=passive" in (fusion.missing() or "")
    with pytest.raises(UserError, match="--mode fused is for the CPU, not for Ascend"):
        fusion.fuse(True, "Ascend")


def test_a_cache_that_cannot_be_made_is_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    monkeypatch.setattr(fusion, "missing", lambda: None)
    with pytest.raises(UserError, match=r"compiled kernels cannot be kept in .*: Not a directory"):
        fusion.fuse(True, "CPU")
    assert not fusion.fuses()
