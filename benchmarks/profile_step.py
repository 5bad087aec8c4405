"""Where a training step of a strategy goes, and how far its matrix products are from the processor's peak.

    python benchmarks/profile_step.py --data PATH/TO/rt-polarity
    python benchmarks/profile_step.py --data PATH/TO/rt-polarity --strategy finetune

The job is that of `peft.py`, or the same with another strategy. Every kernel of a few compiled steps is timed by
MindSpore's own profiler, whose files lie in a folder that is removed; what the host does between two steps is timed
by hand, in steps without the profiler. The peak is that of the quickest matrix product, of several square ones in the
same process and of the step's own.
Prints one table; benchmarks/README.md explains it.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from itertools import count
from pathlib import Path
from typing import Any, get_args

import numpy as np
from machine import describe, machine, warn_if_busy
from soft_prompt_job import JobSettings, build, labels_of, plan_rows_of, plan_run, read_task, training_settings
from tabulate import tabulate

from promptkit.backbones.device import Mode
from promptkit.data import Packer
from promptkit.errors import UserError

# Rows and columns of the products that the peak is taken from: which is quickest hangs on the processor's caches.
SIZES = (384, 512, 768, 1024, 1536, 2048)
_ALONE = {"Softmax": "softmax", "LayerNorm": "LayerNorm, forward"}
_LAYOUT = {"Transpose", "Concat", "Split", "StridedSlice", "Reshape", "BroadcastTo", "Tile", "ExpandDims", "Cast"}
_LOOKUPS = {"Gather", "GatherD", "GatherDGradV2", "UnsortedSegmentSum"}
# Those that train through the language model, one text a prompt: no features computed once, no search, no examples
# beside the text.
STRATEGIES = ("soft", "ptuning", "prefix", "ptuning-v2", "bitfit", "finetune")
Shape = tuple[int, ...]


@dataclass(frozen=True)
class Kernel:
    """One kernel of a step.

    Attributes:
        kind: MindSpore's name of the operator.
        shapes: of its inputs, those that are tensors.
        milliseconds: median over the steps.
    """

    kind: str
    shapes: tuple[Shape, ...]
    milliseconds: float

    @property
    def operations(self) -> float:
        """Multiplications and additions, for a matrix product; else 0."""
        return product_operations(*self.shapes[:2]) if self.kind in ("MatMul", "BatchMatMul") else 0.0


def product_operations(left: Shape, right: Shape) -> float:
    """Return the operations of a product, whichever of its operands is transposed.

    That is not in the profile. Of the ways in which the shapes fit it is the first below; where several fit, two of
    the dimensions are equal and the count is the same.
    """
    *batch, a, b = left
    c, d = right[-2:]
    if b == c:
        inner, outer = b, a * d
    elif b == d:
        inner, outer = b, a * c
    elif a == c:
        inner, outer = a, b * d
    else:
        raise ValueError(f"{left} and {right} are no matrix product")
    return 2.0 * float(np.prod(batch, dtype=np.int64)) * inner * outer


def part_of(kernel: Kernel, hidden: int, head_width: int) -> str:
    """Return the row of the table that a kernel counts in."""
    first = kernel.shapes[0] if kernel.shapes else ()
    if kernel.kind == "MatMul":
        narrow = min(min(shape) for shape in kernel.shapes[:2])
        if narrow < head_width:
            return "products with vectors (means, label words)"
        return "matrix products with weights" if narrow > head_width else "matrix products of attention"
    if kernel.kind == "BatchMatMul":
        return "matrix products of attention"
    if kernel.kind in _ALONE:
        return _ALONE[kernel.kind]
    if kernel.kind in _LAYOUT:
        return "transposing, joining, splitting"
    if kernel.kind in _LOOKUPS:
        return "look-ups"
    if len(first) == 4:
        return "element-wise, attention"
    if len(first) == 2 and first[1] > hidden and first[1] % hidden == 0:
        return "element-wise, feed-forward (gate)"
    return "element-wise, hidden states (norms, sums)"


def read_kernels(folder: Path, steps: int) -> list[Kernel]:
    """Return the kernels of a step from what MindSpore's profiler left of so many equal steps.

    It writes the shapes to one file, in the order of execution, and the times to another, by name. Names repeat in a
    graph, so the two are brought together by that order.

    Raises:
        UserError: if this MindSpore writes something else.
    """
    kinds, names, shapes = [], [], []
    times: list[tuple[int, float, str]] = []
    try:
        (shape_file,) = folder.rglob("cpu_framework_*.txt")
        (time_file,) = folder.rglob("cpu_op_execute_timestamp_*.txt")
        for line in shape_file.read_text(encoding="utf-8").splitlines():
            kind, name, _, *inputs = line.split(";")
            kinds.append(kind)
            names.append(name)
            shapes.append(tuple(shape for shape in map(_shape, inputs) if shape))
        for line in time_file.read_text(encoding="utf-8").splitlines():
            name, _, calls = line.split(";")
            for call in calls.split():
                start, took = call.split(",")[:2]
                times.append((int(start), float(took), name.rpartition("/")[2]))
    except ValueError:
        times = []
    times.sort()
    kernels = len(times) // steps
    if not times or len(times) != kernels * steps or [name for _, _, name in times] != names:
        raise UserError(f"the profiler of MindSpore {version('mindspore')} does not write what that of 2.10 does.")
    medians = np.median(np.array([each for _, each, _ in times]).reshape(steps, kernels), axis=0)
    return [Kernel(kinds[i], shapes[i], float(medians[i])) for i in range(kernels)]


def _shape(text: str) -> Shape:
    """Read `input_1:[1344, 384]`; anything but a tensor's shape is empty."""
    inside = text.partition(":")[2].strip()
    if not inside.startswith("["):
        return ()
    return tuple(int(size) for size in inside.strip("[]").split(",") if size.strip())


