"""What a plugin is told of a run: plain values, frozen, and no MindSpore."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from promptkit.runs import RunRecord

Status = Literal["finished", "failed", "interrupted"]


@dataclass(frozen=True)
class RunInfo:
    """A run that has begun.

    Attributes:
        key: two runs of one key on one machine give the same numbers; a run that was killed goes on under its key.
        strategy: its name.
        data: the data set's name or path, as it was given.
        model: the language model's name or path, as it was given.
        shots: K examples a class, None for all.
        seed: of draw, initial values and order of batches.
        settings: every setting with its default filled in, as `options` in `run.json`; JSON values. A device that
            was left open is `auto` still.
        resumed: whether the run goes on from a state that an earlier process left.
    """

    key: str
    strategy: str
    data: str
    model: str
    shots: int | None
    seed: int
    settings: Mapping[str, Any]
    resumed: bool


@dataclass(frozen=True)
class EpochInfo:
    """One pass over the training set that is done.

    Attributes:
        epoch: its number, from 1.
        template: the number of the template that is trained, from 0; a run with several trains one after the other.
        loss: mean training loss over its steps.
        dev_accuracy: 0 to 1; None where dev was not scored, as after most epochs of a few steps.
        dev_loss: mean cross entropy on dev; None where it was not scored.
        lr: the learning rate at its end.
        seconds: wall-clock time of this template's training steps so far, compilation included, scoring dev not.
        round: the round that is trained, from 0; most strategies have one, see `promptkit.Round`.
    """

    epoch: int
    template: int
    loss: float
    dev_accuracy: float | None
    dev_loss: float | None
    lr: float
    seconds: float
    round: int = 0


@dataclass(frozen=True)
class RunOutcome:
    """How a run ended.

    Attributes:
        status: `finished`, `failed` or `interrupted`.
        record: everything measured, as `run.json` holds it; None unless it finished.
        directory: the run's directory, whole and in place; None unless it finished, or where none is written. In a
            comparison it moves into the store once every plugin has been told.
        failure: why it failed, in one line; empty otherwise.
    """

    status: Status
    record: RunRecord | None = None
    directory: Path | None = None
    failure: str = ""
