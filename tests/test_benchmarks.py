"""What a benchmark could not finish with it refuses before it measures anything; what it measures is the same job."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from models import GOLDENS

from promptkit.errors import UserError

ROOT = Path(__file__).resolve().parents[1]
ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "plugins")])}


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Any]]:
    """Import a script of benchmarks/ by its name; another test that asks for `peft` does not find ours."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    before = set(sys.modules)
    yield importlib.import_module
    for name in {path.stem for path in (ROOT / "benchmarks").glob("*.py")} - before:
        sys.modules.pop(name, None)


@pytest.fixture
def tiny(tmp_path: Path) -> dict[str, Any]:
    """The settings of a job on invented reviews, sorted by class, and a tiny model."""
    folder = tmp_path / "reviews"
    folder.mkdir()
    for split, each in (("train", 20), ("dev", 4), ("test", 8)):
        lines = ["text\tlabel"]
        for word, label in (("good", "positive"), ("bad", "negative")):
            lines += [f"the {split} film {i % 7 * 'very '}was {word}\t{label}" for i in range(each)]
        (folder / f"{split}.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return {"data": str(folder), "model": str(GOLDENS / "bert-short")}


def run_script(name: str, *arguments: str, folder: Path) -> str:
    """Run a script of benchmarks/ and return what it prints."""
    command = [sys.executable, str(ROOT / "benchmarks" / name), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, timeout=300, env=ENVIRONMENT)
    assert done.returncode == 0, done.stderr
    return done.stdout


def python_that(path: Path, does: str) -> Path:
    path.write_text(f"#!/bin/sh\n{does}\n")
    path.chmod(0o755)
    return path


def refusal(folder: Path, *arguments: object) -> str:
    """Return the line that the benchmark ends with; it measures nothing, for it would take minutes."""
    done = subprocess.run(
        [sys.executable, str(ROOT / "benchmarks" / "peft.py"), *map(str, arguments)],
        capture_output=True, text=True, cwd=folder, timeout=60,
        env=ENVIRONMENT,
    )  # fmt: skip
    assert done.returncode == 2, done.stderr
    return done.stderr.splitlines()[-1]


def test_a_python_that_is_not_there_or_lacks_a_package(tmp_path: Path) -> None:
    python_that(tmp_path / "bare", "echo \"ModuleNotFoundError: No module named 'torch'\" >&2; exit 1")
    assert refusal(tmp_path, "--torch-python", "absent") == "error: --torch-python: there is no program 'absent'."
    assert refusal(tmp_path, "--torch-python", "./bare") == (
        "error: --torch-python: './bare' cannot run PyTorch's side: ModuleNotFoundError: No module named 'torch'"
    )


def test_a_python_that_has_everything_is_taken_and_the_data_is_looked_at_next(tmp_path: Path) -> None:
    python_that(tmp_path / "full", "exit 0")
    assert "no file or folder 'absent.csv'" in refusal(tmp_path, "--torch-python", "./full", "--data", "absent.csv")


@pytest.mark.parametrize("option", ["--out", "--markdown"])
def test_a_file_that_cannot_be_written(tmp_path: Path, option: str) -> None:
    (tmp_path / "folder").mkdir()
    python = ("--torch-python", python_that(tmp_path / "full", "exit 0"))
    assert refusal(tmp_path, *python, option, "missing/x") == (
        "error: there is no folder 'missing' to write 'x' into."
    )
    assert refusal(tmp_path, *python, option, "folder") == "error: 'folder' is a folder; name a file."


def test_pytorch_is_at_its_best_unless_told_otherwise(
    script: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["peft.py", "--torch-python", "python"])
    options = script("peft").parse_arguments()
    assert (options.torch_order, options.lean, options.repeats) == ("by-length", True, 3)
    assert options.train_examples is None
    assert options.predict_examples is None


def test_batches_of_like_length_hold_every_example_once(script: Callable[[str], Any]) -> None:
    lengths = np.random.default_rng(1).integers(5, 90, 75).tolist()
    order = script("soft_prompt_job").by_length(lengths, 16, np.random.default_rng(0))
    assert sorted(order) == list(range(75))
    batches = [np.take(lengths, order[start : start + 16]).tolist() for start in range(0, 75, 16)]
    assert all(max(shorter) <= min(longer) for shorter, longer in pairwise(sorted(batches)))
    assert batches != sorted(batches), "the batches come in the order of their length"


def test_the_vector_instructions_are_said(script: Callable[[str], Any], tmp_path: Path) -> None:
    machine = script("machine")
    cpuinfo = tmp_path / "cpuinfo"
    lines = ["processor\t: {}", "model name\t: Some: CPU", "flags\t\t: fpu avx avx2 avx512f avx512_vnni"]
    cpuinfo.write_text("\n\n".join("\n".join(lines).format(number) for number in range(2)), encoding="utf-8")
    info = machine.processor_info(cpuinfo)
    assert info["model name"] == "Some: CPU"
    assert machine.vector_instructions(info["flags"]) == ["AVX2", "AVX-512", "AVX-512 VNNI"]
    assert machine.vector_instructions("fpu avx avx2fma") == []
    assert machine.processor_info(tmp_path / "absent") == {}


def test_ratios_are_taken_within_a_repeat(script: Callable[[str], Any]) -> None:
    peft = script("peft")

    def side(rate: float) -> dict[str, Any]:
        return {measure.key: rate for measure in peft.MEASURES}

    repeats = [{"promptkit": side(a), "peft": side(b)} for a, b in ((10.0, 5.0), (30.0, 10.0), (40.0, 40.0))]
    rows = {row["measure"]: row for row in peft.summarise(["promptkit", "peft"], repeats)}
    rate = rows["training, tokens/s, compiling counted"]
    assert rate["median"] == {"promptkit": 30.0, "peft": 10.0}
    assert rate["ratios"]["peft"] == {"median": 2.0, "least": 1.0, "largest": 3.0}
    assert rows["padding in training, share of positions"]["ratios"]["peft"] is None


@pytest.mark.slow
def test_promptkits_side_does_the_job_that_pytorch_is_given(
    script: Callable[[str], Any], tmp_path: Path, tiny: dict[str, Any]
) -> None:
    job, elsewhere = tmp_path / "job", tmp_path / "elsewhere"
    job.mkdir()
    elsewhere.mkdir()
    run_script("soft_prompt_job.py", str(job), json.dumps(tiny), folder=elsewhere)
    told = json.loads((job / "job.json").read_text(encoding="utf-8"))
    with np.load(job / "examples.npz") as arrays:
        assert arrays["prompt"].shape[0] == told["num_virtual"]
        assert arrays["train_labels"].mean() == 0.5
        assert 0 < arrays["train_labels"][:20].mean() < 1, "the classes come one after the other"
        inputs, masks = arrays["train_input_ids"], arrays["train_mask"]
        mask_id = inputs[0, masks[0]]
        assert (inputs[np.arange(40), masks] == mask_id).all()
        assert (inputs == mask_id).sum() == 40
        tokens = arrays["train_lengths"].sum() + 40 * told["num_virtual"]
    result = json.loads(run_script("mindspore_soft.py", str(job), folder=elsewhere).splitlines()[-1])
    assert {measure.key for measure in script("peft").MEASURES} < set(result)
    assert result["train_tokens_per_second"] * result["train_seconds"] == pytest.approx(tokens)
    # The first loss is the starting prompt's: a training that had gone on from there would have moved it.
    assert result["first_loss"] == pytest.approx(starting_loss(script, job), abs=1e-5)
    assert not list(elsewhere.iterdir())


def starting_loss(script: Callable[[str], Any], job: Path) -> float:
    """Return the loss of the prompt that PyTorch starts from, on its first batch, each row by itself."""
    from promptkit.nn import tensors

    soft_prompt_job = script("soft_prompt_job")
    plan, encoded, told = soft_prompt_job.load_job(job)
    model = soft_prompt_job.build(plan)
    with np.load(job / "examples.npz") as arrays:
        assert (model.virtual_vectors().asnumpy() == arrays["prompt"]).all()
    losses = []
    for number in told["first_batch"]:
        one = [encoded.train[number]]
        packer = plan.prompts[0].packer(one, None, batch_size=1, rows=soft_prompt_job.plan_rows_of(plan, one))
        scores = model(tensors(next(iter(packer.epoch(None))).inputs)).asnumpy()[0]
        label = plan.task.label_index(plan.task.train[number].label)
        losses.append(np.log(np.exp(scores).sum()) - scores[label])
    return float(np.mean(losses))


@pytest.mark.parametrize(
    ("left", "right", "operations"),
    [
        ((6, 4), (4, 3), 144),  # as they stand
        ((6, 4), (3, 4), 144),  # the second transposed
        ((4, 6), (4, 3), 144),  # the first transposed
        ((5, 2, 6, 4), (5, 2, 3, 4), 1440),
    ],
)
def test_operations_of_a_product_whichever_operand_is_transposed(
    script: Callable[[str], Any], left: tuple[int, ...], right: tuple[int, ...], operations: float
) -> None:
    assert script("profile_step").product_operations(left, right) == operations


def write_profile(folder: Path, shapes: str, times: str) -> None:
    (folder / "cpu_framework_0.txt").write_text(shapes, encoding="utf-8")
    (folder / "cpu_op_execute_timestamp_0.txt").write_text(times, encoding="utf-8")


def test_kernels_of_one_name_are_told_apart_by_their_order(script: Callable[[str], Any], tmp_path: Path) -> None:
    step = "MatMul;MatMul-op0;1;input_1:[8, 4];input_2:[4, 2];\nMatMul;MatMul-op0;1;input_1:[8, 2];input_2:[4, 2];\n"
    times = "Gradients/Default/MatMul-op0;Host;20,5.0,0 40,7.0,0 \nDefault/MatMul-op0;Host;10,1.0,0 30,3.0,0 \n"
    write_profile(tmp_path, 2 * step, times)
    kernels = script("profile_step").read_kernels(tmp_path, 2)
    assert [(kernel.shapes, kernel.milliseconds) for kernel in kernels] == [
        (((8, 4), (4, 2)), 2.0),
        (((8, 2), (4, 2)), 6.0),
    ]


def test_the_peak_is_not_of_a_single_kernel_that_the_profiler_gave_too_little_time(
    script: Callable[[str], Any],
) -> None:
    profile = script("profile_step")
    often, seldom = ((100, 100), (100, 100)), ((200, 100), (100, 100))
    products = [profile.Kernel("MatMul", often, took) for took in (0.02, 0.02, 0.04, 0.0001)]
    others = [profile.Kernel("MatMul", seldom, 0.0001), profile.Kernel("Mul", often, 0.0001)]
    assert profile.quickest([*products, *others]) == pytest.approx(100.0)
    assert profile.quickest(others) == 0.0


@pytest.mark.parametrize("times", ["", "Default/Mul-op0;Host;10,1.0,0\n", "another form\n"])
def test_a_profile_of_another_form_is_refused(script: Callable[[str], Any], tmp_path: Path, times: str) -> None:
    write_profile(tmp_path, "MatMul;MatMul-op0;1;input_1:[8, 4];input_2:[4, 2];\n", times)
    with pytest.raises(UserError, match="does not write what that of"):
        script("profile_step").read_kernels(tmp_path, 1)


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["soft", "finetune"])
def test_a_step_is_profiled_and_leaves_no_file(tmp_path: Path, tiny: dict[str, Any], strategy: str) -> None:
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    printed = run_script(
        "profile_step.py", "--strategy", strategy, "--data", tiny["data"], "--model", tiny["model"], "--steps", "2",
        folder=folder,
    )  # fmt: skip
    assert f"Step: {strategy} on" in printed
    rows = {cells[1].strip(): cells for line in printed.splitlines() if len(cells := line.split("|")) > 6}
    assert {"all products", "softmax", "clipping and AdamW", "whole step"} < set(rows)
    assert float(rows["all products"][3]) <= float(rows["all kernels"][3])
    assert not list(folder.iterdir())


