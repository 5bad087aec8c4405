"""A few runs of one strategy on the tiny model, each carried out once, when a check first asks for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from promptkit.hooks import get_host
from promptkit.running.asking import templates_for
from promptkit.strategies.contract import DEPENDS_ON, Strategy, parse_options
from promptkit.testing.tiny import PAIRS, SIZES, write_tiny_model, write_tiny_pairs, write_tiny_task

if TYPE_CHECKING:
    from promptkit.backbones.face import Backbone, Kind
    from promptkit.nn import PromptedModel
    from promptkit.running.config import RunConfig
    from promptkit.running.plan import Plan
    from promptkit.running.runner import Predictor, RunResult
    from promptkit.running.session import Session

_OF_ANY_OBJECTIVE = frozenset({
    "epochs", "lr", "batch_size", "accumulate", "weight_decay", "patience", "mode", "precision", "device", "seed",
})  # fmt: skip
Values = dict[str, Any]
Found = TypeVar("Found")


@dataclass(frozen=True)
class Learnt:
    """What a run made of the parameters of a model that the strategy built, by attribute path.

    Attributes:
        before, after: their values as arrays, when the model was built and when the run was over.
        learns: those that require gradient.
        parts: how many numbers learn, by part.
        fits: whether the model sets them itself, all at once.
        searches: whether it looks for what it keeps, which may be found at the start.
    """

    before: Values
    after: Values
    learns: frozenset[str]
    parts: dict[str, int]
    fits: bool
    searches: bool


@dataclass(frozen=True)
class First:
    """The run that most checks look at, written to a directory."""

    result: RunResult
    directory: Path
    learnt: tuple[Learnt, ...]


class RunSet:
    """Runs of a strategy that need not be installed.

    Graphs are compiled once for all runs, as in a comparison over seeds.

    Args:
        strategy: its class.
        folder: an empty one, for the model, the data and a run directory.
        options: of the strategy; its defaults by default.
        settings: of the runs, fields of `promptkit.RunConfig`: `lr`, `epochs`, `templates` and their like.
        kind: of the language model.
    """

    def __init__(
        self,
        strategy: type[Strategy],
        folder: Path,
        *,
        options: Mapping[str, Any] | None = None,
        settings: Mapping[str, Any] | None = None,
        kind: Kind = "masked",
    ) -> None:
        self.strategy, self.folder, self.kind = strategy, folder, kind
        self.options, self.settings = dict(options or {}), dict(settings or {})
        self.model = write_tiny_model(folder / "model", kind)
        self._tasks = [write_tiny_task(folder / f"task-{draw}", draw=draw) for draw in range(2)]
        self._built: list[tuple[PromptedModel, Values]] = []
        self._watching = True
        self._watched = _watched(strategy, self._built, lambda: self._watching)
        self._once: dict[Callable[[RunSet], Any], Any] = {}

    @cached_property
    def session(self) -> Session:
        """What the runs share."""
        from promptkit.running.session import Session

        return Session()

    @cached_property
    def instance(self) -> Strategy:
        """The strategy with its options."""
        return self.strategy(parse_options(self.strategy, self.options))

    @cached_property
    def plan(self) -> Plan:
        """The run as it was planned."""
        return self.fresh_plan()

    @property
    def depends_on(self) -> frozenset[str]:
        """What the numbers of these runs are declared to depend on."""
        return self.plan.depends_on

    @property
    def backbone(self) -> Backbone:
        """The frozen model that all runs share."""
        from promptkit.backbones.device import set_device

        device = set_device(self.config().device)
        return self.session.backbone(self.plan.model, str(self.model), device)

    def lent(self) -> AbstractContextManager[None]:
        """Let promptkit know the strategy, within the body."""
        return get_host().lent(self._watched)

    def config(self, *, draw: int = 0, **settings: Any) -> RunConfig:
        """Return the settings of a run; `draw` says which training examples."""
        from promptkit.running.config import make_config

        usual = {
            "strategy": self.strategy.name, "model": self.model, "options": self.options, "quiet": True,
            "save": "out" in settings, **self._asked(draw),
        }  # fmt: skip
        return make_config(**usual | self.settings | settings)

    def _asked(self, draw: int) -> dict[str, Any]:
        """Return what is learnt, from how many examples at a time, and how they are asked about."""
        asked: dict[str, Any] = {"data": self._tasks[draw], "batch_size": SIZES["train"] // 3}
        if "templates" not in self.settings:
            # One of them does, for each is trained by itself.
            defaults = self.instance.defaults
            asked["templates"] = templates_for(defaults.templates_for("en"), defaults.readout, self.kind)[:1]
        return asked

    def fresh_plan(self, **settings: Any) -> Plan:
        """Return a run as it is planned, its sources of random numbers still unused; see `config`."""
        from promptkit.running.plan import make_plan

        with self.lent():
            return make_plan(self.config(**settings), self.session.inputs)

    def run(self, **settings: Any) -> RunResult:
        """Carry out a run; see `config`."""
        from promptkit.running.runner import execute

        with self.lent():
            return execute(self.config(**settings), session=self.session)

    @property
    def first(self) -> First:
        """The first run.

        Raises:
            Exception: what ended it, at every call.
        """
        found = self._first
        if isinstance(found, Exception):
            raise found
        return found

    @cached_property
    def _first(self) -> First | Exception:
        try:
            directory = self.folder / "run"
            result = self.run(out=directory)
            # Now, for the next run goes on with the same models.
            return First(result, directory, tuple(_learnt(model, before) for model, before in self._built))
        except Exception as error:
            return error
        finally:
            self._watching = False

    @cached_property
    def again(self) -> RunResult:
        """The first run once more."""
        return self.run()

    @cached_property
    def loaded(self) -> Predictor:
        """What the first run saved."""
        from promptkit.running.predictor import load

        with self.lent():
            return load(self.first.directory)

    def once(self, look: Callable[[RunSet], Found]) -> Found:
        """Return what a function finds out, which several checks want to know."""
        if look not in self._once:
            self._once[look] = look(self)
        return self._once[look]  # type: ignore[no-any-return]

    def changed(self, words: frozenset[str]) -> RunResult:
        """Carry out a run in which something else is done of what numbers may depend on.

        Args:
            words: what is changed, of `training`, `examples` and `seed`.
        """
        assert words <= DEPENDS_ON
        settings: dict[str, Any] = {}
        if "training" in words:
            chosen = self.plan.settings
            settings = {"epochs": 2 if chosen.epochs == 1 else 1, "lr": 3 * chosen.lr, "weight_decay": 0.5}
        return self.run(seed=self.plan.config.seed + ("seed" in words), draw=int("examples" in words), **settings)


class WritingRuns(RunSet):
    """Runs of a strategy that learns to write: answers of a causal model to a few pairs.

    Args:
        strategy: its class.
        folder: an empty one.
        options: of the strategy; its defaults by default.
        settings: of the runs; those that are for classes, how they are asked about say, are left out.
    """

    def __init__(
        self,
        strategy: type[Strategy],
        folder: Path,
        *,
        options: Mapping[str, Any] | None = None,
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        kept = {name: value for name, value in (settings or {}).items() if name in _OF_ANY_OBJECTIVE}
        super().__init__(strategy, folder, options=options, settings=kept, kind="causal")
        self._pairs = write_tiny_pairs(folder / "pairs")

    def _asked(self, draw: int) -> dict[str, Any]:
        return {
            "objective": "text", "data": self._pairs, "batch_size": PAIRS["train"] // 2,
            "templates": ("{text} ? {mask}",), "max_tokens": 4, "metrics": ("rouge",),
        }  # fmt: skip

    def written_again(self) -> list[str]:
        """Return what the first run's prompt, loaded again, writes to the test texts."""
        from promptkit.running.writer import load_writer

        with self.lent():
            writer = load_writer(self.first.directory)
            return writer.write([example.text for example in self.plan.task.test])


def _watched(
    strategy: type[Strategy], built: list[tuple[PromptedModel, Values]], watching: Callable[[], bool]
) -> type[Strategy]:
    """Return the strategy with a `build` that keeps the models and their first values, each apart while watched."""

    def build(self: Strategy, backbone: Backbone, task: Any) -> PromptedModel:
        from promptkit.nn import PromptedModel

        model = strategy.build(self, backbone, task)
        if isinstance(model, PromptedModel):
            if watching() and built:
                # Else the model of the first template or round, which is alike, would learn in its place.
                model.keeps_graph = False
            built.append((model, _values(model)))
        return model

    names = {"build": build, "__module__": strategy.__module__, "__doc__": strategy.__doc__}
    return type(strategy.__name__, (strategy,), names)


def _values(model: PromptedModel) -> Values:
    return {path: parameter.asnumpy().copy() for path, parameter in model.own_parameters().items()}


def _learnt(model: PromptedModel, before: Values) -> Learnt:
    from promptkit.nn import count_parameters

    learns = frozenset(path for path, parameter in model.own_parameters().items() if parameter.requires_grad)
    return Learnt(before, _values(model), learns, count_parameters(model), model.fits, model.searches)
