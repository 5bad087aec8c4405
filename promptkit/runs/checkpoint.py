"""The state of a run that is under way, so that one that was killed goes on where it stood.

It is a file apart from the artifact: the artifact is what prediction needs, the state is what training needs
(for P-tuning the encoder and AdamW's moments, a thousand times the size of the folded prompt).
"""

from __future__ import annotations

import math
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from promptkit.errors import UserError
from promptkit.runs.artifact import load_artifact, save_artifact
from promptkit.runs.files import remove_left_behind

STATE_FORMAT = 2  # 1 did not say how many tokens were learnt from
EVERY_SECONDS = 15.0
_SHARE = 20  # a save is followed by so many times as long without one


class Checkpoints:
    """The states of a run's members, one file each in one folder.

    Args:
        folder: made if it is not there.
        identity: of the run; the state of another run is refused.
        every: seconds between two saves; by default 15, or what `PROMPTKIT_CHECKPOINT_SECONDS` says.
        writes: whether this process saves; of several that train together one does, and all read.
        peak_mb: tells the peak memory of this process.

    Attributes:
        identity, every, writes, peak_mb: as given.
        earlier_seconds: what the run had taken before this process, as far as it was saved.
        earlier_peak_mb: the peak memory of earlier processes.

    Raises:
        UserError: if the folder cannot be made, or holds the state of another run.
    """

    def __init__(
        self,
        folder: Path,
        identity: str,
        *,
        every: float | None = None,
        writes: bool = True,
        peak_mb: Callable[[], float] = lambda: 0.0,
    ) -> None:
        self._folder, self.identity, self.writes, self.peak_mb = folder, identity, writes, peak_mb
        self.every = _seconds_between() if every is None else every
        self._started = time.perf_counter()
        self.earlier_seconds = self.earlier_peak_mb = 0.0
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f"cannot write to '{folder}': {error.strerror}") from None
        if writes:
            remove_left_behind(folder, "member-*.safetensors")
        for path in sorted(folder.glob("member-*.safetensors")):
            found = _read(path)
            if found is None:
                continue
            if found[1]["identity"] != identity:
                raise UserError(f"'{folder}' holds the state of another run; name another folder or remove it.")
            self.earlier_seconds = max(self.earlier_seconds, float(found[1]["spent"]))
            self.earlier_peak_mb = max(self.earlier_peak_mb, float(found[1].get("peak_mb", 0)))

    def member(self, number: int) -> Checkpoint:
        """Return the checkpoint of the run's template `number`, from 0."""
        return Checkpoint(self._folder / f"member-{number}.safetensors", self)

    @property
    def spent(self) -> float:
        """Seconds of this run so far, those of earlier processes included."""
        return self.earlier_seconds + time.perf_counter() - self._started


class Checkpoint:
    """One state file; fulfils `promptkit.training.Checkpoint`."""

    def __init__(self, path: Path, run: Checkpoints) -> None:
        self._path, self._run = path, run
        self._saved, self._took = time.perf_counter(), 0.0
        self._failed = False

    def load(self) -> tuple[dict[str, Any], dict[str, Any]] | None:
        """Return the arrays and the values saved last, or None if there are none or they cannot be read."""
        found = _read(self._path)
        return None if found is None else (found[0], found[1]["values"])

    def due(self) -> bool:
        """Return whether the last save is long enough ago, for what it took: gigabytes are not written every time."""
        every = max(self._run.every, _SHARE * self._took) if self._run.every else 0.0
        return self._run.writes and time.perf_counter() - self._saved >= every

    def save(self, arrays: dict[str, Any], values: dict[str, Any]) -> None:
        """Replace the state. If the disk is full the run goes on without: a result is worth more than its state."""
        if not self._run.writes:
            return
        run, began = self._run, time.perf_counter()
        peak = max(run.earlier_peak_mb, run.peak_mb())
        card = {
            "format": STATE_FORMAT, "identity": run.identity, "spent": run.spent, "peak_mb": peak, "values": values,
        }  # fmt: skip
        try:
            save_artifact(self._path, {name: np.asarray(array) for name, array in arrays.items()}, card)
        except OSError as error:
            if not self._failed:
                fault = f"the training state cannot be saved ({error.strerror}); if it is killed this run starts anew"
                print(f"warning: {fault}", file=sys.stderr)
            self._failed = True
        self._saved = time.perf_counter()
        self._took = self._saved - began


def _seconds_between() -> float:
    text = os.environ.get("PROMPTKIT_CHECKPOINT_SECONDS", str(EVERY_SECONDS))
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds < math.inf:
        raise UserError(f"PROMPTKIT_CHECKPOINT_SECONDS is a number of seconds, not '{text}'.")
    return seconds


def _read(path: Path) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """Return a state, or None: one that is damaged or of another format only means to start anew."""
    if not path.is_file():
        return None
    try:
        arrays, card = load_artifact(path)
    except UserError:
        return None
    return (arrays, card) if card.get("format") == STATE_FORMAT else None
