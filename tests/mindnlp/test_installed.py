"""The engine `mindnlp` in a fresh environment, installed as docs/mindnlp.md says: against PyTorch, native, the lab.

One process does all of it (`checks.py`), for mindnlp takes long to import. An environment that is there already,
promptkit in it, may be named by its Python: `PROMPTKIT_MINDNLP_PYTHON`.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
INSTALL = ROOT / "plugins" / "promptkit_mindnlp" / "install"
TOLERANCE = 1e-4
FOREIGN = (
    "albert-odd", "electra-odd", "distilbert-odd", "deberta-odd", "mpnet-odd", "xlmr-odd", "opt-odd", "convbert-odd",
)  # fmt: skip

pytestmark = pytest.mark.slow


def install(folder: Path) -> Path:
    """Make the environment; return its Python, or skip where there is no uv or no network."""
    python = folder / "bin" / "python"
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    uv = shutil.which("uv")
    if uv is None:
        got = subprocess.run([python, "-m", "pip", "install", "-q", "uv"], capture_output=True, text=True)
        uv = str(folder / "bin" / "uv")
        if got.returncode:
            pytest.skip("uv is not there, and cannot be fetched: no network")
    command = [uv, "pip", "install", "-q", "--python", str(python), str(ROOT), "mindnlp==0.5.1"]
    command += ["-c", str(INSTALL / "constraints.txt"), "--override", str(INSTALL / "overrides.txt")]
    got = subprocess.run(command, capture_output=True, text=True, timeout=900)
    if got.returncode and any(word in got.stderr for word in ("error sending request", "dns error", "timed out")):
        pytest.skip("mindnlp cannot be fetched: no network")
    assert got.returncode == 0, got.stderr
    return python


@pytest.fixture(scope="module")
def found() -> Iterator[dict[str, Any]]:
    """What `checks.py` wrote."""
    # Not pytest's own folder, which keeps three runs: this is 3 GB.
    with tempfile.TemporaryDirectory() as temporary:
        given = os.environ.get("PROMPTKIT_MINDNLP_PYTHON")
        python = Path(given) if given else install(Path(temporary) / "environment")
        out = Path(temporary) / "found.json"
        command = [str(python), str(ROOT / "tests" / "mindnlp" / "checks.py"), str(out)]
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        done = subprocess.run(command, capture_output=True, text=True, cwd=temporary, env=environment)
        assert done.returncode == 0, done.stderr[-3000:]
        listed = subprocess.run(
            [str(python), "-c", "import importlib.metadata as m; print(*(d.name for d in m.distributions()))"],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        yield json.loads(out.read_text(encoding="utf-8")) | {"installed": listed.stdout.lower().split()}


def test_there_is_no_pytorch(found: dict[str, Any]) -> None:
    assert "mindnlp" in found["installed"]
    assert not {"torch", "triton"} & set(found["installed"])


@pytest.mark.parametrize("name", [*FOREIGN, "bert-odd", "llama-odd"])
def test_numbers_and_gradients_are_those_of_pytorch(found: dict[str, Any], name: str) -> None:
    # Packed or not, and with a prefix, where its goldens have one.
    least = {"bert-odd": 16, "llama-odd": 12}.get(name, 8)
    assert len(found[name]) >= least
    assert {what: far for what, far in found[name].items() if not far < TOLERANCE} == {}


def test_both_engines_train_to_the_same_answers(found: dict[str, Any]) -> None:
    assert set(found["trained"]) == {
        "hard", "icl", "probe", "pet", "lmbff", "soft", "ptuning", "prefix", "ptuning-v2", "bitfit", "finetune",
        "autoprompt",
    }  # fmt: skip
    assert max(found["trained"].values()) < TOLERANCE


def test_both_engines_give_promptkit_mini_the_same_scores_and_gradients(found: dict[str, Any]) -> None:
    assert len(found["shipped"]) == 9
    assert max(found["shipped"].values()) < TOLERANCE


def test_an_architecture_of_its_own_runs_and_loads_again(found: dict[str, Any]) -> None:
    assert set(found["foreign run"]) == {"hard", "soft"}
    assert max(found["foreign run"].values()) < TOLERANCE


def test_what_it_does_not_offer_is_refused(found: dict[str, Any]) -> None:
    said = found["refused"]
    assert "AlbertForMaskedLM takes no keys and values from outside" in said["prefix"]
    assert "electra-odd' without dropout" in said["finetune"]
    assert not any("\n" in line for line in said.values())


def test_a_model_is_causal_or_masked_by_what_it_sees_and_not_by_its_name(found: dict[str, Any]) -> None:
    said = found["refused"]
    assert "BertLMHeadModel is no causal model: states change with a later token" in said["later"]
    assert "BertForMaskedLM is no masked model: no state changes with a later token" in said["no later"]


def test_the_labs_prompt_tuning_is_soft_with_the_head_readout(found: dict[str, Any]) -> None:
    assert set(found["lab"]) == {"loss", "head", "prompt", "schedule"}
    assert max(found["lab"].values()) < TOLERANCE
