"""Runs what a comparison lacks and puts it into the store: the only writer, whoever carries the cells out."""

from __future__ import annotations

import contextlib
import fcntl
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any

from promptkit.comparison.baselines import Baseline, plan_baselines
from promptkit.comparison.cells import Cell, Grid, make_grid
from promptkit.comparison.experiment import Experiment
from promptkit.comparison.orders import Order, Outcome, clear
from promptkit.comparison.pools import run_here, run_on_cluster
from promptkit.errors import UserError
from promptkit.running.loader import Loader
from promptkit.runs.faults import check_makeable
from promptkit.runs.files import sync_folder
from promptkit.runs.store import FINGERPRINTS, STORE_NAME, Store
from promptkit.runs.stored import PlannedCell, StoredComparison, StoredRun

CELLS = "cells"
_LOCK = "compare.lock"
Announce = Callable[[str], None]


@dataclass(frozen=True)
class Failure:
    """A cell that could not be run.

    Attributes:
        title: what progress lines call the cell.
        reason: why.
    """

    title: str
    reason: str


@dataclass(frozen=True)
class ComparisonResult:
    """What `compare` leaves.

    Attributes:
        comparison: as the store has it now.
        ran: how many cells were run.
        found: how many were in the store already.
        failures: key of the cell -> what it is called, and why it failed; titles may be there twice.
        bugs: those of them that are no fault of the input.
        notes: what the user should know, a sentence each.
    """

    comparison: StoredComparison
    ran: int
    found: int
    failures: dict[str, Failure]
    bugs: tuple[str, ...]
    notes: tuple[str, ...]


def compare(
    experiment: Experiment,
    *,
    store: Path,
    jobs: int = 1,
    dask: str | None = None,
    command: tuple[str, ...] = (),
    announce: Announce = lambda _: None,
    shows: bool = False,
    dry: bool = False,
) -> ComparisonResult:
    """Run every cell of an experiment that the store does not have yet.

    Whatever is killed, at whatever moment: run it again, and it goes on. Finished cells are not run again, a
    half-trained one goes on from its last state.

    Args:
        experiment: what to compare.
        store: folder of the store; made if it is not there.
        jobs: cells at a time on this machine.
        dask: address of a Dask scheduler that carries the cells out instead.
        command: the command line, for the record.
        announce: is told what happens, in lines.
        shows: let the cells' own progress and warnings through.
        dry: only say what would be run.

    Raises:
        UserError: for bad input, before anything is run; or if another comparison is writing to the store.
    """
    inputs = Loader()
    baselines = list(plan_baselines(experiment, inputs))
    grid = make_grid(experiment, inputs, shows=shows)
    # The first baseline is the majority class, on all the data. What is true of none of the draws (that dev was cut,
    # where none has so many dev examples) is left to the warnings of the runs on all the data.
    whole, *draws = (baseline.task.cautions for baseline in baselines)
    said = (caution for caution in whole if any(caution in draw for draw in draws))
    grid = replace(grid, notes=(*grid.notes, *said))
    # A path may stand for another thing tomorrow, or in another folder.
    spec = {**experiment.spec, "notes": list(grid.notes), FINGERPRINTS["data"]: baselines[0].task.fingerprint}
    if grid.cells:
        spec[FINGERPRINTS["model"]] = inputs.model(grid.cells[0].config).fingerprint
    places = (*(baseline.place for baseline in baselines), *grid.places)
    if dry:
        name, missing = _not_stored(grid, store, experiment, places, spec)
        _say_plan(announce, experiment, name, grid, missing)
        return ComparisonResult(StoredComparison(name, "", command, spec, ()), 0, 0, {}, (), grid.notes)
    with Store.open(store) as database, _only_one(store):
        name = _name_in(database, experiment, spec)
        database.save_comparison(name, places, spec=spec, command=command)
        work = _Work(database, grid, announce)
        missing = work.missing()
        _say_plan(announce, experiment, name, grid, missing)
        work.measure(baselines)
        work.run(missing, jobs=jobs, dask=dask, command=command, shows=shows)
        comparison = database.comparison(name)
    ran, found = len(missing) - len(work.failures), len(grid.cells) - len(missing)
    return ComparisonResult(comparison, ran, found, work.failures, tuple(work.bugs), grid.notes)


