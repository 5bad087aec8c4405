"""What is gained where all prompts of a causal model begin alike and that beginning is computed once.

    python benchmarks/front.py [--model smollm2-135m] [--texts 64] [--markdown FILE]

32 demonstrations in front of every text, and 100 virtual tokens that learn: each run as it is, and with every prompt
whole. Prints examples a second, compiling included, the peak memory, and how far the probabilities are apart.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from defaults import write
from machine import describe, machine, warn_if_busy
from tabulate import tabulate

from promptkit.data import load_task
from promptkit.errors import UserError

CASES: dict[str, dict[str, Any]] = {
    "32 demonstrations": {"strategy": "icl", "options": {"demonstrations": 32}},
    "100 virtual tokens": {"strategy": "soft", "options": {"tokens": 100}, "epochs": 1, "batch_size": 16},
}
SHOTS, MAX_LENGTH = 16, 2048  # the template leaves demonstrations half of the length


@dataclass(frozen=True)
class Measured:
    """A run: examples a second, peak memory in MB, and the probabilities of the test texts."""

    training: float | None
    prediction: float
    peak_memory_mb: float
    probabilities: Any


def measure(settings: dict[str, Any], whole: bool) -> Measured:
    """Carry out a run, with `whole` prompts or as it is; in a process of its own, for memory's sake."""
    import promptkit
    from promptkit.hooks import get_host

    if whole:
        get_host().strategies[settings["strategy"]].cls.fronts = False
    result = promptkit.run(**settings, shots=SHOTS, max_length=MAX_LENGTH, save=False, quiet=True)
    cost = result.record.cost
    assert cost.predict_examples_per_second is not None
    return Measured(
        cost.train_examples_per_second, cost.predict_examples_per_second, cost.peak_memory_mb or 0.0,
        result.probabilities,
    )  # fmt: skip


def write_data(name: str, texts: int, folder: Path) -> Path:
    """Write a data folder with fewer dev and test examples."""
    task = load_task(name)
    rng = np.random.default_rng(0)  # sets are often sorted by class
    dev, test = ([split[number] for number in rng.permutation(len(split))] for split in (task.dev, task.test))
    return write(folder, {"train": list(task.train), "dev": dev[: SHOTS * 4], "test": test[:texts]})


def table(found: dict[str, dict[bool, Measured]]) -> str:
    """Return what was measured as Markdown."""
    rows = []
    for name, both in found.items():
        whole, once = both[True], both[False]
        apart = float(abs(whole.probabilities - once.probabilities).max())
        for said, first, second in (
            ("training", whole.training, once.training),
            ("prediction", whole.prediction, once.prediction),
        ):
            if first and second:
                memory = (f"{whole.peak_memory_mb:,.0f}", f"{once.peak_memory_mb:,.0f}")
                rows.append(
                    (name, said, f"{first:.1f}", f"{second:.1f}", f"{second / first:.1f}", *memory, f"{apart:.0e}")
                )
    names = ["in front", "", "whole, examples/s", "once, examples/s", "ratio", "whole, MB", "once, MB", "apart"]
    return str(tabulate(rows, names, tablefmt="github", disable_numparse=True)) + "\n"


def main() -> int:
    """Measure every case both ways and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="smollm2-135m", help="a causal one (default: %(default)s)")
    parser.add_argument("--data", default="reviews-en", help="default: %(default)s")
    parser.add_argument("--verbalizer", help="as in promptkit run")
    parser.add_argument("--texts", type=int, default=64, help="test texts (default: %(default)s)")
    parser.add_argument("--mode", default="graph", help="default: %(default)s")
    parser.add_argument("--markdown", type=Path, help="where the table goes as well")
    given = parser.parse_args()
    host = machine()
    warn_if_busy(host)
    found: dict[str, dict[bool, Measured]] = {}
    alone = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as place:
        try:
            data = str(write_data(given.data, given.texts, Path(place) / "data"))
            for name, case in CASES.items():
                settings = {
                    **case,
                    "model": given.model,
                    "data": data,
                    "mode": given.mode,
                    "verbalizer": given.verbalizer,
                }
                for whole in (True, False):
                    with ProcessPoolExecutor(1, alone) as one:
                        found.setdefault(name, {})[whole] = one.submit(measure, settings, whole).result()
        except UserError as error:
            print(f"error: {error}", file=sys.stderr)
            return 2
    text = table(found)
    if given.markdown:
        given.markdown.write_text(text, encoding="utf-8")
    print(f"{text}\nMachine: {describe(host)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
