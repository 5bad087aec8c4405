"""Finds plugins, loads each one on its own, and keeps what they registered.

pluggy calls the hooks but leaves it to its host to survive a plugin that cannot be loaded. Here every plugin
has a pluggy manager of its own: a plugin that is refused leaves nothing behind and disturbs no other.
"""

from __future__ import annotations

import contextlib
import functools
import os
import re
import sys
import traceback
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

import pluggy

from promptkit.errors import unknown
from promptkit.hooks import spec
from promptkit.hooks.commands import add_commands, command_names
from promptkit.hooks.entries import (
    DatasetEntry,
    EngineEntry,
    Fault,
    MetricEntry,
    ModelEntry,
    Offer,
    Origin,
    Registrations,
    StrategyEntry,
)
from promptkit.hooks.validation import check_hooks, describe_exception

if TYPE_CHECKING:
    import typer

    from promptkit.backbones.face import Engine
    from promptkit.data import Task
    from promptkit.strategies.contract import Strategy

GROUP = "promptkit"
NO_PLUGINS = "PROMPTKIT_NO_PLUGINS"


@dataclass(frozen=True)
class Refusal:
    """A plugin that was not taken, and why. `str()` is one line."""

    origin: Origin
    fault: str

    def __str__(self) -> str:
        return " ".join(f"{self.origin} is refused: {self.fault}".split())


@dataclass(frozen=True)
class Candidate:
    """A plugin not yet loaded."""

    origin: Origin
    load: Callable[[], object]


