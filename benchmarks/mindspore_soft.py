"""promptkit's side of the benchmark: what `promptkit run --strategy soft` does with the job, timed.

    python mindspore_soft.py FOLDER

The job in FOLDER was written by `soft_prompt_job.py`. The plan, the packing, the model, the compiled functions and
the loop are promptkit's own; the only thing added is a source of batches that notes the time. As in a run the test
split is scored by the function that the loop scores with, which is compiled for it; here the loop is handed the test
split itself in place of dev, which after a single pass chooses nothing.

Prints one JSON object on the last line of standard output, with the keys of `torch_peft.py`, and besides:

    rows              of the training batches: how many, how long, examples a row at most
    compile_seconds   the first gradient and the first scores, which are mostly compiling

`first_loss` is the starting prompt's loss on the examples of PyTorch's first batch. It is computed when everything
has been measured.
"""

from __future__ import annotations

import time

# Before the heavy imports, which a user waits for as well.
IMPORTED_AT = time.perf_counter()

import json  # noqa: E402
import os  # noqa: E402
import sys  # noqa: E402
from collections.abc import Iterator, Sequence  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Any  # noqa: E402

import numpy as np  # noqa: E402
from machine import peak_memory_mb  # noqa: E402
from soft_prompt_job import (  # noqa: E402
    build,
    labels_of,
    load_job,
    plan_rows_of,
    plan_scoring_rows_of,
    training_settings,
)

# Before anything imports MindSpore, whose warnings it turns off.
from promptkit.backbones.device import set_device  # noqa: E402
from promptkit.backbones.fusion import prepare  # noqa: E402

if json.loads(Path(sys.argv[1], "job.json").read_text(encoding="utf-8"))["about"]["mode"] == "fused":
    prepare()
set_device("CPU")

import mindspore as ms  # noqa: E402

from promptkit.data import Batch, Rows  # noqa: E402
from promptkit.prompting import Encoded  # noqa: E402
from promptkit.running.plan import Plan  # noqa: E402
from promptkit.training import Classification, Executor, PackedSource, train  # noqa: E402
from promptkit.version import __version__  # noqa: E402


class TimedSource(PackedSource):
    """Packed batches that note when each is done with: that is when the next one is asked for.

    Attributes:
        started: when the first batch was asked for.
        done: when each batch was done.
        examples: of each batch.
        front: positions of every example that are computed once a batch, and count as its tokens all the same.
    """

    started = 0.0
    front = 0

    def epoch(self, rng: np.random.Generator | None) -> Iterator[Batch]:
        """Yield the batches; in a fixed order without `rng`."""
        self.started, self.done, self.examples = time.perf_counter(), list[float](), list[int]()
        for batch in super().epoch(rng):
            self.examples.append(batch.examples)
            yield batch
            self.done.append(time.perf_counter())

    def figures(self, name: str) -> dict[str, Any]:
        """Return seconds, rates and the share of padding of the last pass."""
        seconds, first = self.done[-1] - self.started, self.done[0] - self.started
        return {
            f"{name}_seconds": seconds,
            f"{name}_examples_per_second": self.size / seconds,
            f"{name}_examples_per_second_after_first": (
                (self.size - self.examples[0]) / (seconds - first) if len(self.done) > 1 else None
            ),
            f"{name}_tokens_per_second": (self.tokens + self.front * self.size) / seconds,
            f"{name}_padded_share": 1.0 - self.tokens / self.positions,
        }


def source_of(plan: Plan, encoded: Sequence[Encoded], labels: Sequence[int], rows: Rows) -> TimedSource:
    """Return the batches of a run."""
    packer = plan.prompts[0].packer(
        encoded, labels, batch_size=min(plan.settings.batch_size, len(encoded)), rows=rows
    )
    source = TimedSource(packer)
    source.front = encoded[0].front
    return source


def before_import() -> float:
    """Return the seconds from the start of this process to `IMPORTED_AT`; 0 where /proc does not tell."""
    try:
        uptime = float(Path("/proc/uptime").read_text().split()[0])
        # The 22nd field; the second one, a name in brackets, may hold spaces.
        ticks = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
    except (OSError, ValueError, IndexError):
        return 0.0
    age = uptime - ticks / os.sysconf("SC_CLK_TCK")
    return max(0.0, age - (time.perf_counter() - IMPORTED_AT))


def run(folder: Path) -> dict[str, Any]:
    """Train on the training examples once, predict the test examples once; return what was measured."""
    plan, encoded, job = load_job(folder)
    model = build(plan)
    start = model.virtual_vectors().asnumpy().copy()
    train_labels, test_labels = labels_of(plan.task, "train"), labels_of(plan.task, "test")
    rows, scored_rows = plan_rows_of(plan, encoded.train), plan_scoring_rows_of(plan, encoded.test)
    training = source_of(plan, encoded.train, train_labels, rows)
    prediction = source_of(plan, encoded.test, test_labels, scored_rows)
    objective = Classification(len(plan.task.labels))
    executor = Executor(model, plan.config.mode, sys.exit, objective)
    shuffle = np.random.default_rng([job["seed"], 2, 0])
    result = train(executor, training, prediction, test_labels, training_settings(plan), shuffle, quiet=True)
    measured = {
        "steps": len(training.done),
        "seconds_to_first_step": training.done[0] - training.started,
        "seconds_to_first_step_from_start": training.done[0] - IMPORTED_AT + before_import(),
        **training.figures("train"),
        **prediction.figures("predict"),
        "mean_loss": result.history[0]["loss"],
        "accuracy": result.history[0]["dev_accuracy"],
        "rows": [rows.count, rows.length, rows.examples],
        "compile_seconds": executor.compile_seconds,
        "peak_memory_mb": peak_memory_mb(),
    }
    first = job["first_batch"]
    ms.ops.assign(model.prompt.vectors, ms.Tensor(start))
    labels = [train_labels[number] for number in first]
    scores = executor.scores(source_of(plan, [encoded.train[number] for number in first], labels, scored_rows))
    measured["first_loss"] = objective.judge(scores, labels)[1]
    return measured


def main() -> None:
    """Run the job and print its result."""
    ms.set_seed(0)
    measured = run(Path(sys.argv[1]))
    versions = {"python": sys.version.split()[0], "mindspore": ms.__version__, "promptkit": __version__}
    print(json.dumps({"versions": versions, "threads": os.environ.get("OMP_NUM_THREADS"), **measured}))


if __name__ == "__main__":
    main()
