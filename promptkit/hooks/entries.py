"""What plugins have registered, and the checks each registration passes."""

from __future__ import annotations

import inspect
import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, TypeVar

from promptkit.backbones.face import Engine
from promptkit.errors import UserError, kind_of, with_article
from promptkit.strategies.contract import Strategy
from promptkit.strategies.declared import check_class

if TYPE_CHECKING:
    from promptkit.data import Task

# Names that promptkit serves itself, without a plugin. A plugin that took one would never be heard.
RESERVED: dict[str, frozenset[str]] = {
    "data set": frozenset(
        {"dialogue-en", "dialogue-zh", "entailment-en", "news-en", "news-zh", "reviews-en", "reviews-zh"}
    ),
    "model": frozenset({"promptkit-mini"}),
    "metric": frozenset({"accuracy", "f1", "rouge"}),
}
_ENGINE_METHODS = ("claims", "describe", "load")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


class Fault(Exception):  # noqa: N818 - a verdict on a plugin, turned into a Refusal and never let out
    """What is wrong with a plugin."""


@dataclass(frozen=True)
class Origin:
    """Where something comes from: a plugin (its entry point's name) and the distribution that brings it."""

    plugin: str
    distribution: str
    version: str

    def __str__(self) -> str:
        return f"plugin '{self.plugin}' of {self.distribution} {self.version}"


@dataclass(frozen=True)
class Entry:
    """A registered name and where it comes from.

    Class attributes:
        kind: what such a thing is called.
    """

    kind: ClassVar[str]
    name: str
    origin: Origin

    @property
    def title(self) -> str:
        """How errors name it and where it comes from."""
        return f"{self.kind} '{self.name}' ({self.origin})"


@dataclass(frozen=True)
class StrategyEntry(Entry):
    """A strategy class."""

    kind = "strategy"
    cls: type[Strategy]


@dataclass(frozen=True)
class DatasetEntry(Entry):
    """A data set; `load` is the plugin's function, `read` what it gives once that is checked."""

    kind = "data set"
    load: Callable[[], Task]

    def read(self) -> Task:
        """Return the data set.

        Raises:
            UserError: if the function gives something else or raises one, or if the templates or the label words of
                the data set are none; it names the plugin.
        """
        from promptkit.data.task import SPLITS, Task

        try:
            task = self.load()
            if isinstance(task, Task):
                _check_question(task)
        except UserError as error:
            raise UserError(f"{self.title}: {error}") from None
        if not isinstance(task, Task):
            raise UserError(f"{self.title} gives {kind_of(task)}, not a promptkit.Task.")
        for split in SPLITS:
            if not task.split(split):
                raise UserError(f"{self.title} has no {split} examples.")
        return task


def _check_question(task: Task) -> None:
    """Raise `UserError` unless the data's own templates and label words can be read."""
    from promptkit.prompting import Template, Verbalizer

    for template in task.templates:
        Template.parse(template)
    if task.verbalizer is not None:
        Verbalizer.parse(task.verbalizer, task.labels)


@dataclass(frozen=True)
class ModelEntry(Entry):
    """A language model; `locate` is the plugin's function, `find` the directory it gives once that is checked."""

    kind = "model"
    locate: Callable[[], Path]

    def find(self) -> Path:
        """Return the checkpoint directory.

        Raises:
            UserError: if the function gives something else, or there is no such directory.
        """
        place = self.locate()
        if not isinstance(place, str | os.PathLike):
            raise UserError(f"{self.title} gives {kind_of(place)}, not the path of a directory.")
        if not os.path.isdir(place):
            raise UserError(f"{self.title} lies in '{os.fsdecode(place)}', which is no directory.")
        return Path(os.fsdecode(place))


@dataclass(frozen=True)
class EngineEntry(Entry):
    """An engine, which loads language models."""

    kind = "engine"
    engine: Engine


@dataclass(frozen=True)
class MetricEntry(Entry):
    """A metric; `path` is its `evaluate` metric module."""

    kind = "metric"
    path: Path


