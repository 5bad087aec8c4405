"""promptkit's side of the benchmark: soft-prompt tuning of a BERT masked language model, as a run does it.

    python mindspore_soft.py '{"checkpoint": "DIR", "examples": "FILE.npz", ...}'

The job, the examples and the printed JSON are those of `torch_peft.py`; the two files stand alone because
each runs in an environment of its own. As in `promptkit run --strategy soft` the virtual tokens stand after
[CLS], the head sees the mask position and the label words' rows alone, the batches are of few static widths
that `choose_widths` picks, short ones filled up, and the graph is compiled once for each width.

Differences from the job: the rate falls linearly to 0 from `lr`, as in every run of promptkit, and the order
of the batches is promptkit's own, drawn with `seed`. `dropout` and `threads` cannot be set.

Printed besides:

    compile_seconds_training                    the first gradient of every width, which is mostly compiling
    compile_seconds_prediction                  likewise the first scores; nothing is kept from training
    predict_examples_per_second_after_compile   without the first batch of every width
    widths, padded_share                        of the training batches

`train_examples_per_second_after_first_step` leaves out the first step of every width, not of the first alone.

`first_loss` is the starting prompt's loss on the job's first `batch_size` rows, which is what PyTorch's first
step sees. It is computed when everything has been measured.
"""

from __future__ import annotations

import time

# Before the heavy imports, which a user waits for as well.
IMPORTED_AT = time.perf_counter()

import argparse  # noqa: E402
import json  # noqa: E402
import math  # noqa: E402
import os  # noqa: E402
import resource  # noqa: E402
import sys  # noqa: E402
from collections.abc import Iterator  # noqa: E402
from dataclasses import dataclass, field, fields  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Any  # noqa: E402

import numpy as np  # noqa: E402

from promptkit.backbones.device import set_device  # noqa: E402
from promptkit.data import Batcher  # noqa: E402

set_device("CPU")

import mindspore as ms  # noqa: E402
from promptkit.backbones.native.loading import load_backbone  # noqa: E402

from promptkit.nn import Backbone, SoftPrompt, VirtualTokens, initial_vectors  # noqa: E402
from promptkit.prompting import Encoded, Template, Verbalizer  # noqa: E402
from promptkit.prompting.resolved import EncodedTask, PromptTask, resolve_prompt  # noqa: E402
from promptkit.running.member import choose_widths  # noqa: E402
from promptkit.training import EncodedSource, Executor, TrainingSettings, train  # noqa: E402
from promptkit.training.sources import BatchSource, Step  # noqa: E402
from promptkit.version import __version__  # noqa: E402


@dataclass(frozen=True)
class Job:
    """What to run; the docstring of `torch_peft.py` explains each field."""

    checkpoint: str
    examples: str
    label_word_ids: list[int]
    batch_size: int = 32
    steps: int | None = None
    num_virtual: int = 20
    lr: float = 0.03
    seed: int = 0
    weight_decay: float = 0.0
    max_grad_norm: float | None = None
    dropout: bool = False
    threads: int | None = None

    @classmethod
    def parse(cls, text: str) -> Job:
        """Read a job from JSON; SystemExit with one line if it cannot be run here."""
        given = json.loads(text)
        known = {known.name for known in fields(cls)}
        if unknown := sorted(set(given) - known):
            sys.exit(f"unknown in the job: {', '.join(unknown)}")
        try:
            job = cls(**given)
        except TypeError as error:
            sys.exit(f"the job is not complete: {error}")
        if job.dropout or job.threads is not None:
            sys.exit("promptkit's side takes no dropout and no threads; use taskset to bind both sides to cores")
        return job


@dataclass(frozen=True)
class Split:
    """The examples of one split as promptkit encodes them, virtual tokens included."""

    encoded: list[Encoded]
    labels: list[int]

    @classmethod
    def load(cls, arrays: Any, name: str, count: int, pad_id: int) -> Split:
        """Take split `name` out of an open .npz file and put `count` virtual tokens after [CLS]."""
        ids, lengths = arrays[f"{name}_input_ids"], arrays[f"{name}_lengths"]
        encoded = []
        for row, length, mask in zip(ids, lengths, arrays[f"{name}_mask"], strict=True):
            pieces = [int(piece) for piece in row[:length]]
            encoded.append(
                Encoded(
                    input_ids=(pieces[0], *[pad_id] * count, *pieces[1:]),
                    virtual_ids=(-1, *range(count), *[-1] * (len(pieces) - 1)),
                    mask_positions=(int(mask) + count,),
                    dropped=0,
                    unknown=0,
                    field_tokens=0,
                )
            )
        return cls(encoded, [int(label) for label in arrays[f"{name}_labels"]])

    def head(self, count: int) -> Split:
        """Return the first rows."""
        return Split(self.encoded[:count], self.labels[:count])