class _Work:
    """A comparison under way."""

    def __init__(self, store: Store, grid: Grid, announce: Announce) -> None:
        self._store, self._grid, self._announce = store, grid, announce
        self.failures: dict[str, Failure] = {}
        self.bugs: list[str] = []
        self._warned: set[str] = set()

    def missing(self) -> list[Cell]:
        """Return the cells that the store does not have, after taking in those it only lacks the row of."""
        missing = []
        for cell in self._grid.cells:
            if self._store.by_key(cell.key) is None and self._store.adopt(cell.name, key=cell.key) is None:
                missing.append(cell)
            else:
                clear(self._folder(cell))  # which a kill behind the run's last breath leaves
        return missing

    def measure(self, baselines: list[Baseline]) -> None:
        """Fit the baselines that the store lacks; together they take seconds, so this happens here."""
        missing = [baseline for baseline in baselines if self._store.by_key(baseline.place.key) is None]
        if missing:
            self._announce(f"measuring {len(missing)} baseline{'s' if len(missing) > 1 else ''} without a model")
        for baseline in missing:
            if self._store.by_key(baseline.place.key) is None:
                record, truth, predicted = baseline.measure()
                self._store.add(record, truth, predicted, name=baseline.run_name, key=baseline.place.key)

    def run(self, cells: list[Cell], *, jobs: int, dask: str | None, command: tuple[str, ...], shows: bool) -> None:
        """Carry out cells and store each as it ends."""
        orders = [self._order(cell, command, shows) for cell in cells]
        by_key = {cell.key: cell for cell in cells}
        outcomes = run_on_cluster(orders, dask) if dask else run_here(orders, jobs)
        with contextlib.closing(outcomes):  # type: ignore[type-var]
            for number, outcome in enumerate(outcomes, 1):
                cell = by_key[outcome.key]
                said = self._take(cell, outcome)
                self._warn(outcome.warnings)
                self._announce(f"[{number}/{len(cells)}] {cell.title}: {said}")

    def _warn(self, warnings: tuple[str, ...]) -> None:
        """Say each warning once: a plugin that fails for one run mostly fails for all."""
        for warning in warnings:
            if warning not in self._warned:
                print(f"warning: {warning}", file=sys.stderr)
        self._warned.update(warnings)

    def _order(self, cell: Cell, command: tuple[str, ...], shows: bool) -> Order:
        # Whatever has an id was fetched when the cell was planned; an order lies on disk, and a mirror's address may
        # hold a password.
        update = {"command": command, "quiet": not shows, "download": False, "mirror": None}
        config = cell.config.model_copy(update=update)
        folder = self._folder(cell)
        kin = config.model_copy(update={"seed": 0}).model_dump_json()
        return Order(cell.key, config.model_dump_json(), str(folder), os.getcwd(), kin=kin, shows=shows)

    def _folder(self, cell: Cell) -> Path:
        return self._store.folder.absolute() / CELLS / cell.key

    def _take(self, cell: Cell, outcome: Outcome) -> str:
        """Put an outcome into the store; return what to say of it."""
        if not outcome.result:
            self.failures[cell.key] = Failure(cell.title, outcome.failure)
            if not outcome.bad_input:
                self.bugs.append(outcome.failure)
            return f"failed: {outcome.failure.splitlines()[0]}"
        run = self._commit(cell, Path(outcome.result))
        clear(self._folder(cell))
        scores = f"dev {_percent(run.record.dev.accuracy)}, test {_percent(run.record.test.accuracy)}"
        return f"{scores}, {run.record.cost.seconds.total:.0f} s"

    def _commit(self, cell: Cell, result: Path) -> StoredRun:
        """Rename a run directory into the store, then list it; killed in between, `adopt` finds the directory."""
        if run := self._store.by_key(cell.key):
            return run  # of `promptkit run`, in the meantime
        place = self._store.folder / cell.name
        self._make_way(place)
        os.rename(result, place)
        sync_folder(self._store.folder)
        run = self._store.adopt(cell.name, key=cell.key)
        if run is None:
            raise RuntimeError(f"the run in '{place}' is not whole, although its process ended well")
        return run

    def _make_way(self, place: Path) -> None:
        """Rename what lies where a run goes and is no whole run, for `adopt` did not take it; so nothing is lost."""
        if os.path.lexists(place):
            free = next(it for n in count(1) if not os.path.lexists(it := place.with_name(f"{place.name}.old-{n}")))
            os.rename(place, free)
            self._announce(f"note: '{place.name}' in the store was no whole run; it is '{free.name}' now")