@pytest.mark.slow
def test_a_kept_process_gives_the_numbers_of_one_for_each_cell(tiny: dict[str, Any], tmp_path: Path) -> None:
    pytest.importorskip("mindspore")
    said = run_script(
        "kept.py", "--strategies", "soft", "--shots", "2", "--seeds", "2", "--data", tiny["data"],
        "--model", tiny["model"], "--verbalizer", "positive=great; negative=bad", folder=tmp_path,
    )  # fmt: skip
    assert "Scores and predictions are the same." in said
    assert "| kept for the next seed" in said


@pytest.mark.slow
def test_a_front_is_measured_against_whole_prompts(tiny: dict[str, Any], tmp_path: Path) -> None:
    pytest.importorskip("mindspore")
    from promptkit.testing import write_tiny_model

    model = write_tiny_model(tmp_path / "causal", "causal")
    said = run_script(
        "front.py", "--model", str(model), "--data", tiny["data"], "--texts", "4", "--markdown", "front.md",
        "--verbalizer", "positive=great; negative=terrible", folder=tmp_path,
    )  # fmt: skip
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in said.splitlines() if line.startswith("|")]
    assert [row[:2] for row in rows[2:]] == [
        ["32 demonstrations", "prediction"], ["100 virtual tokens", "training"], ["100 virtual tokens", "prediction"],
    ]  # fmt: skip
    assert all(float(row[-1]) < 1e-3 for row in rows[2:])
    assert (tmp_path / "front.md").read_text() in said