@dataclass
class TimedSource:
    """A source that notes when each of its steps is done: that is when the next one is asked for.

    Attributes:
        inner: where the steps come from.
        num_batches: how many to hand out; the source is gone through again as often as that takes.
        done: time at which each step was done.
        size: examples in the inner source.
        real: rows of each step that are examples, not fillers.
        first: whether the step was the first of its shapes.
    """

    inner: BatchSource
    num_batches: int
    size: int = field(init=False)
    done: list[float] = field(default_factory=list)
    real: list[int] = field(default_factory=list)
    first: list[bool] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.size = self.inner.size

    def epoch(self, rng: np.random.Generator | None) -> Iterator[Step]:
        """Yield the steps; in a fixed order without `rng`."""
        seen: set[tuple[Any, ...]] = set()
        while len(self.done) < self.num_batches:
            for step in self.inner.epoch(rng):
                shapes = tuple(array.shape for array in step.inputs)
                self.first.append(shapes not in seen)
                self.real.append(int(step.weights.sum()))
                seen.add(shapes)
                yield step
                self.done.append(time.perf_counter())
                if len(self.done) == self.num_batches:
                    return

    def rate_after_first(self, started: float) -> float | None:
        """Examples a second in the steps that are not the first of their shapes; None if there are none."""
        spent = np.diff([started, *self.done])
        later = [(rows, took) for rows, took, first in zip(self.real, spent, self.first, strict=True) if not first]
        return per_second(sum(rows for rows, _ in later), float(sum(took for _, took in later)))


class NotingExecutor(Executor):
    """An executor that keeps the loss of every training step.

    Attributes:
        losses: scalars, one a step.
        compile_seconds_training: what `compile_seconds` was after the last of them.
    """

    def __init__(self, model: SoftPrompt) -> None:
        super().__init__(model, "graph", _refuse)
        self.losses: list[Any] = []
        self.compile_seconds_training = 0.0

    def loss_and_gradients(self, step: Step, *, from_features: bool) -> tuple[Any, tuple[Any, ...]]:
        """See `Executor`."""
        loss, gradients = super().loss_and_gradients(step, from_features=from_features)
        self.losses.append(loss)
        self.compile_seconds_training = self.compile_seconds
        return loss, gradients


def _refuse(message: str) -> None:
    sys.exit(message)


@dataclass(frozen=True)
class Side:
    """The prompted model and how to batch for it."""

    job: Job
    backbone: Backbone
    model: SoftPrompt
    prompt: VirtualTokens
    start: Any
    widths: tuple[int, ...]

    def batches(self, split: Split) -> TimedSource:
        """Return the split's batches, one pass."""
        batcher = self._batcher(split)
        return TimedSource(EncodedSource(batcher, len(split.labels)), batcher.num_batches)

    def padded_share(self, split: Split) -> float:
        """Return the share of the split's positions that hold padding or filler rows."""
        return self._batcher(split).padded_share

    def _batcher(self, split: Split) -> Batcher:
        return Batcher(
            split.encoded,
            split.labels,
            batch_size=self.job.batch_size,
            widths=self.widths,
            pad_id=self.backbone.tokenizer.pad_id,
            readout_positions="mask",
        )


def prompt_task(job: Job, backbone: Backbone) -> PromptTask:
    """Return the prompt that the job's rows were encoded under, as far as the model needs to know it."""
    tokenizer = backbone.tokenizer
    words = {f"class {index}": tokenizer.token(number) for index, number in enumerate(job.label_word_ids)}
    task = resolve_prompt(
        Template.parse("{text} {mask}").with_soft_prefix(job.num_virtual),
        Verbalizer.from_mapping(words),
        labels=tuple(words),
        tokenizer=tokenizer,
        readout="cloze",
        slots="same",
        max_length=backbone.config.max_length,
        rng=np.random.default_rng([job.seed, 1]),
    )
    assert task.verbalizer is not None
    if [pieces[0] for (pieces,) in task.verbalizer.pieces] != job.label_word_ids:
        sys.exit(f"the label words {', '.join(words.values())} are not whole words of the vocabulary")
    return task


def build(job: Job, arrays: Any) -> tuple[Side, Split, Split]:
    """Return the model with the training and the prediction split."""
    backbone = load_backbone(Path(job.checkpoint))
    task = prompt_task(job, backbone)
    start = arrays["prompt"] if "prompt" in arrays else initial_vectors(backbone, task, "vocab")
    prompt = VirtualTokens(start)
    model = SoftPrompt(backbone, task, prompt=prompt)
    training, prediction = (
        Split.load(arrays, name, job.num_virtual, backbone.tokenizer.pad_id) for name in ("train", "predict")
    )
    widths = choose_widths(EncodedTask(training.encoded, [], prediction.encoded), backbone, job.batch_size, epochs=1)
    return Side(job, backbone, model, prompt, start, widths), training, prediction


