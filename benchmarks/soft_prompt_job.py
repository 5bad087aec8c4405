"""Writes the job that both sides of `peft.py` run: encoded examples, label words and a starting prompt.

Imports no MindSpore: the driver starts the measured processes, and Linux counts a parent's memory at that
moment as the child's peak.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from promptkit.backbones.native.config import read_config
from safetensors import safe_open

from promptkit.backbones.catalog import find_model
from promptkit.backbones.native.tokenizer import Tokenizer, load_tokenizer
from promptkit.data import Example, Task, load_task
from promptkit.errors import UserError
from promptkit.prompting import Encoded, Encoder, Template, default_words
from promptkit.running.config import MAX_LENGTH
from promptkit.strategies.contract import Defaults

Order = Literal["shuffled", "by-length"]


@dataclass(frozen=True)
class JobSettings:
    """What the job is made of.

    Attributes:
        data: name or path of a data set.
        model: name or directory of a BERT checkpoint.
        num_virtual: P.
        batch_size: B.
        lr: the peak learning rate.
        max_grad_norm: of the clipping.
        seed: of the order and the starting prompt.
        train_examples, predict_examples: at most so many; None takes the split.
        torch_order: `shuffled`, or batches of rows of like length, shuffled.
    """

    data: str
    model: str
    num_virtual: int = 10
    batch_size: int = 32
    lr: float = 0.01
    max_grad_norm: float = 1.0
    seed: int = 0
    train_examples: int | None = None
    predict_examples: int | None = None
    torch_order: Order = "shuffled"


def write_job(settings: JobSettings, folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Write the examples into `folder`; return the job and a description of it.

    Raises:
        UserError: for data or a model that cannot be used.
    """
    directory = find_model(settings.model)
    config = read_config(directory)
    if config.architecture != "bert":
        raise UserError(f"model '{settings.model}': the PyTorch side runs BERT, not {config.architecture}.")
    tokenizer = load_tokenizer(directory, config.architecture, config.vocab_size)
    task = load_task(settings.data)
    template = Template.parse(Defaults().templates_for(task.language)[0])
    words = label_words(task, tokenizer, template)
    room = min(MAX_LENGTH, config.max_length) - settings.num_virtual
    encoder = Encoder(template, tokenizer, mask_slots=1, max_length=room)
    rng = np.random.default_rng(settings.seed)
    arrays: dict[str, Any] = {"prompt": starting_prompt(directory, tokenizer, settings.num_virtual, rng)}
    sizes = {}
    for name, examples, most in (
        ("train", task.train, settings.train_examples),
        ("predict", task.test, settings.predict_examples),
    ):
        # Shuffled in any case: data sets come sorted by class.
        chosen = [examples[index] for index in rng.permutation(len(examples))[:most]]
        encoded = encoder.encode_many([example.fields() for example in chosen])
        order = np.arange(len(chosen))
        if settings.torch_order == "by-length":
            order = by_length([len(row.input_ids) for row in encoded], settings.batch_size, rng)
        arrays |= split_arrays(name, task, chosen, encoded, order, tokenizer.pad_id)
        sizes[name] = len(chosen)
    examples_file = folder / "examples.npz"
    np.savez(examples_file, **arrays)
    job = {
        "checkpoint": str(directory.resolve()),
        "examples": str(examples_file.resolve()),
        "label_word_ids": [number for _, number in words],
        "batch_size": settings.batch_size,
        "num_virtual": settings.num_virtual,
        "lr": settings.lr,
        "seed": settings.seed,
        "max_grad_norm": settings.max_grad_norm,
    }
    (folder / "job.json").write_text(json.dumps(job, indent=2) + "\n", encoding="utf-8")
    about = {
        "data": task.name,
        "data_fingerprint": task.fingerprint,
        "model": settings.model,
        "template": str(template.with_soft_prefix(settings.num_virtual)),
        "label_words": [word for word, _ in words],
        "train_examples": sizes["train"],
        "predict_examples": sizes["predict"],
        "torch_order": settings.torch_order,
    }
    return job, about


def label_words(task: Task, tokenizer: Tokenizer, template: Template) -> list[tuple[str, int]]:
    """Return the label word of each class with its id.

    Raises:
        UserError: unless promptkit's default is one word of one piece a class.
    """
    verbalizer = default_words(task.labels, task.language)
    if verbalizer is None:
        raise UserError(f"the benchmark needs two sentiment classes, not {', '.join(task.labels)}.")
    resolved = verbalizer.resolve(tokenizer, task.labels, after_space=template.mask_follows_space)
    if resolved.slots != 1 or any(len(words) != 1 for words in resolved.words):
        raise UserError(f"the benchmark needs one label word of one piece a class, not '{verbalizer}'.")
    return [(words[0], pieces[0][0]) for words, pieces in zip(resolved.words, resolved.pieces, strict=True)]


def starting_prompt(directory: Path, tokenizer: Tokenizer, count: int, rng: np.random.Generator) -> Any:
    """Return the embeddings of words drawn from the vocabulary, (P, H) float32 (Lester et al. 2021)."""
    words = [number for number in range(tokenizer.vocab_size) if tokenizer.token(number).isalpha()]
    drawn = [words[int(index)] for index in rng.choice(len(words), size=count, replace=False)]
    with safe_open(directory / "model.safetensors", framework="numpy") as weights:
        (key,) = [key for key in weights.keys() if key.endswith("word_embeddings.weight")]  # noqa: SIM118
        table = weights.get_slice(key)
        return np.concatenate([table[number : number + 1] for number in drawn]).astype(np.float32)


def by_length(lengths: Sequence[int], batch_size: int, rng: np.random.Generator) -> Any:
    """Return an order whose batches hold rows of like length; full batches shuffled, the rest behind."""
    order = np.argsort(np.asarray(lengths), kind="stable")
    whole = len(order) // batch_size * batch_size
    batches = order[:whole].reshape(-1, batch_size)
    return np.concatenate([rng.permutation(batches).reshape(-1), order[whole:]])


def split_arrays(
    name: str, task: Task, examples: Sequence[Example], encoded: Sequence[Encoded], order: Any, pad_id: int
) -> dict[str, Any]:
    """Return one split's arrays as `torch_peft.py` describes them, rows in `order`."""
    rows = [encoded[index] for index in order]
    lengths = np.array([len(row.input_ids) for row in rows])
    ids = np.full((len(rows), lengths.max()), pad_id, np.int32)
    for line, row in zip(ids, rows, strict=True):
        line[: len(row.input_ids)] = row.input_ids
    return {
        f"{name}_input_ids": ids,
        f"{name}_lengths": lengths,
        f"{name}_mask": np.array([row.mask_positions[0] for row in rows]),
        f"{name}_labels": np.array([task.label_index(examples[index].label) for index in order]),
    }
