"""The PyTorch side of the benchmark: soft-prompt tuning of a BERT masked language model.

    python torch_peft.py [--lean] '{"checkpoint": "DIR", "examples": "FILE.npz", ...}'

Two ways to do one job. By default, PEFT's prompt tuning over `BertForMaskedLM`, as a user would write it: the
virtual tokens stand before [CLS], and the head computes the whole vocabulary's logits at every position. With
`--lean`, PyTorch by hand without PEFT: the virtual tokens stand after [CLS], the head sees the mask position
alone and computes the label words' rows alone. The difference between the two is the price of generality.

In both only the prompt learns (AdamW, float32, constant rate), the batches come in the given order, and each
is padded to its own longest row. The loss is the cross entropy over the label words' logits at the mask.

The job, a JSON object; those with a default may be left out:

    checkpoint       directory with config.json and model.safetensors
    examples         .npz, see below
    batch_size       32
    steps            one pass over the training examples; more start again from the first
    num_virtual      20
    label_word_ids   one vocabulary id for each class
    lr               0.03
    seed             0
    weight_decay     0.0
    max_grad_norm    null, no clipping
    dropout          false; true trains with the checkpoint's dropout, as `model.train()` would
    threads          null, PyTorch's own choice

The examples, for each split `train` and `predict`, without virtual tokens:

    SPLIT_input_ids  (N, S) int, padded on the right with anything
    SPLIT_lengths    (N,) int
    SPLIT_mask       (N,) int, the mask's position in the row, 1 or later
    SPLIT_labels     (N,) int, the index into label_word_ids
    prompt           (num_virtual, H) float, where the prompt starts; optional, else sampled word embeddings

Prints one JSON object on the last line of standard output. Seconds are wall time.
"""

from __future__ import annotations

import time

# Before the heavy imports, which a user waits for as well.
IMPORTED_AT = time.perf_counter()

import argparse  # noqa: E402
import json  # noqa: E402
import os  # noqa: E402
import resource  # noqa: E402
import sys  # noqa: E402
from collections.abc import Iterator  # noqa: E402
from dataclasses import dataclass, fields  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Any  # noqa: E402

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import numpy as np  # noqa: E402
import torch  # noqa: E402
import transformers  # noqa: E402
from torch import nn  # noqa: E402
from transformers import BertForMaskedLM  # noqa: E402


@dataclass(frozen=True)
class Job:
    """What to run; the module's docstring explains each field."""

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
        """Read a job from JSON; SystemExit with one line if a name is unknown or missing."""
        given = json.loads(text)
        known = {field.name for field in fields(cls)}
        if unknown := sorted(set(given) - known):
            sys.exit(f"unknown in the job: {', '.join(unknown)}")
        try:
            return cls(**given)
        except TypeError as error:
            sys.exit(f"the job is not complete: {error}")


@dataclass(frozen=True)
class Batch:
    """Rows of one batch, S being its longest.

    Attributes:
        input_ids: (B, S) without virtual tokens.
        attention_mask: (B, S), 1 at real tokens.
        mask: (B,), the mask's position without virtual tokens.
        labels: (B,), index into the label words.
    """

    input_ids: torch.Tensor
    attention_mask: torch.Tensor
    mask: torch.Tensor
    labels: torch.Tensor


@dataclass(frozen=True)
class Split:
    """The examples of one split, as numpy arrays."""

    input_ids: np.ndarray
    lengths: np.ndarray
    mask: np.ndarray
    labels: np.ndarray

    @classmethod
    def load(cls, arrays: Any, name: str) -> Split:
        """Take split `name` out of an open .npz file."""
        return cls(
            *(arrays[f"{name}_{part}"].astype(np.int64) for part in ("input_ids", "lengths", "mask", "labels"))
        )

    def batches(self, size: int, pad_id: int, steps: int | None = None) -> Iterator[Batch]:
        """Batches in order: one pass, or `steps` of them, going round."""
        starts = range(0, len(self.lengths), size)
        for step in range(len(starts) if steps is None else steps):
            start = starts[step % len(starts)]
            yield self.batch(slice(start, start + size), pad_id)

    def batch(self, rows: slice, pad_id: int) -> Batch:
        """Pad the rows to the longest of them."""
        lengths = self.lengths[rows]
        real = np.arange(lengths.max()) < lengths[:, None]
        ids = np.where(real, self.input_ids[rows, : lengths.max()], pad_id)
        arrays = (ids, real.astype(np.int64), self.mask[rows], self.labels[rows])
        return Batch(*(torch.from_numpy(array) for array in arrays))


