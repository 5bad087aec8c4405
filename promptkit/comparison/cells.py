"""From an experiment to its cells: what is to be run, under which key, for which place of the table."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Literal

from tqdm import tqdm

from promptkit.comparison.experiment import Experiment, Fold, Variant
from promptkit.errors import UserError, unknown
from promptkit.hooks import get_host
from promptkit.running.config import RunConfig
from promptkit.running.loader import Loader
from promptkit.running.plan import Plan, make_plan, suits
from promptkit.runs.files import folder_name
from promptkit.runs.stored import PlannedCell, Role, Shots

ZERO_SHOT = "hard"
_OF_THE_ROWS = ("templates", "readout", "options")  # shared settings that a baseline, asked as by default, leaves out


@dataclass(frozen=True)
class Cell:
    """A run that fills one place of a comparison, or several.

    Attributes:
        key: of the run, see `Plan.key`.
        name: what its directory in the store is called.
        config: its settings, with the folders left open.
        title: what progress lines call it.
    """

    key: str
    name: str
    config: RunConfig
    title: str


@dataclass(frozen=True)
class Grid:
    """The places of a comparison in the order of its table, and the runs that fill them, each once.

    Attributes:
        places: baselines that are runs first, then strategy by strategy.
        cells: every different run.
        notes: what the user should know, a sentence each.
    """

    places: tuple[PlannedCell, ...]
    cells: tuple[Cell, ...]
    notes: tuple[str, ...]


def make_grid(experiment: Experiment, inputs: Loader, *, shows: bool = False) -> Grid:
    """Plan every cell of an experiment, so that nothing is found wrong once the first has been run.

    Args:
        experiment: what to compare.
        inputs: reads its data and models.
        shows: whether there is a progress bar on a terminal, if it takes more than two seconds.

    Raises:
        UserError: for anything wrong with any cell.
    """
    builder = _Builder(inputs)
    notes = [note for name in experiment.baselines for note in builder.baseline(experiment, name)]
    named = "strategies" in experiment.model_fields_set
    strategies = [
        it for it in experiment.strategies if named or suits(experiment.run_config(it, None, None, 0), inputs)
    ]
    if left := [it for it in experiment.strategies if it not in strategies]:
        notes.append(f"no {', '.join(left)}, which is not for models of this kind")
    places = [
        (strategy, variant, shots, fold, seed)
        for strategy in strategies
        for variant in experiment.variants_of(strategy)
        for shots in experiment.shots
        for fold in experiment.each_fold
        for seed in experiment.seeds
    ]
    for place in tqdm(places, desc="planning", leave=False, delay=2, disable=None if shows else True):
        builder.add(experiment, *place)
    return Grid(tuple(builder.places), tuple(builder.cells.values()), tuple(notes))


class _Builder:
    """Collects places and cells; places of one key share a cell."""

    def __init__(self, inputs: Loader) -> None:
        self._inputs = inputs
        self.places: list[PlannedCell] = []
        self.cells: dict[str, Cell] = {}

    def baseline(self, experiment: Experiment, strategy: str) -> list[str]:
        """Add a strategy that every row is held against, asked as it is by default.

        Returns:
            Why not, if it cannot be run and stands there by default.

        Raises:
            UserError: if it cannot be run and was asked for by name.
        """
        if not experiment.strategies:
            return []
        called = "zero-shot baseline" if strategy == ZERO_SHOT else f"baseline '{strategy}'"
        if strategy not in (known := get_host().strategies):
            if experiment.names_baselines:
                raise unknown("baseline", strategy, [*known, "none"])
            return [f"no {called}: strategy '{strategy}' is not installed"]
        shared = {key: value for key, value in experiment.settings.items() if key not in _OF_THE_ROWS}
        plain = experiment.model_copy(update={"settings": shared, "strategy": {}})
        try:
            for shots, fold, seed in product(experiment.shots, experiment.each_fold, experiment.seeds):
                self.add(plain, strategy, None, shots, fold, seed, role="baseline")
        except UserError as error:
            if experiment.names_baselines:
                raise UserError(f"baseline {error}") from None
            return [f"no {called}: {error}"]
        return []

    def add(
        self,
        experiment: Experiment,
        strategy: str,
        variant: Variant | None,
        shots: int | Literal["full"],
        fold: Fold,
        seed: int,
        role: Role = "strategy",
    ) -> None:
        """Add one place of the grid."""
        plan = self._plan(experiment, strategy, variant, shots, fold, seed)
        drawn: Shots = shots
        if not plan.depends_on & {"training", "examples"}:
            # It never sees the draw, so one run stands for all of them, judged on the whole dev split.
            seed = seed if "seed" in plan.depends_on else 0
            plan, drawn = self._plan(experiment, strategy, variant, "full", fold, seed), None
        elif shots == "full" and not plan.depends_on & {"training", "seed"}:
            # There is one draw of all examples, and nothing else that a seed could change.
            plan, seed = self._plan(experiment, strategy, variant, "full", fold, 0), 0
        self._place(plan, variant.name if variant else "", role, drawn, seed)

    def _plan(
        self,
        experiment: Experiment,
        strategy: str,
        variant: Variant | None,
        shots: int | Literal["full"],
        fold: Fold,
        seed: int,
    ) -> Plan:
        config = experiment.run_config(strategy, variant, shots, seed, fold)
        get_host().strategy(strategy)  # whose error names it already
        try:
            return make_plan(config, self._inputs)
        except UserError as error:
            called = f"{strategy}, {variant.name}" if variant else strategy
            raise UserError(f"{called}: {error}") from None

    def _place(self, plan: Plan, variant: str, role: Role, shots: Shots, seed: int) -> None:
        place = PlannedCell(plan.strategy.name, variant, role, shots, seed, plan.key)
        if any((p.key, p.variant) == (place.key, variant) for p in self.places):
            # The same place again (what learns nothing, at every K), or the zero-shot baseline once more.
            return
        self.places.append(place)
        if plan.key not in self.cells:
            fold = plan.config.fold
            folded = f"fold {fold[0]} of {fold[1]}" if fold else ""
            parts = (plan.strategy.name, variant, _said(shots), folded, f"seed {seed}")
            title = ", ".join(part for part in parts if part)
            self.cells[plan.key] = Cell(plan.key, f"{folder_name(plan.stem)}-{plan.key[:8]}", plan.config, title)


def _said(shots: Shots) -> str:
    if shots is None:
        return "no training"
    return "full" if shots == "full" else f"{shots} shots"