def test_trials_of_defaults_see_no_example_of_test(
    script: Callable[[str], Any], tiny: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from promptkit.data import load_task

    defaults = script("defaults")
    monkeypatch.setattr(defaults, "FEW_TEST", 10)
    task = load_task(tiny["data"])
    seen = defaults.data_of(task, tmp_path / "seen", 6, 8)
    texts = {each.text for each in task.test}
    for folder in seen.values():
        parts = load_task(str(folder))
        assert not texts & {each.text for part in (parts.train, parts.dev, parts.test) for each in part}
    assert len(load_task(str(seen[True])).test) == 6
    assert len(load_task(str(seen[False])).dev) == 6
    assert len(load_task(str(seen[False])).train) == 8
    whole = defaults.data_of(task, tmp_path / "whole", 6, None)[False]
    assert {each.text for each in load_task(str(whole)).train} == {each.text for each in task.train}


def test_on_a_causal_model_what_learns_is_tried_with_few_examples_alone(script: Callable[[str], Any]) -> None:
    trials = list(script("defaults").trials({"a": "en", "b": "zh"}, ["hard", "soft", "prefix"], "some-model"))
    assert {each.strategy for each in trials if each.shots is None} == {"hard"}
    assert {each.strategy for each in trials if each.shots == 16} == {"hard", "soft", "prefix"}
    assert [each.data for each in trials if each.strategy == "hard" and each.shots == 16] == ["a", "b"]
    assert not [each for each in script("defaults").trials({"a": "en"}, ["hard"], "some-model") if each.shots == 16]
    assert all(each.settings["model"] == "some-model" for each in trials)
    asked = {each.data: each.settings["template"] for each in trials if "template" in each.settings}
    assert asked["a"].isascii()
    assert not asked["b"].isascii()


def test_with_all_examples_no_shots_are_tried(script: Callable[[str], Any]) -> None:
    trials = list(script("defaults").trials({"a": "en"}, ["ptuning-v2"], of_all=True))
    assert [each.settings["lr"] for each in trials] == [1e-2, 2e-2, 3e-2]
    assert all(each.shots is None and each.settings["patience"] == 0 for each in trials)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (
            ["--strategy", "bitfit", "--model", "some-model"],
            "trials of finetune, hard, prefix, ptuning, ptuning-v2, soft here, not of bitfit",
        ),
        (["--strategy", "soft", "--all"], "trials of ptuning-v2 here, not of soft"),
        (["--all", "--model", "some-model"], "give it without --model"),
    ],
)
def test_trials_that_there_are_not_are_refused(tmp_path: Path, asked: list[str], said: str) -> None:
    command = [sys.executable, str(ROOT / "benchmarks" / "defaults.py"), "--data", "nowhere", *asked]
    done = subprocess.run(
        [*command, "--out", str(tmp_path / "out.jsonl")], capture_output=True, text=True, env=ENVIRONMENT
    )
    assert done.returncode == 2
    assert said in done.stderr
    assert not (tmp_path / "out.jsonl").exists()
