"""The PyTorch side of the benchmark: soft-prompt tuning of a BERT masked language model, or of a causal one.

    python torch_peft.py [--lean] FOLDER

Two ways to do one job. By default, PEFT's prompt tuning over `AutoModelForMaskedLM` or `AutoModelForCausalLM`, as a
user would write it: the virtual tokens stand before everything, and the head computes the whole vocabulary's logits
at every position. With `--lean`, PyTorch by hand without PEFT: the virtual tokens stand after what opens a text, the
head sees the position that is read alone and computes the label words' rows alone. The difference between the two is
the price of generality.

In both only the prompt learns (AdamW, float32, constant rate), the batches come in the order of the file, and each
is padded to its own longest row. The loss is the cross entropy over the label words' logits at the mask. Dropout is
off: promptkit never applies it to a frozen model. The threads are PyTorch's own choice.

This file stands alone, for it runs in an environment without promptkit. FOLDER was written by `soft_prompt_job.py`.
Of `job.json` it reads

    checkpoint       directory with config.json and model.safetensors, or a GGUF file
    kind             masked or causal
    opening          tokens that open a text: 1 for [CLS]
    batch_size, num_virtual, lr, weight_decay, seed
    max_grad_norm    largest norm of the gradient
    label_word_ids   one vocabulary id for each class

and of `examples.npz`, for each split `train` and `predict`, without virtual tokens

    SPLIT_input_ids  (N, S) int, padded on the right with anything
    SPLIT_lengths    (N,) int
    SPLIT_mask       (N,) int, the position that is read: the mask's, or a causal model's last
    SPLIT_labels     (N,) int, the index into label_word_ids
    prompt           (num_virtual, H) float, where the prompt starts

Prints one JSON object on the last line of standard output. Seconds are wall time; `..._after_first` leaves out the
first batch, `..._tokens_per_second` counts virtual tokens and no padding.
"""

from __future__ import annotations

import time

# Before the heavy imports, which a user waits for as well.
IMPORTED_AT = time.perf_counter()

import json  # noqa: E402
import os  # noqa: E402
import resource  # noqa: E402
import sys  # noqa: E402
from collections.abc import Iterator  # noqa: E402
from dataclasses import dataclass, field  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Any  # noqa: E402

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import numpy as np  # noqa: E402
import torch  # noqa: E402
import transformers  # noqa: E402
from torch import nn  # noqa: E402
from transformers import AutoModelForCausalLM, AutoModelForMaskedLM  # noqa: E402

Job = dict[str, Any]


