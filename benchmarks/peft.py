"""The same soft-prompt job in promptkit, in PyTorch with PEFT, and in PyTorch by hand, as ratios of one run.

    python benchmarks/peft.py --install ../torch-env --data PATH/TO/rt-polarity --lean

Run it where promptkit is installed, on a machine that does nothing else. Each side runs in a process of its
own, one after the other; a repeat runs every side once, in turned order, and the ratios are taken within it.
What is compared, and what is not, stands in benchmarks/README.md.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from soft_prompt_job import JobSettings, write_job
from tabulate import tabulate

from promptkit.errors import UserError
from promptkit.running.config import DEFAULT_DATA, DEFAULT_MODEL

HERE = Path(__file__).resolve().parent
IMPORTS = "import torch, transformers, peft, safetensors"
REQUIREMENTS = ("torch==2.13.0", "transformers>=5,<6", "peft>=0.17,<1", "numpy", "safetensors")
SAME_LOSS = 1e-3
TITLES = {"promptkit": "promptkit", "peft": "PyTorch + PEFT", "lean": "PyTorch, lean"}
RATIOS = {"peft": "promptkit / PEFT", "lean": "promptkit / lean"}
QUIET_LOAD = 0.5  # load average above which the machine is plainly doing something else
Result = dict[str, Any]


@dataclass(frozen=True)
class Measure:
    """A row of the table.

    Attributes:
        title: what it says.
        key: in the result of promptkit's side.
        torch_key: in PyTorch's, where it has another name.
        digits: behind the point.
        higher_is_better: else lower.
    """

    title: str
    key: str
    torch_key: str = ""
    digits: int = 1
    higher_is_better: bool = True

    def value(self, side: str, result: Result) -> float | None:
        """Return one side's figure; None where the job was too small for it."""
        figure: float | None = result[self.key if side == "promptkit" else self.torch_key or self.key]
        return figure


MEASURES = (
    Measure("training, examples/s, compiling counted", "train_examples_per_second"),
    Measure("training, examples/s, after the first step(s)", "train_examples_per_second_after_first_step"),
    Measure("prediction, examples/s, compiling counted", "predict_examples_per_second"),
    Measure(
        "prediction, examples/s, after the first step(s)",
        "predict_examples_per_second_after_compile",
        "predict_examples_per_second",
    ),
    Measure("first step done, s from the start of training", "seconds_to_first_step", "", 2, False),
    Measure(
        "first step done, s from the start of the process",
        "seconds_to_first_step_from_process_start",
        "",
        2,
        False,
    ),
    Measure("peak memory, MiB", "peak_memory_mb", "", 0, False),
)


def parse_arguments() -> argparse.Namespace:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--install", type=Path, metavar="DIR", help="environment for PyTorch, made if not there")
    where.add_argument("--torch-python", metavar="PYTHON", help="a Python that has torch, transformers and peft")
    parser.add_argument("--data", default=DEFAULT_DATA, help="data set or path (default: %(default)s)")
    parser.add_argument("--model", default=DEFAULT_MODEL, help="BERT checkpoint (default: %(default)s)")
    parser.add_argument("--lean", action="store_true", help="run PyTorch by hand as a third side")
    parser.add_argument("--repeats", type=count, default=3, help="(default: %(default)s)")
    parser.add_argument("--train-examples", type=count, metavar="N", help="at most so many; default: all")
    parser.add_argument("--predict-examples", type=count, metavar="N", help="at most so many; default: all of test")
    parser.add_argument(
        "--torch-order",
        choices=("shuffled", "by-length"),
        default="shuffled",
        help="PyTorch's batches: of any rows, or of rows of like length (default: %(default)s)",
    )
    parser.add_argument("--out", type=Path, metavar="FILE", help="write all raw figures as JSON")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the command and the table")
    return parser.parse_args()


def count(text: str) -> int:
    """Read a number above 0 for argparse."""
    number = int(text)
    if number < 1:
        raise ValueError
    return number


def check_outputs(*paths: Path | None) -> None:
    """Refuse files that could not be written once everything is measured.

    Raises:
        UserError: if one is a folder, lies in none, or may not be written.
    """
    for path in paths:
        if path is None:
            continue
        if path.is_dir():
            raise UserError(f"'{path}' is a folder; name a file.")
        if not path.parent.is_dir():
            raise UserError(f"there is no folder '{path.parent}' to write '{path.name}' into.")
        if not os.access(path if path.exists() else path.parent, os.W_OK):
            raise UserError(f"'{path}' may not be written.")


