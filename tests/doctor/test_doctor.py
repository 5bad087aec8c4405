"""`promptkit doctor` says what is there and what is missing, whatever is, and finds numbers that are wrong."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from promptkit.cli import main
from promptkit.doctor import diagnosis_text, facts, report
from promptkit.doctor.facts import Fact
from promptkit.doctor.report import Diagnosis, diagnose
from promptkit.doctor.selfcheck import GOLDENS, Step, compare, run
from promptkit.hooks import PluginHost


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_all_is_well_here(precision: str, capfd: pytest.CaptureFixture[str]) -> None:
    """In its own process, and eagerly, for compiling is tested elsewhere."""
    code = main(["doctor", "--mode", "pynative", "--device", "CPU", "--precision", precision])
    said = capfd.readouterr().out
    assert code == 0, said
    assert said.endswith("All is well.\n")
    for name in (
        "processor: ",
        "memory: ",
        "mindspore: ",
        "numpy: ",
        "plugin: soft (promptkit ",
        "gradient: largest diff",
        f"compiling: pynative mode, {precision}",
    ):
        assert name in said


def test_files_of_the_users_do_not_stand_for_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tokenizers.py").write_text("raise RuntimeError('mine')", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    steps = list(report._checked("CPU", "pynative", "fp32"))
    assert steps
    assert all(step.ok for step in steps)


def test_facts_alone_as_json(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("MODELSCOPE_CACHE", str(tmp_path / "none" / "yet"))
    assert main(["doctor", "--facts-only", "--json"]) == 0
    found = json.loads(capfd.readouterr().out)
    assert found["steps"] == []
    assert found["faults"] == []
    modelscope = next(it for it in found["facts"]["caches"] if it["name"] == "cache of ModelScope")
    assert "not there yet" in modelscope["value"]


@pytest.mark.parametrize("wrong", [["--device", "TPU"], ["--mode", "fast"], ["--precision", "fp8"]])
def test_wrong_options_are_one_line(wrong: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", *wrong]) == 2
    assert capfd.readouterr().err.startswith("error: unknown")


def test_a_mindspore_that_does_not_import_is_said(tmp_path: Path) -> None:
    """Everything else is still said; the exit code is 1."""
    (tmp_path / "mindspore").mkdir()
    (tmp_path / "mindspore" / "__init__.py").write_text("raise SystemError('no libascend_hal.so')")
    done = subprocess.run(
        [sys.executable, "-m", "promptkit", "doctor"],
        env={**os.environ, "PYTHONPATH": str(tmp_path)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "! self-check, MindSpore: cannot be imported (SystemError: no libascend_hal.so)" in done.stdout
    assert "plugin: soft" in done.stdout


def test_a_process_that_dies_or_writes_nonsense_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    python = tmp_path / "python"
    step = json.dumps({"name": "MindSpore", "ok": True, "said": "2", "seconds": 1})
    python.write_text(f"#!/bin/sh\necho 'step {step}'\necho some noise\necho 'a reason' >&2\nkill -SEGV $$\n")
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    assert diagnose().faults == ("self-check, after MindSpore: the process was ended by signal 11: ...a reason",)


def test_a_process_that_hangs_is_ended(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\nexec sleep 60\n")
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    monkeypatch.setattr(report, "_LONGEST", 0.2)
    assert diagnose().faults == ("self-check, after the start: the process did not end",)


def test_a_plugin_that_breaks_is_named_and_the_rest_said(monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken:
        def promptkit_register_strategies(self, register: object) -> None:
            raise RuntimeError("boom")

    from promptkit import hookimpl

    Broken.promptkit_register_strategies = hookimpl(Broken.promptkit_register_strategies)  # type: ignore[method-assign]
    host = PluginHost.from_plugins({"broken": Broken()})
    monkeypatch.setattr("promptkit.hooks.get_host", lambda: host)
    found = diagnose(check=False)
    assert len(found.faults) == 1
    assert found.faults[0].startswith("plugin: ")
    assert "boom" in found.faults[0]


def test_a_section_that_breaks_is_one_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> list[Fact]:
        raise OSError("no /proc")

    monkeypatch.setitem(report._SECTIONS, "machine", broken)
    assert diagnose(check=False).faults == ("machine: it cannot be found out (OSError: no /proc).",)


def test_a_package_that_is_missing_or_of_another_version(monkeypatch: pytest.MonkeyPatch) -> None:
    there = {"promptkit": "0.1.0", "mindspore": "2.6.0", "numpy": "1.26.4"}
    monkeypatch.setattr(facts, "_installed", lambda name: there.get(name, ""))
    faults = {it.name: it.fault for it in facts.packages() if it.fault}
    assert faults["mindspore"].startswith("promptkit asks for mindspore<2.11,>=2.7: pip install 'mindspore")
    assert faults["pydantic"].startswith("install it: pip install 'pydantic")
    assert "numpy" not in faults
    assert "mindnlp" not in faults


def test_a_machine_with_an_ascend(tmp_path: Path) -> None:
    """As CANN and the driver lay their files out; none of the project's machines has one."""

    def found(environment: dict[str, str]) -> dict[str, Fact]:
        return {it.name: it for it in facts.ascend(tmp_path, environment)}

    assert {name: it.value for name, it in found({}).items()} == {"Ascend chips": "none", "CANN": "none"}
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev" / "davinci0").touch()
    bare = found({})
    assert bare["Ascend chips"].value == "davinci0"
    assert "install Ascend HDK" in bare["Ascend driver"].fault
    assert "CANN is not found" in bare["CANN"].fault
    for place, text in {
        "driver": "Version=25.2.0\n",
        "ascend-toolkit/latest/compiler": "Version=8.2.0.1.220\n",
    }.items():
        folder = tmp_path / "usr/local/Ascend" / place
        folder.mkdir(parents=True)
        (folder / "version.info").write_text(text)
    unset = found({})
    assert unset["Ascend driver"].value == "25.2.0"
    assert unset["CANN"].value.startswith("8.2.0.1.220 in ")
    assert "set_env.sh" in unset["CANN"].fault
    home = str(tmp_path / "usr/local/Ascend/ascend-toolkit/latest")
    assert not any(it.fault for it in found({"ASCEND_HOME_PATH": home}).values())


