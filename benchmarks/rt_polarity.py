"""The accuracy table of the README: every strategy on rt-polarity, over seeds.

    python benchmarks/rt_polarity.py PATH/TO/rt-polarity --runs ../benchmark-runs --markdown FILE

Each run is `promptkit.run(...)` in a process of its own, so that its peak memory is its own. A run that lies
in the runs directory already is not repeated, so an interrupted table continues where it stopped; remove the
directory to measure anew. Every figure comes from the runs' `run.json`.
"""

from __future__ import annotations

import argparse
import json
import shlex
import statistics
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tabulate import tabulate

from promptkit.errors import UserError
from promptkit.reports.table import human_bytes
from promptkit.runs import RunRecord

RUN = "import json, sys, promptkit; promptkit.run(**json.loads(sys.argv[1]))"


@dataclass(frozen=True)
class Row:
    """A row of the table: one setting, over seeds.

    Attributes:
        title: what the table calls it.
        name: what its run directories are called, before the seed.
        settings: of the run, without data, seed and out.
        seeded: whether the seed changes anything; else one run says it all.
    """

    title: str
    name: str
    settings: dict[str, Any]
    seeded: bool = True


ROWS = (
    Row("hard", "hard", {"strategy": "hard"}, seeded=False),
    Row("hard, untrained head", "hard-head", {"strategy": "hard", "readout": "head"}),
    Row("pet", "pet-16", {"strategy": "pet", "shots": 16}),
    Row("soft", "soft", {"strategy": "soft"}),
    Row("ptuning", "ptuning", {"strategy": "ptuning"}),
)


def parse_arguments() -> argparse.Namespace:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", help="the folder with rt-polarity.pos and .neg, or any data set")
    parser.add_argument("--runs", type=Path, required=True, metavar="DIR", help="where the runs are, or go")
    parser.add_argument("--seeds", type=int, default=3, metavar="N", help="0 to N-1 (default: %(default)s)")
    parser.add_argument("--only", nargs="+", choices=[row.name for row in ROWS], help="some of the rows")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the command and the table")
    options = parser.parse_args()
    if options.seeds < 1:
        parser.error("--seeds takes a number above 0")
    return options


def run_settings(row: Row, seed: int, data: str, runs: Path) -> dict[str, Any]:
    """Return the arguments of `promptkit.run`."""
    return {**row.settings, "data": data, "seed": seed, "out": str(runs / f"{row.name}-s{seed}")}


def find_or_run(settings: dict[str, Any]) -> RunRecord:
    """Return the record of a run, made now if it is not there.

    Raises:
        UserError: if the run fails, or the directory holds a run of other settings.
    """
    directory = Path(settings["out"])
    if not (directory / "run.json").is_file():
        print(f"running {directory.name}", file=sys.stderr, flush=True)
        done = subprocess.run([sys.executable, "-c", RUN, json.dumps({**settings, "quiet": True})])
        if done.returncode:
            raise UserError(f"the run '{directory.name}' failed (exit code {done.returncode})")
    record = RunRecord.read(directory)
    for name, value in settings.items():
        if name != "out" and getattr(record.options, name) != value:
            raise UserError(
                f"'{directory}' is a run with {name} {getattr(record.options, name)!r}, not {value!r}; "
                "give another --runs, or remove it"
            )
    print(f"{directory.name}: test accuracy {record.test.accuracy:.4f}", file=sys.stderr, flush=True)
    return record


def cells(title: str, records: Sequence[RunRecord]) -> list[str]:
    """Return one row of the table."""
    first = records[0]
    shots = first.options.shots or "full" if first.parameters.total else "-"
    return [
        title,
        str(shots),
        str(len(records)),
        percent(records, lambda record: record.test.accuracy),
        percent(records, lambda record: record.dev.accuracy),
        percent(records[:1], lambda record: record.test.majority),
        learnt(first),
        human_bytes(first.cost.artifact_bytes),
        f"{mean(records, lambda record: record.cost.seconds.train):.1f}",
        f"{mean(records, lambda record: record.cost.seconds.total):.1f}",
        f"{max(record.cost.peak_memory_mb or 0 for record in records):,.0f}",
    ]


HEADERS = (
    "strategy",
    "shots",
    "seeds",
    "test",
    "dev",
    "majority",
    "learnt",
    "artifact",
    "training, s",
    "run, s",
    "peak MB",
)


def mean(records: Sequence[RunRecord], value: Callable[[RunRecord], float | None]) -> float:
    """Return the mean of a figure, which every record must have.

    Raises:
        UserError: if one has not.
    """
    values = [value(record) for record in records]
    if None in values:
        raise UserError(f"a run of '{records[0].options.strategy}' lacks a figure of the table")
    return statistics.fmean(number for number in values if number is not None)


def percent(records: Sequence[RunRecord], value: Callable[[RunRecord], float | None]) -> str:
    """Return mean and sample standard deviation in per cent; one run has no deviation."""
    text = f"{100 * mean(records, value):.1f} %"
    if len(records) == 1:
        return text
    return f"{text} ({100 * statistics.stdev(value(record) or 0.0 for record in records):.1f})"


def learnt(record: RunRecord) -> str:
    """Return how many parameters learnt and in which part."""
    counts = record.parameters
    parts = [(name, getattr(counts, name)) for name in ("prompt", "encoder", "head", "backbone")]
    return ", ".join(f"{count:,} {name}" for name, count in parts if count) or "0"


def main() -> None:
    """Run what is missing and print the table."""
    options = parse_arguments()
    body, first = [], None
    for row in ROWS:
        if options.only and row.name not in options.only:
            continue
        records = []
        for seed in range(options.seeds if row.seeded else 1):
            records.append(find_or_run(run_settings(row, seed, options.data, options.runs)))
        first = first or records[0]
        body.append(cells(row.title, records))
    assert first is not None
    table = tabulate(
        body,
        HEADERS,
        tablefmt="github",
        colalign=("left", *("right",) * (len(HEADERS) - 1)),
        disable_numparse=True,
    )
    note = (
        f"{first.task.name}: {first.task.test:,} test and {first.task.dev:,} dev examples; "
        f"{first.backbone.name}, {first.backbone.parameters:,} parameters. Accuracy is mean (standard "
        "deviation) over seeds from 0; seconds are means, peak memory is the largest."
    )
    print(f"{note}\n\n{table}")
    if options.markdown:
        command = shlex.join(["python", *sys.argv])
        options.markdown.write_text(f"`{command}`\n\n{note}\n\n{table}\n", encoding="utf-8")


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        sys.exit(f"error: {error}")