@dataclass(frozen=True)
class HostTimes:
    """Milliseconds of a step outside its graph, and in it; medians.

    Attributes:
        packing: until the loop has the batch.
        launching: arrays become tensors, and the graph is started.
        graph: from then until the gradient is there.
        optimiser: clipping and the step of AdamW.
        loss: fetching it.
    """

    packing: float
    launching: float
    graph: float
    optimiser: float
    loss: float

    @property
    def step(self) -> float:
        """The whole step."""
        return self.packing + self.launching + self.graph + self.optimiser + self.loss


def time_host(executor: Any, optimiser: Any, batches: Any, steps: int) -> HostTimes:
    """Train `steps` steps and time each part."""
    rows, rng = [], np.random.default_rng(0)
    for _ in range(steps):
        moments = [time.perf_counter()]
        step = next(batches)
        moments.append(time.perf_counter())
        loss, gradients = executor.loss_and_gradients(step, rng=rng)
        moments.append(time.perf_counter())
        gradients[-1].asnumpy()
        moments.append(time.perf_counter())
        optimiser.step(gradients, float(step.weights.sum()))
        moments.append(time.perf_counter())
        loss.asnumpy()
        moments.append(time.perf_counter())
        rows.append(np.diff(moments) * 1e3)
    return HostTimes(*(float(value) for value in np.median(rows, axis=0)))


def profile_kernels(run: Callable[[], None], steps: int) -> list[Kernel]:
    """Return the kernels of `run`, which is called `steps` times under the profiler."""
    import mindspore as ms

    with tempfile.TemporaryDirectory() as folder:
        profiler = ms.Profiler(output_path=folder, start_profile=False)
        profiler.start()
        for _ in range(steps):
            run()
        profiler.stop()
        return read_kernels(Path(folder), steps)


def peak_gflops() -> float:
    """Return the best of float32 products of several sizes, ten each, compiled as the step's are."""
    import mindspore as ms

    best = 0.0
    for size in SIZES:
        multiply = ms.jit(ms.ops.MatMul())
        operand = ms.Tensor(np.random.default_rng(0).normal(size=(size, size)).astype(np.float32))
        for _ in range(11):
            started = time.perf_counter()
            multiply(operand, operand).asnumpy()
            # The first one, which compiles, is slow and so never the best.
            best = max(best, 2e-9 * size**3 / (time.perf_counter() - started))
    return best


def quickest(kernels: Sequence[Kernel]) -> float:
    """Return the GFLOPS of the step's quickest products of one shape, the median of theirs.

    The profiler gives a few single kernels less time than they can have taken. A shape that comes less than three
    times is left out.
    """
    rates: dict[tuple[Shape, ...], list[float]] = {}
    for kernel in kernels:
        if kernel.operations and kernel.milliseconds:
            rates.setdefault(kernel.shapes, []).append(kernel.operations / kernel.milliseconds * 1e-6)
    return max((float(np.median(own)) for own in rates.values() if len(own) > 2), default=0.0)


