"""The training loop: batches, optimiser, early stop on dev, and a state to go on from after a kill."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from mindspore import Tensor, ops
from tqdm import tqdm

from promptkit.data import Batch
from promptkit.errors import UserError
from promptkit.ranks import Ranks
from promptkit.training.execution import Executor
from promptkit.training.gathering import Gathered
from promptkit.training.optimiser import ScheduledAdamW, TrainingSettings
from promptkit.training.selection import DevScores, Selection
from promptkit.training.sources import BatchSource

DEV_STEPS = 10
"""Steps between two scorings of dev, where an epoch has fewer."""
OnEpoch = Callable[[dict[str, Any]], None]
"""Is handed what a pass gave: epoch, its mean loss, dev_accuracy and dev_loss (None where dev was not scored), lr at
its end, and the seconds of the training steps so far."""


class Checkpoint(Protocol):
    """Keeps the state of a training that may be killed. `promptkit.runs.Checkpoint` keeps it in a file."""

    def load(self) -> tuple[dict[str, Any], dict[str, Any]] | None:
        """Return the arrays and the JSON values saved last, or None."""

    def due(self) -> bool:
        """Return whether it is time to save."""

    def save(self, arrays: dict[str, Any], values: dict[str, Any]) -> None:
        """Replace what was saved before; at every moment the old or the new state is whole."""


@dataclass
class TrainingResult:
    """What happened.

    Attributes:
        history: per scoring of dev: epoch, mean loss since the one before, dev_accuracy, dev_loss, lr.
        best_epoch: the epoch whose parameters were kept, from 1.
        seconds: wall-clock time of the training steps, compilation included, dev evaluation not.
        examples: training examples seen.
        epochs: passes over the training set.
    """

    history: list[dict[str, Any]] = field(default_factory=list)
    best_epoch: int = 0
    seconds: float = 0.0
    examples: int = 0
    epochs: int = 0


def train(
    executor: Executor,
    source: BatchSource,
    dev: BatchSource,
    dev_labels: Any,
    settings: TrainingSettings,
    rng: np.random.Generator,
    *,
    label: str = "",
    quiet: bool = False,
    checkpoint: Checkpoint | None = None,
    on_epoch: OnEpoch | None = None,
    ranks: Ranks | None = None,
) -> TrainingResult:
    """Train what requires gradient in the executor's model and leave it with its best epoch's values.

    Dev is scored after an epoch, or once in about `DEV_STEPS` steps where an epoch has fewer; `Selection` says which
    epoch is the best.

    Args:
        executor: the model, compiled or not, with its objective.
        source: training batches.
        dev: dev batches.
        dev_labels: (N_dev,) class indices.
        settings: see `TrainingSettings`.
        rng: shuffles the batches; from its seed comes what a model draws in a step (`PromptedModel.noise`).
        label: what the progress bar calls the run.
        quiet: no progress bar.
        checkpoint: where the state is saved from time to time, and gone on from: weights, moments, schedule,
            the generator, the place in the epoch, the best epoch so far. A training that was killed and went
            on ends with the same numbers as one that was not.
        on_epoch: is told of every pass, see `OnEpoch`.
        ranks: processes that take turns at the batches of every step, all of them with the same arguments but this;
            `settings.accumulate` counts the batches of all. What they learn is what one would.

    Raises:
        UserError: if the loss is no longer a number.
    """
    training = _Training(
        executor, source, dev, np.asarray(dev_labels), settings, rng, checkpoint, on_epoch, ranks or Ranks()
    )
    total = settings.epochs * source.size
    with tqdm(total=total, desc=label, unit="text", disable=True if quiet else None, leave=False) as bar:
        return training.run(bar)


class _Training:
    """A training under way: what it holds between two steps is what a checkpoint saves."""

    def __init__(
        self,
        executor: Executor,
        source: BatchSource,
        dev: BatchSource,
        dev_labels: Any,
        settings: TrainingSettings,
        rng: np.random.Generator,
        checkpoint: Checkpoint | None,
        on_epoch: OnEpoch | None,
        ranks: Ranks,
    ) -> None:
        self._executor, self._source, self._settings = executor, source, settings
        self._rng, self._checkpoint = rng, checkpoint
        self._on_epoch = on_epoch
        self._weights = list(executor.model.trainable_params())
        self._optimiser = ScheduledAdamW(self._weights, settings, settings.epochs * source.size)
        self._picked = Selection(self._weights, dev.size)
        self._dev = DevScores(executor, dev, dev_labels, self._picked)
        self._result = TrainingResult()
        # Scorings of a dev split after every other step would be noise, and patience would end in no time.
        self._every = max(1, round(DEV_STEPS / -(-source.steps // settings.accumulate)))
        self._epoch, self._taken, self._losses = 1, 0, list[float]()
        self._ranks = ranks
        self._gathered = Gathered(ranks, tuple(weight.shape for weight in self._weights))
        self._order = rng.bit_generator.state
        self._handed = (0, 0)
        self._noise = [int(word) for word in rng.bit_generator.seed_seq.generate_state(4)]  # type: ignore[attr-defined]
        self._done = False

    def run(self, bar: Any) -> TrainingResult:
        """Train to the end, from the start or from the checkpoint."""
        self._load()
        bar.update(min((self._epoch - 1) * self._source.size, bar.total))
        while not self._done:
            self._pass(bar)
            last = self._epoch >= self._settings.epochs
            scored = last or self._epoch % self._every == 0
            if scored:
                loss = float(np.mean(self._losses))
                self._result.history.append(self._dev.judged(self._epoch, loss, self._optimiser.rate))
            self._tell(scored)
            if scored:
                self._losses = []
            patience = self._settings.patience
            self._done = last or (bool(patience) and self._ranks.first(self._picked.stale >= patience))
            self._result.epochs = self._epoch
            self._epoch, self._taken = self._epoch + 1, 0
            self._order = self._rng.bit_generator.state
            self._handed = (self._source.tokens, self._source.positions)
            if self._done:
                # Scoring comes next and may take long; what was learnt must not be lost to it.
                self._save()
        self._picked.restore()
        self._result.best_epoch = self._picked.best.epoch if self._picked.best else 0
        return self._result

    def _pass(self, bar: Any) -> None:
        """Take the steps of an epoch that are still to be taken."""
        started = time.perf_counter()
        taken = self._taken
        for number, batch in enumerate(self._source.epoch(self._rng)):
            bar.update(batch.examples)
            if number < taken:
                continue
            self._gather(number, batch)
            self._taken += 1
            if self._gathered.batches < self._settings.accumulate:
                continue
            self._step()
            bar.set_postfix(loss=f"{np.mean(self._losses):.3f}", dev=self._picked.text, refresh=False)
            if self._checkpoint is not None and self._checkpoint.due():
                self._result.seconds += time.perf_counter() - started
                self._save()
                started = time.perf_counter()
        if self._gathered.batches:
            self._step()
        self._result.seconds += time.perf_counter() - started
        self._result.examples += self._source.size

    def _gather(self, number: int, batch: Batch) -> None:
        """Add what a batch of this epoch gives to what was gathered; one of another process is counted only."""
        if not self._ranks.takes(number):
            self._gathered.count(batch)
            return
        # Of the step and not of those before it: a training that goes on draws the same.
        drawn = np.random.default_rng([*self._noise, self._epoch, number])
        loss, gradients = self._executor.loss_and_gradients(batch, rng=drawn)
        self._gathered.add(loss, gradients, batch, self._settings.accumulate)

    def _step(self) -> None:
        """Take a step by the gradients that were gathered."""
        loss, gradients, examples = self._gathered.take()
        moved = self._optimiser.step(gradients, examples)
        self._losses.append(float(loss.asnumpy()) if hasattr(loss, "asnumpy") else loss)
        where = f"training diverged in epoch {self._epoch}"
        if not math.isfinite(self._losses[-1]):
            raise UserError(f"{where}: the loss is {self._losses[-1]}; lower --lr.")
        if not moved:
            raise UserError(f"{where}: a gradient is no finite number; lower --lr, or take --precision fp32.")

    def _tell(self, scored: bool) -> None:
        """Tell of the pass that was just taken."""
        if self._on_epoch is None:
            return
        dev = self._result.history[-1] if scored else dict.fromkeys(("dev_accuracy", "dev_loss"))
        steps = -(-self._taken // self._settings.accumulate)
        told = {
            "epoch": self._epoch,
            "loss": float(np.mean(self._losses[-steps:])),
            "dev_accuracy": dev["dev_accuracy"],
            "dev_loss": dev["dev_loss"],
            "lr": self._optimiser.rate,
            "seconds": self._result.seconds,
        }
        self._on_epoch(told)

    def _save(self) -> None:
        if self._checkpoint is None:
            return
        moments, numbers = self._optimiser.state()
        arrays = {f"weight.{i}": weight.asnumpy().copy() for i, weight in enumerate(self._weights)}
        candidates, picked = self._picked.state()
        arrays |= candidates | moments
        values = {
            "epoch": self._epoch,
            "taken": self._taken,
            "losses": self._losses,
            "done": self._done,
            "order": self._order,
            "handed": self._handed,
            "optimiser": numbers,
            "picked": picked,
            "history": self._result.history,
            "seconds": self._result.seconds,
            "examples": self._result.examples,
            "epochs": self._result.epochs,
        }
        self._checkpoint.save(arrays, values)

    def _load(self) -> None:
        found = self._checkpoint.load() if self._checkpoint is not None else None
        if found is None:
            return
        arrays, values = found
        for index, weight in enumerate(self._weights):
            ops.assign(weight, Tensor(arrays[f"weight.{index}"]))
        self._optimiser.restore(arrays, values["optimiser"])
        self._picked.load(arrays, values["picked"])
        self._result.history = values["history"]
        self._result.seconds, self._result.examples = values["seconds"], values["examples"]
        self._result.epochs = values["epochs"]
        self._epoch, self._losses, self._done = values["epoch"], values["losses"], values["done"]
        self._taken = values["taken"]
        # The epoch's batches are drawn again, the same ones, and those already learnt from are passed over.
        self._order = self._rng.bit_generator.state = values["order"]
        # Up to this epoch, whose first batches are handed out again.
        self._handed = (int(values["handed"][0]), int(values["handed"][1]))
        self._source.tokens, self._source.positions = self._handed
