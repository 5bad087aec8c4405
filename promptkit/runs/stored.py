"""What the store hands out: runs, and the comparisons they were made for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from promptkit.errors import UserError
from promptkit.runs.baseline import BaselineRecord
from promptkit.runs.files import shown
from promptkit.runs.record import RunRecord

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

ARTIFACT_NAME = "prompt.safetensors"
Shots = int | Literal["full"] | None
"""K examples a class, all of them, or None for what learns nothing, so that the draw does not matter."""
Role = Literal["strategy", "baseline"]
"""Whether a row of a comparison is compared, or compared with."""


@dataclass(frozen=True, eq=False)
class StoredRun:
    """A finished run, or a baseline, as the store holds it.

    Attributes:
        id: its number in the store.
        name: unique; also the name of its directory.
        key: hexadecimal, see `Plan.key`; a comparison finds it by that. None where a later run has it.
        record: everything measured.
        truth: true classes of the test split, (N,).
        predicted: predicted classes, (N,).
        directory: None for a baseline. It may have been deleted by hand.
        folds: the runs that this one is made of, if it stands for a whole cross-validation.
    """

    id: int
    name: str
    key: str | None
    record: RunRecord | BaselineRecord
    truth: NDArray[np.int64]
    predicted: NDArray[np.int64]
    directory: Path | None
    folds: tuple[StoredRun, ...] = ()

    @property
    def parts(self) -> tuple[StoredRun, ...]:
        """The runs that were made: the folds, or this one alone."""
        return self.folds or (self,)

    @property
    def is_baseline(self) -> bool:
        """Whether it is a baseline, which has no prompt."""
        return isinstance(self.record, BaselineRecord)

    @property
    def strategy(self) -> str:
        """Name of the strategy, or of the baseline."""
        return self.record.name if isinstance(self.record, BaselineRecord) else self.record.options.strategy

    @property
    def data(self) -> str:
        """The data set as it was asked for."""
        return self.record.data if isinstance(self.record, BaselineRecord) else self.record.options.data

    @property
    def shots(self) -> int | None:
        """K examples a class, None for all."""
        return self.record.shots if isinstance(self.record, BaselineRecord) else self.record.options.shots

    @property
    def seed(self) -> int:
        """Of the draw, the initialisation and the order of the batches."""
        return self.record.seed if isinstance(self.record, BaselineRecord) else self.record.options.seed

    @property
    def fold(self) -> tuple[int, int] | None:
        """Which fold of how many it was tested on, from 1; None outside a cross-validation."""
        return self.record.fold if isinstance(self.record, BaselineRecord) else self.record.options.fold

    @property
    def has_prompt(self) -> bool:
        """Whether its `prompt.safetensors` is there: a baseline has none, and a run's may have been deleted."""
        return self.directory is not None and (self.directory / ARTIFACT_NAME).is_file()

    def artifact(self) -> Path:
        """Return the path of its `prompt.safetensors`.

        Raises:
            UserError: for a baseline, or if the file was deleted.
        """
        if self.directory is None:
            raise UserError(f"run '{self.name}' is a baseline; it has no prompt.")
        path = self.directory / ARTIFACT_NAME
        if not self.has_prompt:
            raise UserError(
                f"run '{self.name}': its prompt '{shown(path)}' was deleted; what it reached is still in the store. "
                f"'promptkit runs rm {self.name}' forgets it, and the command that made it makes it again."
            )
        return path


@dataclass(frozen=True)
class PlannedCell:
    """A place in a comparison, finished or not.

    Attributes:
        strategy: name of the strategy or of the baseline.
        variant: what sets it apart from the same strategy with other settings, e.g. `tokens=20`; or empty.
        role: `baseline` for what every row is held against; zero-shot hard is one although it is a run.
        shots: see `Shots`.
        seed: of the draw, the initialisation and the order of the batches.
        key: of the run that fills the place.
    """

    strategy: str
    variant: str
    role: Role
    shots: Shots
    seed: int
    key: str


@dataclass(frozen=True)
class Entry:
    """A place in a comparison and the run that fills it, or None as long as it is not finished."""

    cell: PlannedCell
    run: StoredRun | None


@dataclass(frozen=True)
class StoredComparison:
    """A comparison: its places in the order of the table.

    Attributes:
        name: unique in the store.
        created: UTC, ISO 8601.
        command: the command line that made it; empty from Python.
        spec: the experiment as JSON values.
        entries: every place, finished or not.
    """

    name: str
    created: str
    command: tuple[str, ...]
    spec: dict[str, Any]
    entries: tuple[Entry, ...]

    @property
    def finished(self) -> tuple[Entry, ...]:
        """The places that have a run."""
        return tuple(entry for entry in self.entries if entry.run is not None)

    @property
    def missing(self) -> int:
        """How many places have no run yet."""
        return len(self.entries) - len(self.finished)


@dataclass(frozen=True)
class ComparisonSummary:
    """A comparison in a list: its name, when it was made (UTC, ISO 8601), and how far it is.

    Attributes:
        finished: places that have a run.
        whole: places there are.
    """

    name: str
    created: str
    finished: int
    whole: int

    @property
    def missing(self) -> int:
        """How many places have no run yet."""
        return self.whole - self.finished