class LeanPrompt(nn.Module):
    """Prompt tuning by hand: no more of the head than the label words at the mask need.

    Args:
        model: The masked language model. It is frozen.
        job: For the number of virtual tokens and the label words.
    """

    def __init__(self, model: BertForMaskedLM, job: Job) -> None:
        super().__init__()
        self.model = model.requires_grad_(False)
        words = model.get_input_embeddings().weight
        self.prompt = nn.Parameter(words[torch.randint(len(words), (job.num_virtual,))].clone())
        head, rows = model.cls.predictions, torch.tensor(job.label_word_ids)
        self.transform = head.transform
        self.register_buffer("rows", head.decoder.weight[rows].clone())
        self.register_buffer("bias", head.decoder.bias[rows].clone())

    def forward(self, batch: Batch) -> torch.Tensor:
        """Class scores (B, C)."""
        count, size = len(self.prompt), len(batch.input_ids)
        words = self.model.get_input_embeddings()(batch.input_ids)
        prompt = self.prompt.expand(size, -1, -1)
        embeds = torch.cat([words[:, :1], prompt, words[:, 1:]], dim=1)
        attention = torch.cat([batch.attention_mask.new_ones(size, count), batch.attention_mask], dim=1)
        hidden = self.model.bert(inputs_embeds=embeds, attention_mask=attention).last_hidden_state
        at_mask = hidden[torch.arange(size), batch.mask + count]
        return nn.functional.linear(self.transform(at_mask), self.rows, self.bias)


class PeftPrompt(nn.Module):
    """Prompt tuning by PEFT, in front of the row.

    `FEATURE_EXTRACTION` is PEFT's task type for a model whose outputs are taken as they are; it has none for
    masked language models.
    """

    def __init__(self, model: BertForMaskedLM, job: Job) -> None:
        from peft import PromptTuningConfig, PromptTuningInit, TaskType, get_peft_model

        super().__init__()
        config = PromptTuningConfig(
            task_type=TaskType.FEATURE_EXTRACTION,
            num_virtual_tokens=job.num_virtual,
            prompt_tuning_init=PromptTuningInit.SAMPLE_VOCAB,
        )
        self.count = job.num_virtual
        self.label_word_ids = job.label_word_ids
        self.model = get_peft_model(model, config)

    @property
    def prompt(self) -> nn.Parameter:
        """The virtual tokens (P, H)."""
        return self.model.prompt_encoder["default"].embedding.weight

    def forward(self, batch: Batch) -> torch.Tensor:
        """Class scores (B, C)."""
        logits = self.model(input_ids=batch.input_ids, attention_mask=batch.attention_mask).logits
        at_mask = logits[torch.arange(len(logits)), batch.mask + self.count]
        return at_mask[:, self.label_word_ids]


def build(job: Job, arrays: Any, lean: bool) -> tuple[LeanPrompt | PeftPrompt, int]:
    """The prompted model, and the padding id.

    Raises:
        RuntimeError: If anything but the prompt would learn.
    """
    # transformers 5 keeps the file's fp16 unless told; PyTorch's CPU kernels are at their best in float32.
    model = BertForMaskedLM.from_pretrained(job.checkpoint, dtype=torch.float32)
    pad_id = model.config.pad_token_id or 0
    prompted = (LeanPrompt if lean else PeftPrompt)(model, job)
    learning = [parameter for parameter in prompted.parameters() if parameter.requires_grad]
    if len(learning) != 1 or learning[0] is not prompted.prompt:
        raise RuntimeError(f"{len(learning)} parameters learn, not the prompt alone")
    if "prompt" in arrays:
        with torch.no_grad():
            prompted.prompt.copy_(torch.from_numpy(arrays["prompt"]))
    return prompted, pad_id


