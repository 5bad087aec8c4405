"""The job that every side of `peft.py` runs, made by promptkit's own planning of `run --strategy soft`.

    python soft_prompt_job.py FOLDER '{"data": "NAME or PATH", "model": "NAME or DIR", ...}'

Writes into FOLDER: `job.json`; `examples.npz`, the encoded examples and the starting prompt as `torch_peft.py` takes
them; `task.pickle`, the same for promptkit's side. In a process of its own, for it loads MindSpore to ask for the
starting prompt, and Linux counts a parent's memory at the moment it starts a child as the child's peak.
"""

from __future__ import annotations

import json
import pickle
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from promptkit.backbones.device import Mode
from promptkit.backbones.engines import load_backbone
from promptkit.backbones.fusion import fuse, prepare
from promptkit.data import Rows, Task, load_task
from promptkit.errors import UserError
from promptkit.hooks import get_host
from promptkit.prompting import Encoded
from promptkit.prompting.resolved import EncodedTask, PromptTask
from promptkit.running.config import DEFAULT_DATA, DEFAULT_MODEL, RunConfig, make_config
from promptkit.running.loader import Loader
from promptkit.running.plan import Plan, make_plan

if TYPE_CHECKING:
    from promptkit.training import TrainingSettings

Order = Literal["by-length", "shuffled"]
_CAUSAL = "{soft:20}{text} It was {mask}"


@dataclass(frozen=True)
class JobSettings:
    """What the job is made of; all else is as `promptkit run --strategy soft` has it by default.

    Attributes:
        data: name or path of a data set.
        model: name, directory or GGUF file of a BERT or a causal language model.
        seed: of the examples' order and the starting prompt.
        train_examples, predict_examples: at most so many; None takes the split.
        torch_order: PyTorch's batches: of rows of like length, shuffled, or of any rows.
        mode: how promptkit runs the model.
    """

    data: str = DEFAULT_DATA
    model: str = DEFAULT_MODEL
    seed: int = 0
    train_examples: int | None = None
    predict_examples: int | None = None
    torch_order: Order = "by-length"
    mode: Mode = "graph"


class _Read(Loader):
    """The inputs of a plan whose data was read before."""

    def __init__(self, task: Task) -> None:
        super().__init__()
        self._task = task

    def task(self, config: RunConfig) -> Task:
        """Return the data."""
        return self._task


def read_task(settings: JobSettings) -> Task:
    """Return the data in a random order, for data sets come sorted by class, and no more of it than is asked for.

    Raises:
        UserError: for data that cannot be used.
    """
    task = load_task(settings.data)
    rng = np.random.default_rng(settings.seed)

    def some(examples: tuple[Any, ...], most: int | None) -> tuple[Any, ...]:
        return tuple(examples[number] for number in rng.permutation(len(examples))[:most])

    train, test = some(task.train, settings.train_examples), some(task.test, settings.predict_examples)
    # Nothing is chosen by dev.
    return replace(task, train=train, dev=test[:1], test=test)


def plan_run(settings: JobSettings, task: Task, strategy: str, template: str | None = None) -> Plan:
    """Return a run of a strategy: one pass over the training examples, every step in one batch.

    Raises:
        UserError: for a strategy or a model that cannot be used.
    """
    config = make_config(
        strategy=strategy,
        model=settings.model,
        seed=settings.seed,
        mode=settings.mode,
        epochs=1,
        accumulate=1,
        templates=() if template is None else (template,),
        quiet=True,
        save=False,
    )
    return make_plan(config, _Read(task))


def plan_job(settings: JobSettings, task: Task) -> Plan:
    """Return the run of the soft prompt.

    Raises:
        UserError: for a model that cannot be used, or that PyTorch's side does not run.
    """
    plan = plan_run(settings, task, "soft")
    if plan.model.info.kind == "causal":
        # The default for a causal model asks with a form, which is longer; both kinds have the same job.
        plan = plan_run(settings, task, "soft", _CAUSAL)
    prompt, info = plan.prompts[0], plan.model.info
    if info.kind == "masked" and info.architecture != "bert":
        raise UserError(
            f"model '{settings.model}': the PyTorch side runs BERT and causal models, not {info.architecture}."
        )
    words = prompt.verbalizer
    if words is None or words.slots != 1 or any(len(pieces) != 1 for pieces in words.pieces):
        raise UserError(f"the benchmark needs one label word of one piece a class, not '{plan.verbalizer}'.")
    return plan


def build(plan: Plan) -> Any:
    """Return the prompted model on the CPU, as a run builds it: of the job, a `SoftPrompt`."""
    from promptkit.backbones.device import set_device

    if plan.config.mode == "fused":
        prepare()
    fuse(plan.config.mode == "fused", set_device("CPU"))
    backbone = load_backbone(plan.model, get_host().engine_objects(), plan.config.model)
    return plan.strategy.build(backbone, plan.prompts[0])


def training_settings(plan: Plan) -> TrainingSettings:
    """Return how the run trains."""
    from promptkit.running import rounds

    return rounds.training_settings(plan.settings, plan.settings.epochs, plan.settings.accumulate)


def plan_rows_of(plan: Plan, encoded: Sequence[Encoded]) -> Rows:
    """Return the rows that these examples are trained in, as a run plans them."""
    from promptkit.data import plan_rows

    return plan_rows([len(each.token_ids) for each in encoded], plan.settings.batch_size, plan.model.info)


