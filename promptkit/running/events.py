"""Tells plugins what becomes of a run. Nothing that they do changes it."""

from __future__ import annotations

import contextlib
import random
import sys
import time
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np

from promptkit.errors import UserError
from promptkit.hooks import (
    EpochInfo,
    Origin,
    RunInfo,
    RunOutcome,
    describe_exception,
    exit_message,
    get_host,
)
from promptkit.interrupts import was_interrupted
from promptkit.running.plan import Plan

if TYPE_CHECKING:
    from promptkit.runs import RunRecord


class RunEvents:
    """The events of one run, as a context: a run that has begun ends with one event, however the body is left.

    A hook that raises costs one line of warning. Its plugin hears no more of this run but its end, so that it can
    close what it has opened.

    Args:
        plan: what is run.
        warned: the warnings that were printed already; new ones are added.
        heard: whether plugins are told; of several processes that train one prompt together one tells them.

    Attributes:
        seconds: spent in plugins.
    """

    def __init__(self, plan: Plan, warned: list[str], *, heard: bool = True) -> None:
        self._plan, self._warned, self._heard = plan, warned, heard
        self.seconds = 0.0
        self._run: RunInfo | None = None
        self._faulty: set[Origin] = set()
        # From Python it may hold the interrupt of an earlier run.
        self._interrupted_before = was_interrupted()

    def started(self, *, resumed: bool) -> None:
        """Say that the run begins.

        Args:
            resumed: whether it goes on from the state of an earlier process.
        """
        config, settings = self._plan.config, self._plan.settings
        self._run = RunInfo(
            key=self._plan.key,
            strategy=self._plan.strategy.name,
            data=config.data,
            model=config.model,
            shots=config.shots,
            seed=config.seed,
            settings=MappingProxyType(settings.model_dump(mode="json")),
            resumed=resumed,
        )
        self._tell("promptkit_run_started", run=self._run)

    def epoch_ended(self, turn: int, template: int, told: Mapping[str, Any]) -> None:
        """Say that a pass over the training set is done; see `promptkit.training.OnEpoch`."""
        epoch = EpochInfo(round=turn, template=template, **told)
        self._tell("promptkit_epoch_ended", but=self._faulty, run=self._run, epoch=epoch)

    def finished(self, record: RunRecord, directory: Path | None) -> None:
        """Say that the run is whole and stored."""
        self._end(RunOutcome("finished", record.model_copy(deep=True), directory))

    def __enter__(self) -> RunEvents:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Say that the run was interrupted, or that and why it failed, if it had begun and not ended."""
        if error is None or self._run is None:
            return
        # An interrupt may come out as another exception, see `was_interrupted`.
        if isinstance(error, KeyboardInterrupt) or (was_interrupted() and not self._interrupted_before):
            self._end(RunOutcome("interrupted"))
        else:
            self._end(RunOutcome("failed", failure=_said(error)))

    def _end(self, outcome: RunOutcome) -> None:
        # No second end, should this one be interrupted.
        run, self._run = self._run, None
        self._tell("promptkit_run_ended", run=run, outcome=outcome)

    def _tell(self, hook: str, *, but: Collection[Origin] = (), **arguments: Any) -> None:
        if not self._heard:
            return
        started = time.perf_counter()
        with _same_random_numbers():
            faults = get_host().tell(hook, but=but, **arguments)
        self.seconds += time.perf_counter() - started
        for origin, fault in faults.items():
            if fault not in self._warned:
                self._warned.append(fault)
                print(f"warning: {fault}", file=sys.stderr)
            self._faulty.add(origin)


def _said(error: BaseException) -> str:
    """Return what went wrong in one line, as the command line says it where it is the user's to mend."""
    if isinstance(error, SystemExit):
        return exit_message(error)
    return str(error) if isinstance(error, UserError) else describe_exception(error)


@contextlib.contextmanager
def _same_random_numbers() -> Iterator[None]:
    """Undo what the body draws from the common generators: strategies of third parties may start from them."""
    ours, numpys = random.getstate(), np.random.get_state()
    try:
        yield
    finally:
        random.setstate(ours)
        np.random.set_state(numpys)