def train(prompted: LeanPrompt | PeftPrompt, job: Job, split: Split, pad_id: int) -> dict[str, Any]:
    """Train the prompt; timings, losses and rates."""
    prompted.train(job.dropout)
    optimizer = torch.optim.AdamW([prompted.prompt], lr=job.lr, weight_decay=job.weight_decay)
    losses: list[float] = []
    seen, first_seen, first_at = 0, 0, 0.0
    started = time.perf_counter()
    for batch in split.batches(job.batch_size, pad_id, job.steps):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(prompted(batch), batch.labels)
        loss.backward()
        if job.max_grad_norm is not None:
            nn.utils.clip_grad_norm_([prompted.prompt], job.max_grad_norm)
        optimizer.step()
        losses.append(loss.item())
        seen += len(batch.labels)
        if len(losses) == 1:
            first_at, first_seen = time.perf_counter(), seen
    ended = time.perf_counter()
    return {
        "steps": len(losses),
        "seconds_to_first_step": first_at - started,
        "seconds_to_first_step_from_process_start": first_at - IMPORTED_AT + before_import(),
        "train_seconds": ended - started,
        "train_examples_per_second": seen / (ended - started),
        "train_examples_per_second_after_first_step": per_second(seen - first_seen, ended - first_at),
        "first_loss": losses[0],
        "final_loss": losses[-1],
        "mean_loss_last_10": float(np.mean(losses[-10:])),
    }


def predict(prompted: LeanPrompt | PeftPrompt, job: Job, split: Split, pad_id: int) -> dict[str, Any]:
    """Predict the split once; its rate and accuracy."""
    prompted.eval()
    predicted = []
    started = time.perf_counter()
    with torch.inference_mode():
        for batch in split.batches(job.batch_size, pad_id):
            predicted.append(prompted(batch).argmax(dim=-1).numpy())
    seconds = time.perf_counter() - started
    return {
        "predict_seconds": seconds,
        "predict_examples_per_second": per_second(len(split.labels), seconds),
        "accuracy": float(np.mean(np.concatenate(predicted) == split.labels)),
    }


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
    """The largest resident size so far, in MB of 2**20 bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10


def versions(lean: bool) -> dict[str, str]:
    """Versions of what ran. PEFT is not imported by the lean run, whose start-up it would slow."""
    found = {
        "python": sys.version.split()[0],
        "torch": torch.__version__,
        "transformers": transformers.__version__,
    }
    if not lean:
        import peft

        found["peft"] = peft.__version__
    return found


def main() -> None:
    """Run the job on the command line and print its result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lean", action="store_true", help="PyTorch by hand, without PEFT")
    parser.add_argument("job", type=Job.parse, help="a JSON object; see the top of this file")
    options = parser.parse_args()
    job: Job = options.job
    torch.manual_seed(job.seed)
    if job.threads is not None:
        torch.set_num_threads(job.threads)
    with np.load(job.examples) as arrays:
        prompted, pad_id = build(job, arrays, options.lean)
        splits = {name: Split.load(arrays, name) for name in ("train", "predict")}
    result: dict[str, Any] = {
        "mode": "lean" if options.lean else "peft",
        "versions": versions(options.lean),
        "threads": torch.get_num_threads(),
        **train(prompted, job, splits["train"], pad_id),
        "peak_memory_mb_after_training": peak_memory_mb(),
        **predict(prompted, job, splits["predict"], pad_id),
        "peak_memory_mb": peak_memory_mb(),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