@dataclass
class Registrations:
    """Everything registered, by kind and name."""

    strategies: dict[str, StrategyEntry] = field(default_factory=dict)
    datasets: dict[str, DatasetEntry] = field(default_factory=dict)
    models: dict[str, ModelEntry] = field(default_factory=dict)
    engines: dict[str, EngineEntry] = field(default_factory=dict)
    metrics: dict[str, MetricEntry] = field(default_factory=dict)

    def update(self, other: Registrations) -> None:
        """Take over all of `other`."""
        for kind in fields(self):
            getattr(self, kind.name).update(getattr(other, kind.name))

    def without(self, origin: Origin) -> Registrations:
        """Return these registrations less those that come from `origin`."""
        kept = Registrations()
        for kind in fields(self):
            entries = getattr(self, kind.name).items()
            getattr(kept, kind.name).update({name: entry for name, entry in entries if entry.origin != origin})
        return kept


EntryT = TypeVar("EntryT", bound=Entry)


class Offer:
    """What one plugin registers, kept apart until all of it has passed.

    The methods are the `register` callables that the hooks hand out. Each raises `Fault` into the plugin and
    remembers it, so that a plugin which swallows the exception is refused all the same.
    """

    def __init__(self, origin: Origin, taken: Registrations) -> None:
        self.origin = origin
        self.offered = Registrations()
        self.fault: Fault | None = None
        self._taken = taken

    def strategy(self, cls: type[Strategy]) -> None:
        """Register a strategy class."""
        fault = check_class(cls)
        if fault:
            raise self._refuse(fault)
        entry = StrategyEntry(cls.name, self.origin, cls)
        self._add("strategy", self.offered.strategies, self._taken.strategies, entry)

    def dataset(self, name: str, load: Callable[[], Task]) -> None:
        """Register a data set under a name."""
        self._check_name("data set", name)
        self._check_callable("data set", name, load)
        entry = DatasetEntry(name, self.origin, load)
        self._add("data set", self.offered.datasets, self._taken.datasets, entry)

    def model(self, name: str, locate: Callable[[], Path]) -> None:
        """Register a language model under a name."""
        self._check_name("model", name)
        self._check_callable("model", name, locate)
        entry = ModelEntry(name, self.origin, locate)
        self._add("model", self.offered.models, self._taken.models, entry)

    def engine(self, engine: Engine) -> None:
        """Register an engine under its own name."""
        if inspect.isclass(engine):
            raise self._refuse(f"{engine.__name__} is a class; register an engine, that is {engine.__name__}()")
        missing = [name for name in _ENGINE_METHODS if not callable(getattr(engine, name, None))]
        if missing or not isinstance(engine, Engine):
            lacks = ", ".join(missing) or "name or summary"
            raise self._refuse(f"{engine!r} is no engine: it lacks {lacks}")
        self._check_name("engine", engine.name)
        if not isinstance(engine.summary, str) or not engine.summary.strip():
            raise self._refuse(f"engine '{engine.name}' has no summary")
        entry = EngineEntry(engine.name, self.origin, engine)
        self._add("engine", self.offered.engines, self._taken.engines, entry)

    def metric(self, name: str, path: Path | str) -> None:
        """Register an `evaluate` metric module under a name."""
        self._check_name("metric", name)
        if not isinstance(path, Path | str) or not os.path.exists(path):
            raise self._refuse(f"metric '{name}' needs the path of a metric module that exists, not {path!r}")
        entry = MetricEntry(name, self.origin, Path(path))
        self._add("metric", self.offered.metrics, self._taken.metrics, entry)

    def _check_name(self, kind: str, name: object) -> None:
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise self._refuse(f"{name!r} is no name for {with_article(kind)}; use letters, digits, '.', '-' and '_'")
        if name in RESERVED.get(kind, ()):
            raise self._refuse(f"the {kind} name '{name}' is taken by promptkit itself")

    def _check_callable(self, kind: str, name: str, function: object) -> None:
        if not callable(function):
            raise self._refuse(f"{kind} '{name}' needs a function without arguments, not {function!r}")

    def _add(self, kind: str, offered: dict[str, EntryT], taken: dict[str, EntryT], entry: EntryT) -> None:
        if entry.name in offered:
            raise self._refuse(f"it registers the {kind} name '{entry.name}' twice")
        if entry.name in taken:
            raise self._refuse(f"the {kind} name '{entry.name}' is taken by {taken[entry.name].origin}")
        offered[entry.name] = entry

    def _refuse(self, fault: str) -> Fault:
        self.fault = self.fault or Fault(fault)
        return self.fault