def given_python(name: str) -> str:
    """Return the Python of a path, or of a name on the search path, as an absolute path.

    Links stay, for a virtual environment's Python is one.

    Raises:
        UserError: if it cannot be started, or lacks a package.
    """
    found = shutil.which(name)
    if found is None:
        raise UserError(f"--torch-python: there is no program '{name}'.")
    python = str(Path(found).absolute())
    done = subprocess.run([python, "-I", "-c", IMPORTS], capture_output=True, text=True)
    if done.returncode:
        said = (done.stderr.strip().splitlines() or ["it says nothing"])[-1]
        raise UserError(f"--torch-python: '{name}' cannot run PyTorch's side: {said}")
    return python


def torch_python(options: argparse.Namespace) -> str:
    """Return PyTorch's Python, installing its environment first if asked to."""
    if options.torch_python:
        return given_python(options.torch_python)
    python = options.install.absolute() / "bin" / "python"
    if not python.exists():
        print(f"making {options.install}: {', '.join(REQUIREMENTS)}", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", str(options.install)], check=True)
    has_all = [str(python), "-I", "-c", IMPORTS]
    if subprocess.run(has_all, capture_output=True).returncode:
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", *REQUIREMENTS], check=True)
    return str(python)


def run_side(side: str, python: str, job: Result) -> Result:
    """Run one side in a fresh process and return what it printed last.

    Raises:
        UserError: if it fails.
    """
    script = "mindspore_soft.py" if side == "promptkit" else "torch_peft.py"
    # -I, for a script's own folder is searched before site-packages, and this file is called `peft`.
    command = [sys.executable if side == "promptkit" else python, "-I", str(HERE / script)]
    command += ["--lean"] if side == "lean" else []
    # In a folder of its own: MindSpore leaves logs in the working directory.
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run([*command, json.dumps(job)], capture_output=True, text=True, cwd=folder)
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode or not lines:
        raise UserError(f"the side '{side}' failed (exit code {done.returncode}):\n{done.stderr[-3000:]}")
    result: Result = json.loads(lines[-1])
    return result


def run_repeats(sides: list[str], repeats: int, python: str, job: Result) -> list[dict[str, Result]]:
    """Run every side once in each repeat, every other repeat in reverse."""
    results = []
    for repeat in range(repeats):
        found: dict[str, Result] = {}
        for side in sides if repeat % 2 == 0 else reversed(sides):
            load = os.getloadavg()[0]
            found[side] = {**run_side(side, python, job), "load_before": load}
            rate = found[side]["train_examples_per_second"]
            print(f"repeat {repeat + 1}/{repeats}, {side}: {rate:.1f} examples/s in training", file=sys.stderr)
        results.append(found)
    return results


def check_same_job(repeats: list[dict[str, Result]]) -> str:
    """Return a line on what the sides' models said; refuse a difference that is no rounding.

    Only the lean PyTorch puts the virtual tokens where promptkit does, so only its first loss must be equal.

    Raises:
        UserError: if the starting prompt's loss differs between promptkit and the lean PyTorch.
    """
    first = repeats[0]
    ours, lean = first["promptkit"]["first_loss"], first.get("lean", {}).get("first_loss")
    if lean is not None and abs(ours - lean) > SAME_LOSS:
        raise UserError(f"not the same job: the first loss is {ours} in promptkit and {lean} in the lean PyTorch")
    return "; ".join(
        f"{TITLES[side]}: first loss {result['first_loss']:.5f}, {result['steps']} steps, "
        f"mean of the last ten {result['mean_loss_last_10']:.4f}, accuracy {result['accuracy']:.4f}"
        for side, result in sorted(first.items(), key=lambda item: list(TITLES).index(item[0]))
    )


def summarise(sides: list[str], repeats: list[dict[str, Result]]) -> list[Result]:
    """Return the median figures and the median, least and largest ratio of each measure."""
    rows = []
    for measure in MEASURES:
        figures = {side: [measure.value(side, repeat[side]) for repeat in repeats] for side in sides}
        row: Result = {"measure": measure.title, "higher_is_better": measure.higher_is_better}
        row["median"] = {side: median(values) for side, values in figures.items()}
        row["ratios"] = {}
        for other in sides[1:]:
            pairs = zip(figures["promptkit"], figures[other], strict=True)
            ratios = [ours / theirs for ours, theirs in pairs if ours is not None and theirs]
            row["ratios"][other] = (
                {"median": median(ratios), "least": min(ratios), "largest": max(ratios)} if ratios else None
            )
        rows.append(row)
    return rows


def median(values: list[float | None] | list[float]) -> float | None:
    """Return the median of the values that are there."""
    there = [value for value in values if value is not None]
    return statistics.median(there) if there else None


def table(sides: list[str], rows: list[Result]) -> str:
    """Return the summary as a GitHub table."""
    body = []
    for row, measure in zip(rows, MEASURES, strict=True):
        cells = [number(row["median"][side], measure.digits) for side in sides]
        ratios = [spread(row["ratios"][other]) for other in sides[1:]]
        body.append([row["measure"], "higher" if row["higher_is_better"] else "lower", *cells, *ratios])
    headers = ["measure", "better", *(TITLES[side] for side in sides)]
    headers += [RATIOS[other] for other in sides[1:]]
    numeric = ("right",) * (len(headers) - 2)
    text: str = tabulate(body, headers, tablefmt="github", colalign=("left", "left", *numeric), disable_numparse=True)
    return text


def number(value: float | None, digits: int) -> str:
    """Return a figure to read; `-` where there is none."""
    return "-" if value is None else f"{value:,.{digits}f}"


def spread(ratio: dict[str, float] | None) -> str:
    """Return a ratio with its least and largest value over the repeats."""
    if ratio is None:
        return "-"
    if ratio["least"] == ratio["largest"]:
        return f"{ratio['median']:.2f}"
    return f"{ratio['median']:.2f} ({ratio['least']:.2f} to {ratio['largest']:.2f})"


def machine() -> dict[str, Any]:
    """Return what the sides ran on."""
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:
        cores = os.cpu_count() or 0
    return {
        "cores": cores,
        "processor": processor(),
        "platform": platform.platform(),
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS"),
        "load_before": os.getloadavg()[0],
    }


def processor() -> str:
    """Return the processor's name as Linux has it, else as Python has it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def describe(about: Result, host: Result, first: dict[str, Result]) -> list[str]:
    """Return what was run on what, one line each."""
    versions: dict[str, str] = {}
    for result in first.values():
        versions |= {name: version for name, version in result["versions"].items() if name != "numpy"}
    listed = ", ".join(f"{name} {version}" for name, version in sorted(versions.items()))
    ours = first["promptkit"]
    widths = ", ".join(str(width) for width in ours["widths"])
    return [
        f"Machine: {host['cores']} cores, {host['processor']}, load average {host['load_before']:.2f} "
        f"before the start; {listed}.",
        f"Job: {about['data']}, {about['train_examples']:,} examples trained on once and "
        f"{about['predict_examples']:,} predicted, {about['batch_size']} a batch; {about['model']}; "
        f"`{about['template']}`; PyTorch's batches {about['torch_order']}.",
        f"promptkit's batches: widths {widths}, {ours['padded_share']:.1%} padding; of "
        f"{ours['train_seconds']:.1f} s of training {ours['compile_seconds_training']:.1f} s, and of "
        f"{ours['predict_seconds']:.1f} s of prediction {ours['compile_seconds_prediction']:.1f} s were the "
        "first calls of the widths, mostly compiling (first repeat).",
    ]


def main() -> None:
    """Measure and print."""
    options = parse_arguments()
    check_outputs(options.out, options.markdown)
    host = machine()
    if host["load_before"] > QUIET_LOAD:
        print(f"warning: load average {host['load_before']:.2f}; the machine is not idle", file=sys.stderr)
    sides = ["promptkit", "peft", *(["lean"] if options.lean else [])]
    python = torch_python(options)
    settings = JobSettings(
        data=options.data,
        model=options.model,
        train_examples=options.train_examples,
        predict_examples=options.predict_examples,
        torch_order=options.torch_order,
    )
    with tempfile.TemporaryDirectory() as folder:
        job, about = write_job(settings, Path(folder))
        repeats = run_repeats(sides, options.repeats, python, job)
    about["batch_size"] = job["batch_size"]
    agreement, rows = check_same_job(repeats), summarise(sides, repeats)
    how = "Medians; ratios are taken within a repeat: median (least to largest)."
    report = [*describe(about, host, repeats[0]), f"The same job: {agreement}.", how, table(sides, rows)]
    command = shlex.join(["python", *sys.argv])
    print("\n\n".join(report))
    if options.markdown:
        text = "\n\n".join([f"`{command}`", *report])
        options.markdown.write_text(text + "\n", encoding="utf-8")
    if options.out:
        settings_of_job = {key: job[key] for key in job if key not in ("checkpoint", "examples")}
        raw = {
            "command": command,
            "machine": host,
            "job": {**about, **settings_of_job},
            "repeats": repeats,
            "summary": rows,
        }
        options.out.write_text(json.dumps(raw, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