def plan_scoring_rows_of(plan: Plan, *sets: Sequence[Encoded]) -> Rows:
    """Return the rows that these sets of examples are scored in, as a run plans them."""
    from promptkit.data import plan_scoring_rows

    lengths = [[len(each.token_ids) for each in encoded] for encoded in sets]
    return plan_scoring_rows(lengths, plan.settings.batch_size, plan.model.info)


def labels_of(task: Task, split: str) -> list[int]:
    """Return the class index of every example of a split."""
    return [task.label_index(example.label) for example in getattr(task, split)]


def load_job(folder: Path) -> tuple[Plan, EncodedTask, dict[str, Any]]:
    """Return the run, its encoded examples and the job, as `write_job` wrote them."""
    job = json.loads((folder / "job.json").read_text(encoding="utf-8"))
    with (folder / "task.pickle").open("rb") as file:
        task, encoded = pickle.load(file)
    settings = JobSettings(model=job["checkpoint"], seed=job["seed"], mode=job["about"]["mode"])
    return plan_job(settings, task), encoded, job


def write_job(settings: JobSettings, folder: Path) -> None:
    """Write the job.

    Raises:
        UserError: for data or a model that cannot be used.
    """
    task = read_task(settings)
    plan = plan_job(settings, task)
    encoded = plan.encode()[0]
    prompt = plan.prompts[0]
    assert prompt.verbalizer is not None
    orders = {name: order_of(settings, plan, rows) for name, rows in _splits(encoded)}
    vectors = build(plan).virtual_vectors().asnumpy()
    arrays: dict[str, Any] = {"prompt": vectors}
    for (name, rows), split in zip(_splits(encoded), ("train", "test"), strict=True):
        whole = [prompt.encoder.whole(each) for each in rows]
        arrays |= split_arrays(name, whole, labels_of(task, split), orders[name], opening_of(prompt))
    np.savez(folder / "examples.npz", **arrays)
    with (folder / "task.pickle").open("wb") as file:
        pickle.dump((task, encoded), file)
    job = {
        "checkpoint": str(plan.model.directory.resolve()),
        "kind": plan.model.info.kind,
        "opening": opening_of(prompt),
        "label_word_ids": [words[0][0] for words in prompt.verbalizer.pieces],
        "batch_size": plan.settings.batch_size,
        "num_virtual": prompt.num_virtual,
        "lr": plan.settings.lr,
        "weight_decay": plan.settings.weight_decay,
        "max_grad_norm": training_settings(plan).clip,
        "seed": settings.seed,
        "first_batch": orders["train"][: plan.settings.batch_size].tolist(),
        "about": {
            **asdict(settings),
            "data": task.name,
            "data_fingerprint": task.fingerprint,
            "template": str(prompt.template),
            "label_words": str(plan.verbalizer),
            "train_examples": len(task.train),
            "predict_examples": len(task.test),
        },
    }
    (folder / "job.json").write_text(json.dumps(job, indent=2) + "\n", encoding="utf-8")


def _splits(encoded: EncodedTask) -> list[tuple[str, list[Encoded]]]:
    return [("train", encoded.train), ("predict", encoded.test)]


def order_of(settings: JobSettings, plan: Plan, encoded: Sequence[Encoded]) -> Any:
    """Return the order in which PyTorch takes the examples, (N,)."""
    if settings.torch_order == "shuffled":
        return np.arange(len(encoded))
    rng = np.random.default_rng(settings.seed)
    return by_length([len(each.token_ids) for each in encoded], plan.settings.batch_size, rng)


def by_length(lengths: Sequence[int], batch_size: int, rng: np.random.Generator) -> Any:
    """Return an order whose batches hold rows of like length; full batches shuffled, the rest behind."""
    order = np.argsort(np.asarray(lengths), kind="stable")
    whole = len(order) // batch_size * batch_size
    batches = order[:whole].reshape(-1, batch_size)
    return np.concatenate([rng.permutation(batches).reshape(-1), order[whole:]])


def opening_of(prompt: PromptTask) -> int:
    """Return how many special tokens open a prompt: [CLS], or what a causal model's tokenizer puts there, if any."""
    return int(prompt.tokenizer.cls_id >= 0)


def split_arrays(
    name: str, encoded: Sequence[Encoded], labels: Sequence[int], order: Any, opening: int
) -> dict[str, Any]:
    """Return one split as `torch_peft.py` describes it: rows in `order`, without virtual tokens.

    Raises:
        ValueError: if virtual tokens stand elsewhere than behind what opens a prompt, where PyTorch's side puts its
            own.
    """
    rows = [encoded[number] for number in order]
    pieces, masks = [], []
    for row in rows:
        count = sum(number >= 0 for number in row.virtual_ids)
        if row.virtual_ids[opening : count + opening] != tuple(range(count)):
            raise ValueError("the virtual tokens do not stand at the beginning")
        pieces.append((*row.token_ids[:opening], *row.token_ids[count + opening :]))
        masks.append(row.read[0] - count)
    lengths = np.array([len(each) for each in pieces])
    ids = np.zeros((len(rows), lengths.max()), np.int32)
    for line, each in zip(ids, pieces, strict=True):
        line[: len(each)] = each
    return {
        f"{name}_input_ids": ids,
        f"{name}_lengths": lengths,
        f"{name}_mask": np.array(masks),
        f"{name}_labels": np.asarray(labels)[order],
    }


if __name__ == "__main__":
    try:
        write_job(JobSettings(**json.loads(sys.argv[2])), Path(sys.argv[1]))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
