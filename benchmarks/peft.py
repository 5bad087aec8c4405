"""The same soft-prompt job in promptkit, in PyTorch with PEFT, and in PyTorch by hand, as ratios of one run.

    python benchmarks/peft.py --install ../torch-env --data PATH/TO/rt-polarity

Run it where promptkit is installed, on a machine that does nothing else. PyTorch is taken at its best: batches sorted
by length, a side without PEFT, an epoch of the whole data, three times. Each side runs in a process of its own, one
after the other; a repeat runs every side once, in turned order, and the ratios are taken within it. What is compared,
and what is not, stands in benchmarks/README.md.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from machine import describe as describe_machine
from machine import machine, warn_if_busy
from soft_prompt_job import JobSettings
from tabulate import tabulate

from promptkit.backbones.device import Mode
from promptkit.errors import UserError

HERE = Path(__file__).resolve().parent
IMPORTS = "import torch, transformers, peft, safetensors, gguf"
REQUIREMENTS = ("torch==2.13.0", "transformers>=5,<6", "peft>=0.17,<1", "numpy", "safetensors", "gguf>=0.19,<1")
SAME_LOSS = 1e-3
TITLES = {"promptkit": "promptkit", "peft": "PyTorch + PEFT", "lean": "PyTorch, lean"}
HELD = {
    "AVX2": {
        "ONEDNN_MAX_CPU_ISA": "AVX2",
        "DNNL_MAX_CPU_ISA": "AVX2",
        "MKL_ENABLE_INSTRUCTIONS": "AVX2",
        "ATEN_CPU_CAPABILITY": "avx2",
    }
}
"""By which variables the libraries behind both are held to fewer vector instructions than the processor has."""
HOW_HELD = (
    "oneDNN, MKL and PyTorch's own kernels, by their environment variables; MindSpore's own kernels choose for "
    "themselves. It is not what a processor without the wider instructions does, whose clock and caches are others."
)
RATIOS = {"peft": "promptkit / PEFT", "lean": "promptkit / lean"}
Result = dict[str, Any]


@dataclass(frozen=True)
class Measure:
    """A row of the table.

    Attributes:
        title: what it says.
        key: in the result of a side.
        digits: behind the point.
        better: which figures are; None where it is no merit, and has no ratio.
    """

    title: str
    key: str
    digits: int = 1
    better: Literal["higher", "lower"] | None = "higher"

    def text(self, value: float | None) -> str:
        """Return a figure to read; `-` where there is none."""
        if value is None:
            return "-"
        return f"{value:.1%}" if self.key.endswith("share") else f"{value:,.{self.digits}f}"


MEASURES = (
    Measure("training, examples/s, compiling counted", "train_examples_per_second"),
    Measure("training, examples/s, after the first step", "train_examples_per_second_after_first"),
    Measure("training, tokens/s, compiling counted", "train_tokens_per_second", 0),
    Measure("prediction, examples/s, compiling counted", "predict_examples_per_second"),
    Measure("prediction, examples/s, after the first step", "predict_examples_per_second_after_first"),
    Measure("first step done, s from the start of training", "seconds_to_first_step", 2, "lower"),
    Measure("first step done, s from the start of the process", "seconds_to_first_step_from_start", 2, "lower"),
    Measure("peak memory, MiB", "peak_memory_mb", 0, "lower"),
    Measure("padding in training, share of positions", "train_padded_share", better=None),
    Measure("padding in prediction, share of positions", "predict_padded_share", better=None),
)


def parse_arguments() -> argparse.Namespace:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--install", type=Path, metavar="DIR", help="environment for PyTorch, made if not there")
    where.add_argument("--torch-python", metavar="PYTHON", help="a Python that has torch, transformers and peft")
    default = JobSettings()
    parser.add_argument("--data", default=default.data, help="data set or path (default: %(default)s)")
    parser.add_argument("--model", default=default.model, help="BERT or causal model (default: %(default)s)")
    parser.add_argument(
        "--lean", action=argparse.BooleanOptionalAction, default=True, help="PyTorch by hand as a third side"
    )
    parser.add_argument("--repeats", type=count, default=3, metavar="N", help="(default: %(default)s)")
    parser.add_argument("--train-examples", type=count, metavar="N", help="at most so many; default: all")
    parser.add_argument("--predict-examples", type=count, metavar="N", help="at most so many; default: all of test")
    parser.add_argument(
        "--torch-order",
        choices=("by-length", "shuffled"),
        default=default.torch_order,
        help="PyTorch's batches: of rows of like length, in random order, or of any rows (default: %(default)s)",
    )
    parser.add_argument(
        "--mode", choices=get_args(Mode)[:2], default=default.mode, help="of promptkit (default: %(default)s)"
    )
    parser.add_argument(
        "--held-to",
        choices=tuple(HELD),
        help="hold the libraries to fewer vector instructions than there are; all but MindSpore's own",
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


def make_job(settings: JobSettings, folder: Path) -> Result:
    """Have the job written into `folder` by a process of its own, and return it.

    Raises:
        UserError: for data or a model that cannot be used.
    """
    command = [sys.executable, str(HERE / "soft_prompt_job.py"), str(folder), json.dumps(asdict(settings))]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["it says nothing"])[-1]
        if last.startswith("error: "):
            raise UserError(last.removeprefix("error: "))
        print(done.stderr, file=sys.stderr)
        raise UserError(f"the job could not be written (exit code {done.returncode}); its own words are above.")
    job: Result = json.loads((folder / "job.json").read_text(encoding="utf-8"))
    return job


def run_side(side: str, python: str, job: Path, held_to: str | None = None) -> Result:
    """Run one side of a job's folder in a fresh process and return what it printed last.

    Args:
        side: a key of `TITLES`.
        python: of the environment for PyTorch.
        job: folder of the job.
        held_to: a key of `HELD`, or None.

    Raises:
        UserError: if it fails.
    """
    if side == "promptkit":
        command = [sys.executable, str(HERE / "mindspore_soft.py")]
    else:
        # -I, for a script's own folder is searched before site-packages, and this file is called `peft`.
        command = [python, "-I", str(HERE / "torch_peft.py"), *(["--lean"] if side == "lean" else [])]
    environment = os.environ | HELD.get(held_to or "", {})
    # In a folder of its own: MindSpore leaves logs in the working directory.
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run([*command, str(job)], capture_output=True, text=True, cwd=folder, env=environment)
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode or not lines:
        print(done.stderr, file=sys.stderr)
        raise UserError(f"the side '{side}' failed (exit code {done.returncode}); its own words are above.")
    result: Result = json.loads(lines[-1])
    return result


def run_repeats(
    sides: list[str], repeats: int, python: str, job: Path, held_to: str | None = None
) -> list[dict[str, Result]]:
    """Run every side once in each repeat, every other repeat in reverse."""
    results = []
    for repeat in range(repeats):
        found: dict[str, Result] = {}
        for side in sides if repeat % 2 == 0 else reversed(sides):
            load = os.getloadavg()[0]
            found[side] = {**run_side(side, python, job, held_to), "load_before": load}
            rate = found[side]["train_examples_per_second"]
            print(f"repeat {repeat + 1}/{repeats}, {side}: {rate:.1f} examples/s in training", file=sys.stderr)
        results.append(found)
        check_same_job(results)  # before the others are waited for
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
        f"mean loss {result['mean_loss']:.4f}, accuracy {result['accuracy']:.4f}"
        for side, result in sorted(first.items(), key=lambda item: list(TITLES).index(item[0]))
    )


def summarise(sides: list[str], repeats: list[dict[str, Result]]) -> list[Result]:
    """Return the median figures and the median, least and largest ratio of each measure."""
    rows = []
    for measure in MEASURES:
        figures = {side: [repeat[side][measure.key] for repeat in repeats] for side in sides}
        row: Result = {"measure": measure.title, "better": measure.better}
        row["median"] = {side: median(values) for side, values in figures.items()}
        row["ratios"] = {}
        for other in sides[1:]:
            pairs = zip(figures["promptkit"], figures[other], strict=True)
            ratios = [ours / theirs for ours, theirs in pairs if ours is not None and theirs]
            row["ratios"][other] = (
                {"median": median(ratios), "least": min(ratios), "largest": max(ratios)}
                if ratios and measure.better
                else None
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
        cells = [measure.text(row["median"][side]) for side in sides]
        ratios = [spread(row["ratios"][other]) for other in sides[1:]]
        body.append([row["measure"], row["better"] or "-", *cells, *ratios])
    headers = ["measure", "better", *(TITLES[side] for side in sides)]
    headers += [RATIOS[other] for other in sides[1:]]
    numeric = ("right",) * (len(headers) - 2)
    text: str = tabulate(body, headers, tablefmt="github", colalign=("left", "left", *numeric), disable_numparse=True)
    return text


def spread(ratio: dict[str, float] | None) -> str:
    """Return a ratio with its least and largest value over the repeats."""
    if ratio is None:
        return "-"
    if ratio["least"] == ratio["largest"]:
        return f"{ratio['median']:.2f}"
    return f"{ratio['median']:.2f} ({ratio['least']:.2f} to {ratio['largest']:.2f})"


def describe(job: Result, host: Result, first: dict[str, Result]) -> list[str]:
    """Return what was run on what, one line each."""
    about, versions = job["about"], dict[str, str]()
    for result in first.values():
        versions |= result["versions"]
    listed = ", ".join(f"{name} {version}" for name, version in sorted(versions.items()))
    ours = first["promptkit"]
    count, length, examples = ours["rows"]
    order = {"by-length": "of rows of like length, in random order", "shuffled": "of any rows"}[about["torch_order"]]
    fused = (
        ["promptkit's kernels are fused: the first repeat compiles them, as far as they are not kept from before."]
        if about["mode"] == "fused"
        else []
    )
    return [
        f"Machine: {describe_machine(host)}; {listed}.",
        f"Job: {about['data']}, {about['train_examples']:,} examples trained on once and "
        f"{about['predict_examples']:,} predicted, {job['batch_size']} a batch; {about['model']}; "
        f"`{about['template']}`.",
        f"Batches: promptkit's {count} rows of {length}, {examples} examples a row at most; PyTorch's {order}. "
        f"Compiling: {ours['compile_seconds']:.1f} s of promptkit's {ours['train_seconds']:.1f} s of training and "
        f"{ours['predict_seconds']:.1f} s of prediction were first calls, mostly compiling (first repeat).",
        *fused,
    ]


def main() -> None:
    """Measure and print."""
    options = parse_arguments()
    check_outputs(options.out, options.markdown)
    host = machine()
    warn_if_busy(host)
    sides = ["promptkit", "peft", *(["lean"] if options.lean else [])]
    python = torch_python(options)
    settings = JobSettings(
        data=options.data,
        model=options.model,
        train_examples=options.train_examples,
        predict_examples=options.predict_examples,
        torch_order=options.torch_order,
        mode=options.mode,
    )
    with tempfile.TemporaryDirectory() as name:
        job = make_job(settings, Path(name))
        repeats = run_repeats(sides, options.repeats, python, Path(name), options.held_to)
    agreement, rows = check_same_job(repeats), summarise(sides, repeats)
    how = "Medians; ratios are taken within a repeat: median (least to largest)."
    held = [f"Held to {options.held_to}: {HOW_HELD}"] if options.held_to else []
    report = [*describe(job, host, repeats[0]), *held, f"The same job: {agreement}.", how, table(sides, rows)]
    command = shlex.join(["python", *sys.argv])
    print("\n\n".join(report))
    if options.markdown:
        text = "\n\n".join([f"`{command}`", *report])
        options.markdown.write_text(text + "\n", encoding="utf-8")
    if options.out:
        described = {key: value for key, value in job.items() if key not in ("checkpoint", "first_batch")}
        raw = {"command": command, "machine": host, "job": described, "repeats": repeats, "summary": rows}
        options.out.write_text(json.dumps(raw, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