def table(kernels: Sequence[Kernel], host: HostTimes, peak: float, hidden: int, head_width: int) -> str:
    """Return where the step goes, the largest part of the graph first, and then what lies outside the graph."""
    parts: dict[str, list[Kernel]] = {}
    for kernel in kernels:
        parts.setdefault(part_of(kernel, hidden, head_width), []).append(kernel)
    body = []

    def add(name: str, calls: int | None, milliseconds: float, operations: float = 0.0) -> None:
        gflops = operations / milliseconds * 1e-6 if operations and milliseconds else None
        body.append([
            name, "" if calls is None else f"{calls}", f"{milliseconds:.1f}", f"{milliseconds / host.step:.1%}",
            "" if gflops is None else f"{gflops:.0f}", "" if gflops is None else f"{gflops / peak:.0%}",
        ])  # fmt: skip

    def total(group: Sequence[Kernel]) -> float:
        return sum(kernel.milliseconds for kernel in group)

    for name, group in sorted(parts.items(), key=lambda item: -total(item[1])):
        add(name, len(group), total(group), sum(kernel.operations for kernel in group))
    products = [kernel for kernel in kernels if kernel.operations]
    add("all products", len(products), total(products), sum(kernel.operations for kernel in products))
    add("all kernels", len(kernels), total(kernels))
    add("graph, without the profiler", 1, host.graph)
    add("packing the batch", None, host.packing)
    add("tensors, starting the graph", None, host.launching)
    add("clipping and AdamW", None, host.optimiser)
    add("fetching the loss", None, host.loss)
    add("whole step", 1, host.step)
    headers = ["part of a step", "calls", "ms", "of the step", "GFLOPS", "of the peak"]
    text: str = tabulate(body, headers, tablefmt="github", colalign=("left", *["right"] * 5), disable_numparse=True)
    return text


def parse_arguments() -> argparse.Namespace:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    default = JobSettings()
    parser.add_argument("--data", default=default.data, help="data set or path (default: %(default)s)")
    parser.add_argument("--model", default=default.model, help="language model (default: %(default)s)")
    parser.add_argument("--strategy", choices=STRATEGIES, default="soft", help="(default: %(default)s)")
    parser.add_argument("--mode", choices=get_args(Mode)[:2], default=default.mode, help="(default: %(default)s)")
    parser.add_argument(
        "--steps", type=int, default=10, metavar="N", help="steps a measurement (default: %(default)s)"
    )
    options = parser.parse_args()
    if options.steps < 1:
        parser.error("--steps: at least 1")
    return options


def measure(settings: JobSettings, strategy: str, steps: int) -> list[str]:
    """Take all figures and return what is printed, but for the machine.

    Raises:
        UserError: for data or a model that cannot be used.
    """
    task = read_task(settings)
    plan = plan_run(settings, task, strategy)
    encoded = plan.encode()[0].train
    model = build(plan)

    from promptkit.training import Classification, Executor, PackedSource
    from promptkit.training.optimiser import ScheduledAdamW

    rows = plan_rows_of(plan, encoded)
    size = min(plan.settings.batch_size, len(encoded))
    packer: Packer = plan.prompts[0].packer(encoded, labels_of(task, "train"), batch_size=size, rows=rows)
    source = PackedSource(packer)
    rng = np.random.default_rng(0)
    batches = (step for _ in count() for step in source.epoch(rng))
    executor = Executor(model, plan.config.mode, sys.exit, Classification(len(task.labels)))
    optimiser = ScheduledAdamW(list(model.trainable_params()), training_settings(plan), source.size)
    time_host(executor, optimiser, batches, 2)  # compiles
    times = time_host(executor, optimiser, batches, steps)
    step = next(batches)

    def run() -> None:
        executor.loss_and_gradients(step, rng=rng)[1][-1].asnumpy()

    peak = peak_gflops()
    kernels = profile_kernels(run, steps)
    peak = max(peak, peak_gflops(), quickest(kernels))
    examples = source.size / sum(1 for _ in packer.epoch(rng))
    gflop = sum(kernel.operations for kernel in kernels) * 1e-9
    info = plan.model.info
    return [
        f"Step: {strategy} on {task.name}, {settings.model}, `{plan.prompts[0].template}`; {rows.count} rows of "
        f"{rows.length}, {examples:.1f} examples a step, {1 - source.tokens / source.positions:.1%} padding.",
        f"Medians of {steps} steps. Peak: {peak:.0f} GFLOPS, the best of square products, {SIZES[0]} to {SIZES[-1]} "
        f"rows, and of the step's own. Its products hold {gflop:.1f} GFLOP, {gflop / peak * 1e3:.0f} ms at the peak: "
        f"with no more to do {examples / gflop * peak:.0f} examples/s, as it is {examples / times.step * 1e3:.0f}.",
        table(kernels, times, peak, info.hidden_size, info.head_width),
    ]


def main() -> None:
    """Measure and print."""
    options = parse_arguments()
    host = machine()
    warn_if_busy(host)
    settings = JobSettings(data=options.data, model=options.model, mode=options.mode)
    lines = measure(settings, options.strategy, options.steps)
    print("\n\n".join([f"Machine: {describe(host)}; mindspore {version('mindspore')}.", *lines]))


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
