"""The host's side of a search: batches, losses and gradients through the executor, what dev picks, and its state."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import numpy as np
from mindspore import Tensor, ops
from tqdm import tqdm

from promptkit.data import Batch
from promptkit.training.execution import Executor
from promptkit.training.loop import Checkpoint, TrainingResult
from promptkit.training.selection import DevScores, Selection
from promptkit.training.sources import BatchSource


def search(
    executor: Executor,
    source: BatchSource,
    dev: BatchSource,
    dev_labels: Any,
    rng: np.random.Generator,
    *,
    label: str = "",
    quiet: bool = False,
    checkpoint: Checkpoint | None = None,
) -> TrainingResult:
    """Let the executor's model search, and leave it with the values that dev picks; see `PromptedModel.search`.

    Args:
        executor: the model, compiled or not, with its objective.
        source: training batches.
        dev: dev batches.
        dev_labels: (N_dev,) class indices.
        rng: draws the batches, and whatever the model draws.
        label: what the progress bar calls the run.
        quiet: no progress bar.
        checkpoint: where the state is saved from time to time, and gone on from.
    """
    started = time.perf_counter()
    work = _Search(executor, source, dev, np.asarray(dev_labels), rng, label, quiet, checkpoint)
    if not work.turn:
        work.offer()
    executor.model.search(work)
    work.selection.restore()
    best = work.selection.best
    return TrainingResult(
        work.history, best.epoch if best else 0, work.spent + time.perf_counter() - started, work.examples
    )


class _Search:
    """Fulfils `promptkit.nn.Search`. What it holds between two turns is what a checkpoint saves.

    The values that the model starts with are the first that dev may pick, as turn 0.
    """

    def __init__(
        self,
        executor: Executor,
        source: BatchSource,
        dev: BatchSource,
        dev_labels: Any,
        rng: np.random.Generator,
        label: str,
        quiet: bool,
        checkpoint: Checkpoint | None,
    ) -> None:
        self.rng, self.history, self.examples, self.spent = rng, list[dict[str, Any]](), 0, 0.0
        self._executor, self._source = executor, source
        self._label, self._quiet, self._checkpoint = label, quiet, checkpoint
        self._values = list(executor.model.own_parameters().values())
        self.selection = Selection(self._values, dev.size)
        self._dev = DevScores(executor, dev, dev_labels, self.selection)
        self.turn, self._started = 0, time.perf_counter()
        self._load()

    def turns(self, count: int) -> Iterator[int]:
        """See `promptkit.nn.Search`."""
        hidden = True if self._quiet else None
        with tqdm(total=count, initial=self.turn, desc=self._label, unit="turn", disable=hidden, leave=False) as bar:
            while self.turn < count:
                self.turn += 1
                yield self.turn
                bar.set_postfix(dev=self.selection.text, refresh=False)
                bar.update(1)
                if self._checkpoint is not None and (self.turn == count or self._checkpoint.due()):
                    self._save(self._checkpoint)

    def batch(self) -> Batch:
        """See `promptkit.nn.Search`."""
        handed = self._source.tokens, self._source.positions
        batch = next(iter(self._source.epoch(self.rng)))
        # It counts whenever the model reads it, not when it is drawn.
        self._source.tokens, self._source.positions = handed
        return batch

    def loss(self, batch: Batch) -> float:
        """See `promptkit.nn.Search`."""
        scores, real = self._executor.scores_of_batch(batch), batch.weights > 0
        _, loss = self._executor.judge(scores[real], batch.labels[real])
        self._source.count(batch)
        self.examples += int(real.sum())
        return loss

    def gradients(self, batch: Batch) -> tuple[float, tuple[Any, ...]]:
        """See `promptkit.nn.Search`."""
        loss, gradients = self._executor.loss_and_gradients(batch)
        self._source.count(batch)
        self.examples += int(batch.weights.sum())
        return float(loss.asnumpy()), tuple(each.asnumpy() for each in gradients)

    def offer(self, loss: float | None = None) -> None:
        """See `promptkit.nn.Search`."""
        self.history.append(self._dev.judged(self.turn, loss))

    def _save(self, checkpoint: Checkpoint) -> None:
        arrays, picked = self.selection.state()
        arrays |= {f"value.{number}": value.asnumpy().copy() for number, value in enumerate(self._values)}
        values = {
            "turn": self.turn,
            "random": self.rng.bit_generator.state,
            "picked": picked,
            "history": self.history,
            "examples": self.examples,
            "handed": (self._source.tokens, self._source.positions),
            "seconds": self.spent + time.perf_counter() - self._started,
        }
        checkpoint.save(arrays, values)

    def _load(self) -> None:
        found = self._checkpoint.load() if self._checkpoint is not None else None
        if found is None:
            return
        arrays, values = found
        for number, value in enumerate(self._values):
            ops.assign(value, Tensor(arrays[f"value.{number}"]))
        self.selection.load(arrays, values["picked"])
        self.turn, self.rng.bit_generator.state = values["turn"], values["random"]
        self.history, self.examples, self.spent = values["history"], values["examples"], values["seconds"]
        self._source.tokens, self._source.positions = values["handed"]
