"""What a comparison gains by keeping a cell's process, its model and its compiled graphs, for the next seed.

    python benchmarks/kept.py --strategies hard,pet,soft,ptuning --shots 16 --seeds 3 [--data PATH]

The same comparison is run twice in stores that are removed: as it is, and with a process for every cell. Prints the
seconds of both, the largest peak memory of a run, and whether all scores and predictions are the same.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from unittest import mock

from machine import describe, machine, warn_if_busy
from tabulate import tabulate

from promptkit.comparison.coordinator import compare
from promptkit.comparison.experiment import make_experiment
from promptkit.comparison.orders import Order, Outcome
from promptkit.comparison.pools import run_here
from promptkit.errors import UserError


@dataclass(frozen=True)
class Measured:
    """One of the two: wall-clock seconds, MB, and all that must be the same."""

    seconds: float
    peak_memory_mb: float
    numbers: list[Any]


def each_by_itself(orders: Sequence[Order], jobs: int) -> Iterator[Outcome]:
    """Carry out orders, none of which is kin to another."""
    return run_here([replace(order, kin=order.key) for order in orders], jobs)


def measure(experiment: Any, *, kept: bool) -> Measured:
    """Run a comparison in a store of its own."""
    carry_out = run_here if kept else each_by_itself
    with (
        tempfile.TemporaryDirectory() as store,
        mock.patch("promptkit.comparison.coordinator.run_here", carry_out),
    ):
        started = time.perf_counter()
        result = compare(experiment, store=Path(store), announce=lambda line: print(line, file=sys.stderr))
        seconds = time.perf_counter() - started
        runs = [entry.run for entry in result.comparison.entries if entry.run is not None]
        peak = max(run.record.cost.peak_memory_mb or 0.0 for run in runs)
        numbers = [(run.record.dev, run.record.test, run.predicted.tolist()) for run in runs]
        return Measured(seconds, peak, numbers)


def main() -> int:
    """Measure both and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--strategies", default="hard,pet,soft,ptuning", help="default: %(default)s")
    parser.add_argument("--shots", type=int, default=16, help="examples a class (default: %(default)s)")
    parser.add_argument("--seeds", type=int, default=3, help="default: %(default)s")
    parser.add_argument("--data", default="reviews-en", help="default: %(default)s")
    parser.add_argument("--model", default="promptkit-mini", help="default: %(default)s")
    parser.add_argument("--verbalizer", help="as in promptkit compare")
    given = parser.parse_args()
    found = machine()
    warn_if_busy(found)
    try:
        experiment = make_experiment(
            strategies=given.strategies.split(","), shots=[given.shots], seeds=given.seeds, data=given.data,
            model=given.model, name="kept", settings={"verbalizer": given.verbalizer} if given.verbalizer else {},
        )  # fmt: skip
        kept, alone = measure(experiment, kept=True), measure(experiment, kept=False)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"Machine: {describe(found)}\n")
    rows = [("kept for the next seed", kept), ("a process a cell", alone)]
    table = [(name, f"{each.seconds:.0f}", f"{each.peak_memory_mb:,.0f}") for name, each in rows]
    print(tabulate(table, ["processes", "seconds", "peak MB"], tablefmt="github"))
    same = "the same" if kept.numbers == alone.numbers else "NOT the same"
    print(f"\nKept, it takes {kept.seconds / alone.seconds:.2f} of the time. Scores and predictions are {same}.")
    return int(kept.numbers != alone.numbers)


if __name__ == "__main__":
    sys.exit(main())