def run_training(side: Side, split: Split) -> dict[str, Any]:
    """Train the prompt; timings, losses and rates."""
    job, executor, source = side.job, NotingExecutor(side.model), side.batches(split)
    source.num_batches = job.steps or source.num_batches
    # The loop wants a dev set. The least there is: its time does not count as training time.
    dev = split.head(job.batch_size)
    settings = TrainingSettings(
        epochs=1,
        lr=job.lr,
        weight_decay=job.weight_decay,
        warmup=0.0,
        clip=math.inf if job.max_grad_norm is None else job.max_grad_norm,
    )
    dev_source = side.batches(dev)
    started = time.perf_counter()
    result = train(
        executor, source, dev_source, dev.labels, settings, np.random.default_rng([job.seed, 2]), quiet=True
    )
    losses, seconds = [float(loss.asnumpy()) for loss in executor.losses], result.seconds
    return {
        "steps": len(losses),
        "seconds_to_first_step": source.done[0] - started,
        "seconds_to_first_step_from_process_start": source.done[0] - IMPORTED_AT + before_import(),
        "train_seconds": seconds,
        "train_examples_per_second": sum(source.real) / seconds,
        "train_examples_per_second_after_first_step": source.rate_after_first(started),
        "final_loss": losses[-1],
        "mean_loss_last_10": float(np.mean(losses[-10:])),
        "compile_seconds_training": executor.compile_seconds_training,
        "widths": list(side.widths),
        "padded_share": side.padded_share(split),
    }


def run_prediction(side: Side, split: Split) -> dict[str, Any]:
    """Predict the split once, with functions that were not compiled before; rates and accuracy."""
    executor, source = NotingExecutor(side.model), side.batches(split)
    started = time.perf_counter()
    predicted = executor.scores(source).argmax(-1)
    seconds = time.perf_counter() - started
    return {
        "predict_seconds": seconds,
        "predict_examples_per_second": per_second(len(split.labels), seconds),
        "predict_examples_per_second_after_compile": source.rate_after_first(started),
        "compile_seconds_prediction": executor.compile_seconds,
        "accuracy": float(np.mean(predicted == np.asarray(split.labels))),
    }


def starting_loss(side: Side, split: Split) -> float:
    """Return the starting prompt's mean loss on the split. The model is left with that prompt."""
    side.prompt.vectors.set_data(ms.Tensor(np.ascontiguousarray(side.start, np.float32)))
    scores = NotingExecutor(side.model).scores(side.batches(split)).astype(np.float64)
    shifted = scores - scores.max(-1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))
    return float(-log_p[np.arange(len(split.labels)), split.labels].mean())


def per_second(count: int, seconds: float) -> float | None:
    """A rate, or None where nothing was counted."""
    return count / seconds if count else None


def before_import() -> float:
    """Seconds from the start of this process to `IMPORTED_AT`; 0 where /proc does not tell."""
    try:
        uptime = float(Path("/proc/uptime").read_text().split()[0])
        # The 22nd field; the second one, a name in brackets, may hold spaces.
        ticks = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
    except (OSError, ValueError, IndexError):
        return 0.0
    age = uptime - ticks / os.sysconf("SC_CLK_TCK")
    return max(0.0, age - (time.perf_counter() - IMPORTED_AT))


def peak_memory_mb() -> float:
    """The largest resident size so far, in MB of 2**20 bytes, as `torch_peft.py` counts."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10


def main() -> None:
    """Run the job on the command line and print its result."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("job", type=Job.parse, help="a JSON object; see the top of torch_peft.py")
    job: Job = parser.parse_args().job
    ms.set_seed(job.seed)
    with np.load(job.examples) as arrays:
        side, training, prediction = build(job, arrays)
    result: dict[str, Any] = {
        "mode": "promptkit",
        "versions": {
            "python": sys.version.split()[0],
            "mindspore": ms.__version__,
            "numpy": np.__version__,
            "promptkit": __version__,
        },
        "threads": os.environ.get("OMP_NUM_THREADS"),
        **run_training(side, training),
        "peak_memory_mb_after_training": peak_memory_mb(),
        **run_prediction(side, prediction),
        "peak_memory_mb": peak_memory_mb(),
    }
    # Last of all: what it compiles is no part of the job.
    result["first_loss"] = starting_loss(side, training.head(job.batch_size))
    print(json.dumps(result))


if __name__ == "__main__":
    main()