def test_a_machine_of_which_nothing_can_be_read(tmp_path: Path) -> None:
    assert [it.name for it in facts.machine(tmp_path)] == ["system", "processor", "vector instructions"]


def test_numbers_that_differ_are_found() -> None:
    stored = json.loads(GOLDENS.read_text(encoding="utf-8"))
    assert set(stored) == {"scores", "loss", "gradient"}
    for name, values in stored.items():
        right = np.array(values)
        assert compare(right, values, name, 1e-3) == (True, "largest difference 0.0e+00, 1e-03 allowed")
        wrong = right.copy()
        wrong.flat[0] += 2e-3 * max(1.0, np.abs(right).max())
        assert not compare(wrong, values, name, 1e-3)[0]
        wrong.flat[0] = np.nan
        assert compare(wrong, values, name, 1e-3) == (False, "holds NaN or infinity")
        assert compare(right[:1, ..., None], values, name, 1e-3)[1].startswith("shape ")


def test_a_device_that_cannot_be_used_ends_the_check_there() -> None:
    steps: list[Step] = []
    run("GPU", "pynative", "fp32", steps.append)
    assert [it.name for it in steps] == ["MindSpore", "after MindSpore"]
    assert steps[-1].said.startswith("UserError: device 'GPU' cannot be used here")


def test_the_text_ends_with_what_is_not_well() -> None:
    found = Diagnosis({"machine": (Fact("memory", "1 GB", "too little."),)}, (Step("loss", False, "far off", 0.1),))
    assert diagnosis_text(found).splitlines() == [
        "machine:", "  ! memory: 1 GB", "", "self-check:", "  ! loss: far off (0.1 s)", "", "2 not well:",
        "  ! memory: too little.", "  ! self-check, loss: far off",
    ]  # fmt: skip


def test_plugins_that_add_commands_or_are_told_of_runs_are_listed_too(monkeypatch: pytest.MonkeyPatch) -> None:
    from promptkit import hookimpl

    class Diary:
        @hookimpl
        def promptkit_run_ended(self, run: object, outcome: object) -> None:
            pass

    class Both(Diary):
        @hookimpl
        def promptkit_register_commands(self, app: object) -> None:
            pass

        @hookimpl
        def promptkit_register_metrics(self, register: Any) -> None:
            register("kappa", Path(__file__))

    class Idle:
        @hookimpl
        def promptkit_register_strategies(self, register: object) -> None:
            pass

    host = PluginHost.from_plugins({"diary": Diary(), "both": Both(), "idle": Idle()})
    monkeypatch.setattr("promptkit.hooks.get_host", lambda: host)
    assert [fact.value for fact in facts.plugins()] == [
        "diary (diary 0): is told of runs",
        "both (both 0): kappa; adds commands; is told of runs",
        "idle (idle 0): registers nothing",
    ]