class PluginHost:
    """The plugins that were found, what they registered, and which were refused.

    Attributes:
        refusals: one `Refusal` for each plugin that was not taken.
    """

    def __init__(self, candidates: Iterable[Candidate]) -> None:
        self.refusals: list[Refusal] = []
        self._registered = Registrations()
        self._managers: dict[Origin, pluggy.PluginManager] = {}
        self._reported = 0
        for candidate in candidates:
            with self._refusing(candidate.origin):
                self._admit(candidate)

    @classmethod
    def discover(cls) -> PluginHost:
        """Load the installed plugins: promptkit's own first, then the others by distribution and name.

        With the environment variable `PROMPTKIT_NO_PLUGINS` set (to anything but 0) only promptkit's own.
        """
        found = [Candidate(_origin(point), point.load) for point in metadata.entry_points(group=GROUP)]
        own = [candidate for candidate in found if _is_own(candidate)]
        others = [candidate for candidate in found if not _is_own(candidate)]
        if os.environ.get(NO_PLUGINS, "") not in ("", "0"):
            others = []
        return cls([*_in_order(own), *_in_order(others)])

    @classmethod
    def from_plugins(cls, plugins: Mapping[str, object]) -> PluginHost:
        """Take plugin objects (modules, or anything with hooks as attributes) by name; for tests.

        Each plugin's name stands for its distribution, too, with version 0.
        """
        return cls(
            Candidate(Origin(name, name, "0"), functools.partial(_identity, it)) for name, it in plugins.items()
        )

    @property
    def strategies(self) -> Mapping[str, StrategyEntry]:
        """Strategies by name."""
        return MappingProxyType(self._registered.strategies)

    @property
    def datasets(self) -> Mapping[str, DatasetEntry]:
        """Data sets by name, those of plugins only."""
        return MappingProxyType(self._registered.datasets)

    @property
    def models(self) -> Mapping[str, ModelEntry]:
        """Language models by name, those of plugins only."""
        return MappingProxyType(self._registered.models)

    @property
    def engines(self) -> Mapping[str, EngineEntry]:
        """Engines by name, in the order in which they are asked whether they claim a checkpoint."""
        found = self._registered.engines
        return MappingProxyType(
            dict(sorted(found.items(), key=lambda it: getattr(it[1].engine, "last_resort", False)))
        )

    @property
    def plugins(self) -> Mapping[Origin, tuple[str, ...]]:
        """Where the plugins that were taken come from, and which hooks each implements, by name."""
        return {
            origin: tuple(
                sorted(it.name for plugin in manager.get_plugins() for it in manager.get_hookcallers(plugin) or ())
            )
            for origin, manager in self._managers.items()
        }

    def dataset_readers(self) -> dict[str, Callable[[], Task]]:
        """Return the functions that read the data sets, by name; what they give is checked."""
        return {name: entry.read for name, entry in self.datasets.items()}

    def model_finders(self) -> dict[str, Callable[[], Path]]:
        """Return the functions that find the models' directories, by name; what they give is checked."""
        return {name: entry.find for name, entry in self.models.items()}

    def engine_objects(self) -> dict[str, Engine]:
        """Return the engines themselves, in the same order."""
        return {name: entry.engine for name, entry in self.engines.items()}

    @property
    def metrics(self) -> Mapping[str, MetricEntry]:
        """Metrics by name, those of plugins only."""
        return MappingProxyType(self._registered.metrics)

    @contextlib.contextmanager
    def lent(self, cls: type[Strategy]) -> Iterator[None]:
        """Have a strategy that no installed plugin brings, or one in the place of the installed one, for tests.

        It is known within the body. Nothing is checked: `check_class` says what is wrong with a class.
        """
        known = self._registered.strategies
        before = known.get(cls.name)
        origin = before.origin if before else Origin(cls.name, cls.__module__.partition(".")[0], "0")
        known[cls.name] = StrategyEntry(cls.name, origin, cls)
        try:
            yield
        finally:
            del known[cls.name]
            known.update({cls.name: before} if before else {})

    def strategy(self, name: str) -> StrategyEntry:
        """Return the strategy of that name.

        Raises:
            UserError: there is none; the message names those there are.
        """
        if name not in self.strategies:
            raise unknown("strategy", name, self.strategies)
        return self.strategies[name]

    def origin_of(self, error: BaseException) -> Origin | None:
        """Return the plugin whose code an exception came out of, the innermost one; None if it was nobody's."""
        homes = {module.partition(".")[0]: origin for module, origin in self._modules()}
        for frame, _ in reversed(list(traceback.walk_tb(error.__traceback__))):
            origin = homes.get(str(frame.f_globals.get("__name__")).partition(".")[0])
            if origin:
                return origin
        return None

    def register_commands(self, app: typer.Typer) -> None:
        """Let every plugin add its commands to `app`; one that fails is refused with all it registered."""
        taken: dict[str, object] = dict.fromkeys(command_names(app), "promptkit itself")
        for origin, manager in list(self._managers.items()):
            if manager.hook.promptkit_register_commands.get_hookimpls():
                with self._refusing(origin):
                    call = functools.partial(_call, manager, "promptkit_register_commands")
                    taken |= dict.fromkeys(add_commands(app, call, taken), origin)

    def listens(self, hook: str) -> bool:
        """Return whether any plugin implements a hook."""
        return any(getattr(manager.hook, hook).get_hookimpls() for manager in self._managers.values())

    def tell(self, hook: str, *, but: Collection[Origin] = (), **arguments: object) -> dict[Origin, str]:
        """Call a hook that tells plugins of something; one that raises disturbs nobody.

        Args:
            hook: its name.
            but: plugins that are left out.
            **arguments: of the hook.

        Returns:
            Those that raised, and what it was in one line.
        """
        faults = {}
        for origin, manager in self._managers.items():
            if origin in but or not getattr(manager.hook, hook).get_hookimpls():
                continue
            try:
                with contextlib.redirect_stdout(sys.stderr):
                    _call(manager, hook, **arguments)
            except Fault as fault:
                faults[origin] = f"{origin}: {fault}"
        return faults

    def report_refusals(self) -> None:
        """Write the refusals to standard error, one line each and each only once."""
        for refusal in self.refusals[self._reported :]:
            print(f"warning: {refusal}", file=sys.stderr)
        self._reported = len(self.refusals)

    def _modules(self) -> Iterator[tuple[str, Origin]]:
        """Yield the modules that plugins and what they registered come from."""
        for origin, manager in self._managers.items():
            yield from ((str(getattr(plugin, "__name__", "")), origin) for plugin in manager.get_plugins())
        registered = self._registered
        yield from ((entry.cls.__module__, entry.origin) for entry in registered.strategies.values())
        yield from ((entry.load.__module__, entry.origin) for entry in registered.datasets.values())
        yield from ((entry.locate.__module__, entry.origin) for entry in registered.models.values())
        yield from ((type(entry.engine).__module__, entry.origin) for entry in registered.engines.values())

    def _admit(self, candidate: Candidate) -> None:
        manager = pluggy.PluginManager(spec.PROJECT)
        manager.add_hookspecs(spec)
        with _fault_of("import"):
            plugin = candidate.load()
        with _fault_of("check"):
            check_hooks(manager, plugin)
            manager.register(plugin, candidate.origin.plugin)
        offer = Offer(candidate.origin, self._registered)
        for hook, register in (
            ("promptkit_register_strategies", offer.strategy),
            ("promptkit_register_datasets", offer.dataset),
            ("promptkit_register_models", offer.model),
            ("promptkit_register_engines", offer.engine),
            ("promptkit_register_metrics", offer.metric),
        ):
            _call(manager, hook, register=register)
            if offer.fault:
                raise offer.fault
        self._registered.update(offer.offered)
        self._managers[candidate.origin] = manager

    @contextlib.contextmanager
    def _refusing(self, origin: Origin) -> Iterator[None]:
        """Refuse the plugin on a `Fault`. Its prints go to standard error, which no script parses."""
        try:
            with contextlib.redirect_stdout(sys.stderr):
                yield
        except Fault as fault:
            self.refusals.append(Refusal(origin, str(fault)))
            self._registered = self._registered.without(origin)
            self._managers.pop(origin, None)


def _identity(plugin: object) -> object:
    return plugin


def _call(manager: pluggy.PluginManager, hook: str, **arguments: object) -> None:
    with _fault_of(hook):
        getattr(manager.hook, hook)(**arguments)


@contextlib.contextmanager
def _fault_of(step: str) -> Iterator[None]:
    """Turn whatever the body raises into a `Fault` that names the step; sys.exit() must not end the host."""
    try:
        yield
    except (KeyboardInterrupt, Fault):
        raise
    except BaseException as error:
        raise Fault(f"{step} failed: {describe_exception(error)}") from error


def _origin(point: metadata.EntryPoint) -> Origin:
    if point.dist is None:
        return Origin(point.name, "an unknown distribution", "")
    # Half-removed distributions leave metadata without a name or a version.
    return Origin(point.name, point.dist.metadata["Name"] or "?", point.dist.metadata["Version"] or "?")


def _is_own(candidate: Candidate) -> bool:
    return re.sub(r"[-_.]+", "-", candidate.origin.distribution).lower() == "promptkit"


def _in_order(candidates: list[Candidate]) -> list[Candidate]:
    return sorted(candidates, key=lambda it: (it.origin.distribution.lower(), it.origin.plugin))


@functools.cache
def get_host() -> PluginHost:
    """Return the host of the installed plugins, loaded on the first call."""
    return PluginHost.discover()