@dataclass(frozen=True)
class Batch:
    """Rows of one batch, S being its longest.

    Attributes:
        input_ids: (B, S) without virtual tokens.
        attention_mask: (B, S), 1 at real tokens.
        mask: (B,), the position that is read, without virtual tokens.
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

    def batches(self, size: int, pad_id: int) -> Iterator[Batch]:
        """Batches in order, one pass."""
        for start in range(0, len(self.lengths), size):
            yield self.batch(slice(start, start + size), pad_id)

    def batch(self, rows: slice, pad_id: int) -> Batch:
        """Pad the rows to the longest of them."""
        lengths = self.lengths[rows]
        real = np.arange(lengths.max()) < lengths[:, None]
        ids = np.where(real, self.input_ids[rows, : lengths.max()], pad_id)
        arrays = (ids, real.astype(np.int64), self.mask[rows], self.labels[rows])
        return Batch(*(torch.from_numpy(array) for array in arrays))


@dataclass
class Pass:
    """One pass over a split, timed.

    Attributes:
        name: of the figures.
        num_virtual: virtual tokens of each row.
        started: when it began.
        done: when each batch was done.
        examples: of each batch.
        tokens, positions: of all batches, virtual tokens included, without and with padding.
    """

    name: str
    num_virtual: int
    started: float = field(default_factory=time.perf_counter)
    done: list[float] = field(default_factory=list)
    examples: list[int] = field(default_factory=list)
    tokens: int = 0
    positions: int = 0

    def note(self, batch: Batch) -> None:
        """Take note of a batch that is done; called for every one."""
        self.done.append(time.perf_counter())
        rows, length = batch.input_ids.shape
        self.examples.append(rows)
        self.tokens += int(batch.attention_mask.sum()) + rows * self.num_virtual
        self.positions += rows * (length + self.num_virtual)

    def figures(self) -> dict[str, Any]:
        """Seconds, rates and the share of padding."""
        seconds, first, count = self.done[-1] - self.started, self.done[0] - self.started, sum(self.examples)
        return {
            f"{self.name}_seconds": seconds,
            f"{self.name}_examples_per_second": count / seconds,
            f"{self.name}_examples_per_second_after_first": (
                (count - self.examples[0]) / (seconds - first) if len(self.done) > 1 else None
            ),
            f"{self.name}_tokens_per_second": self.tokens / seconds,
            f"{self.name}_padded_share": 1.0 - self.tokens / self.positions,
        }


class LeanPrompt(nn.Module):
    """Prompt tuning by hand: no more of the head than the label words need where a text is read.

    Args:
        model: The language model. It is frozen.
        job: For the number of virtual tokens and the label words.
    """

    def __init__(self, model: Any, job: Job) -> None:
        super().__init__()
        self.model = model.requires_grad_(False)
        self.prompt = nn.Parameter(torch.zeros(job["num_virtual"], model.config.hidden_size))
        self.opening = job["opening"]
        rows = torch.tensor(job["label_word_ids"])
        if job["kind"] == "masked":
            self.transform, decoder = model.cls.predictions.transform, model.cls.predictions.decoder
        else:
            self.transform, decoder = nn.Identity(), model.get_output_embeddings()
        self.register_buffer("rows", decoder.weight[rows].clone())
        self.register_buffer("bias", None if decoder.bias is None else decoder.bias[rows].clone())

    def forward(self, batch: Batch) -> torch.Tensor:
        """Class scores (B, C)."""
        count, size, first = len(self.prompt), len(batch.input_ids), self.opening
        words = self.model.get_input_embeddings()(batch.input_ids)
        prompt = self.prompt.expand(size, -1, -1)
        embeds = torch.cat([words[:, :first], prompt, words[:, first:]], dim=1)
        attention = torch.cat([batch.attention_mask.new_ones(size, count), batch.attention_mask], dim=1)
        hidden = self.model.base_model(inputs_embeds=embeds, attention_mask=attention).last_hidden_state
        at_mask = hidden[torch.arange(size), batch.mask + count]
        return nn.functional.linear(self.transform(at_mask), self.rows, self.bias)


class PeftPrompt(nn.Module):
    """Prompt tuning by PEFT, in front of the row.

    `FEATURE_EXTRACTION` is PEFT's task type for a model whose outputs are taken as they are; it has none for
    masked language models.
    """

    def __init__(self, model: Any, job: Job) -> None:
        from peft import PromptTuningConfig, PromptTuningInit, TaskType, get_peft_model

        super().__init__()
        config = PromptTuningConfig(
            task_type=TaskType.CAUSAL_LM if job["kind"] == "causal" else TaskType.FEATURE_EXTRACTION,
            num_virtual_tokens=job["num_virtual"],
            prompt_tuning_init=PromptTuningInit.SAMPLE_VOCAB,
        )
        self.count = job["num_virtual"]
        self.label_word_ids = job["label_word_ids"]
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
    path = Path(job["checkpoint"])
    kind = AutoModelForMaskedLM if job["kind"] == "masked" else AutoModelForCausalLM
    if path.is_dir() and not (path / "config.json").is_file():
        (path,) = path.glob("*.gguf")
    file = {} if path.is_dir() else {"gguf_file": path.name}
    model = kind.from_pretrained(str(path if path.is_dir() else path.parent), dtype=torch.float32, **file)
    model.config.use_cache = False
    pad_id = model.config.pad_token_id or 0
    prompted = (LeanPrompt if lean else PeftPrompt)(model, job)
    learning = [parameter for parameter in prompted.parameters() if parameter.requires_grad]
    if len(learning) != 1 or learning[0] is not prompted.prompt:
        raise RuntimeError(f"{len(learning)} parameters learn, not the prompt alone")
    with torch.no_grad():
        prompted.prompt.copy_(torch.from_numpy(arrays["prompt"]))
    return prompted, pad_id


def train(prompted: LeanPrompt | PeftPrompt, job: Job, split: Split, pad_id: int) -> dict[str, Any]:
    """Train the prompt; timings, losses and rates."""
    prompted.eval()
    optimizer = torch.optim.AdamW([prompted.prompt], lr=job["lr"], weight_decay=job["weight_decay"])
    losses: list[float] = []
    timed = Pass("train", job["num_virtual"])
    for batch in split.batches(job["batch_size"], pad_id):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(prompted(batch), batch.labels)
        loss.backward()
        nn.utils.clip_grad_norm_([prompted.prompt], job["max_grad_norm"])
        optimizer.step()
        losses.append(loss.item())
        timed.note(batch)
    return {
        "steps": len(losses),
        "seconds_to_first_step": timed.done[0] - timed.started,
        "seconds_to_first_step_from_start": timed.done[0] - IMPORTED_AT + before_import(),
        **timed.figures(),
        "first_loss": losses[0],
        "mean_loss": float(np.mean(losses)),
    }


def predict(prompted: LeanPrompt | PeftPrompt, job: Job, split: Split, pad_id: int) -> dict[str, Any]:
    """Predict the split once; its rates and accuracy."""
    prompted.eval()
    predicted = []
    timed = Pass("predict", job["num_virtual"])
    with torch.inference_mode():
        for batch in split.batches(job["batch_size"], pad_id):
            predicted.append(prompted(batch).argmax(dim=-1).numpy())
            timed.note(batch)
    return {**timed.figures(), "accuracy": float(np.mean(np.concatenate(predicted) == split.labels))}


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
    """Run the job and print its result."""
    lean, folder = sys.argv[1] == "--lean", Path(sys.argv[-1])
    job = json.loads((folder / "job.json").read_text(encoding="utf-8"))
    torch.manual_seed(job["seed"])
    with np.load(folder / "examples.npz") as arrays:
        prompted, pad_id = build(job, arrays, lean)
        splits = {name: Split.load(arrays, name) for name in ("train", "predict")}
    result: dict[str, Any] = {
        "versions": versions(lean),
        "threads": torch.get_num_threads(),
        **train(prompted, job, splits["train"], pad_id),
        **predict(prompted, job, splits["predict"], pad_id),
        "peak_memory_mb": peak_memory_mb(),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