@contextlib.contextmanager
def _only_one(store: Path) -> Iterator[None]:
    """Hold the store for one comparison; the system lets go of it when the process dies, however it dies."""
    try:
        lock = (store / _LOCK).open("w")
    except OSError as error:
        raise UserError(f"cannot write '{store / _LOCK}': {error.strerror}; give another --store.") from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(
                f"another comparison is writing to the store '{store}'; wait for it, or give another --store."
            ) from None
        except OSError as error:
            raise UserError(f"'{store / _LOCK}' cannot be locked: {error.strerror}; give another --store.") from None
        yield


def _not_stored(
    grid: Grid, folder: Path, experiment: Experiment, places: tuple[PlannedCell, ...], spec: dict[str, Any]
) -> tuple[str, list[Cell]]:
    """Return the name in a store and the cells it lacks, without making one; refuse a name that another one has."""
    if not os.path.exists(folder / STORE_NAME):
        check_makeable(folder)
        return experiment.title, list(grid.cells)
    with Store.open(folder, create=False) as store:
        name = _name_in(store, experiment, spec)
        store.refuse_other(name, places, spec)
        return name, [cell for cell in grid.cells if store.by_key(cell.key) is None]


def _name_in(store: Store, experiment: Experiment, spec: dict[str, Any]) -> str:
    """Return the experiment's title, with a fingerprint where one of other data or another model has the title.

    The same command on the same data and model finds its comparison again, however far that one came. A name that was
    given stays, and `refuse_other` looks after it.
    """
    title = experiment.title
    if experiment.name is not None or title not in {known.name for known in store.comparisons()}:
        return title
    there = store.comparison(title)
    unlike = [spec[key][:6] for key in FINGERPRINTS.values() if key in spec and spec[key] != there.spec.get(key)]
    return "-".join((title, *unlike))


def _say_plan(announce: Announce, experiment: Experiment, name: str, grid: Grid, missing: list[Cell]) -> None:
    strategies = ", ".join(experiment.strategies) or "baselines only"
    shots = ", ".join(str(shots) for shots in experiment.shots)
    seeds = f"{len(experiment.seeds)} seed{'s' if len(experiment.seeds) > 1 else ''}"
    variants = f", {len(experiment.variants)} variants" if experiment.variants else ""
    variants += f", {experiment.folds} folds" if experiment.folds else ""
    there = len(grid.cells) - len(missing)
    stored = f", {there} in the store already" if there else ""
    announce(
        f"{name}: {strategies} on {experiment.data} with {experiment.model}; "
        f"shots {shots}; {seeds}{variants}: {len(grid.cells)} run{'s' * (len(grid.cells) != 1)}{stored}"
    )
    if name != experiment.title:
        announce(
            f"note: '{experiment.title}' in the store is of other data or another model, so this one is '{name}'"
        )
    for note in grid.notes:
        announce(f"note: {note}")


def _percent(share: Any) -> str:
    return "-" if share is None else f"{100 * share:.1f} %"
