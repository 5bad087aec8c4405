"""The checks as tests: subclass `StrategyKit`, name the strategy, and pytest collects one test a check."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar, get_args

import pytest

from promptkit.backbones.face import Kind
from promptkit.errors import UserError
from promptkit.strategies.contract import Strategy
from promptkit.testing import checks
from promptkit.testing.runs import RunSet, WritingRuns

# Of the class whose tests are running: compiled graphs take memory.
_KEPT: dict[tuple[type, Kind], RunSet] = {}


class StrategyKit:
    """Tests of a strategy on a tiny language model with random weights; nothing is downloaded.

        class TestMine(StrategyKit):
            strategy = Mine
            options = {"tokens": 4}

    Attributes:
        strategy: the class; it need not be installed.
        options: of the strategy, where the tests are to use others than its defaults.
        settings: of the runs, fields of `promptkit.RunConfig`: `lr`, `epochs`, `templates`, `readout` and their like.
        learns: of `prompt`, `encoder`, `head` and `backbone`, the parts that are meant to learn, `()` for none; None
            asks for no parts in particular.
        kinds: of language models to run it on: `masked`, `causal` or both.
    """

    strategy: ClassVar[type[Strategy]]
    options: ClassVar[Mapping[str, Any]] = {}
    settings: ClassVar[Mapping[str, Any]] = {}
    learns: ClassVar[Iterable[str] | None] = None
    kinds: ClassVar[tuple[Kind, ...]] = ("masked",)

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Run what needs a language model on one of each kind."""
        if unheard := [kind for kind in self.kinds if kind not in get_args(Kind)]:
            pytest.fail(f"kinds names {unheard[0]!r}; known: {', '.join(get_args(Kind))}.", pytrace=False)
        if "kind" in metafunc.fixturenames:
            metafunc.parametrize("kind", self.kinds, scope="class")

    @pytest.fixture
    def runs(self, kind: Kind, tmp_path_factory: pytest.TempPathFactory) -> RunSet:
        """The runs that all tests of the class look at."""
        cls = type(self)
        if (cls, kind) not in _KEPT:
            _KEPT.clear()
            folder: Path = tmp_path_factory.mktemp(self.strategy.name)
            _KEPT[cls, kind] = RunSet(self.strategy, folder, options=self.options, settings=self.settings, kind=kind)
        return _KEPT[cls, kind]

    @pytest.fixture
    def writing_runs(self, tmp_path: Path) -> WritingRuns:
        """The run of the one test of answers."""
        return WritingRuns(self.strategy, tmp_path, options=self.options, settings=self.settings)

    def test_options_and_docs(self) -> None:
        """See `checks.options_and_docs`."""
        _look(checks.options_and_docs, self.strategy)

    def test_listing_is_quick(self) -> None:
        """See `checks.listing_is_quick`."""
        _look(checks.listing_is_quick, self.strategy)

    def test_defaults(self, runs: RunSet) -> None:
        """See `checks.defaults`."""
        _look(checks.defaults, runs)

    def test_it_runs(self, runs: RunSet) -> None:
        """A run trains, scores and is written, and the strategy keeps what it promises on the way."""
        _look(_first, runs)

    def test_it_compiles(self, runs: RunSet) -> None:
        """See `checks.compiles`."""
        _look_at_run(checks.compiles, runs)

    def test_only_what_is_declared_learns(self, runs: RunSet) -> None:
        """See `checks.only_what_is_declared_learns`."""
        parts = None if self.learns is None else frozenset(self.learns)
        _look_at_run(checks.only_what_is_declared_learns, runs, parts)

    def test_backbone_is_untouched(self, runs: RunSet) -> None:
        """See `checks.backbone_is_untouched`."""
        _look_at_run(checks.backbone_is_untouched, runs)

    def test_examples_keep_apart(self, runs: RunSet) -> None:
        """See `checks.examples_keep_apart`."""
        _look_at_run(checks.examples_keep_apart, runs)

    def test_whole_words_count(self, runs: RunSet) -> None:
        """See `checks.whole_words_count`."""
        _look_at_run(checks.whole_words_count, runs)

    def test_it_folds_without_a_change(self, runs: RunSet) -> None:
        """See `checks.folds_without_a_change`."""
        _look_at_run(checks.folds_without_a_change, runs)

    def test_loss_falls(self, runs: RunSet) -> None:
        """See `checks.loss_falls`."""
        _look_at_run(checks.loss_falls, runs)

    def test_it_loads_the_same(self, runs: RunSet) -> None:
        """See `checks.loads_the_same`."""
        _look_at_run(checks.loads_the_same, runs)

    def test_same_seed_same_numbers(self, runs: RunSet) -> None:
        """See `checks.same_seed_same_numbers`."""
        _look_at_run(checks.same_seed_same_numbers, runs)

    def test_depends_on_is_true(self, runs: RunSet) -> None:
        """See `checks.depends_on_is_true`."""
        _look_at_run(checks.depends_on_is_true, runs)

    def test_depends_on_is_needed(self, runs: RunSet) -> None:
        """See `checks.depends_on_is_needed`."""
        _look_at_run(checks.depends_on_is_needed, runs)

    def test_it_writes(self, writing_runs: WritingRuns) -> None:
        """See `checks.writes`."""
        _look(checks.writes, writing_runs)


def _look(check: Callable[..., object], *given: Any) -> None:
    """Make of a check what pytest shows: a sentence for what is wrong, a traceback only for a bug."""
    try:
        check(*given)
    except (checks.CheckFailed, UserError) as fault:
        # From None, or pytest shows the fault as well, which says the same.
        raise pytest.fail.Exception(str(fault), pytrace=False) from None
    except checks.DoesNotApply as reason:
        raise pytest.skip.Exception(str(reason)) from None


def _first(runs: RunSet) -> object:
    """Return the run that most tests look at; skip where a strategy scores no classes."""
    if "classes" not in runs.instance.objectives:
        pytest.skip(f"{runs.strategy.__name__} scores no classes; test_it_writes looks at its answers")
    return runs.first


def _look_at_run(check: Callable[..., object], runs: RunSet, *more: Any) -> None:
    """The same for a check that needs a run; where there is none, one test says so and not ten."""
    try:
        _first(runs)
    except Exception:
        if check is not checks.backbone_is_untouched:
            pytest.skip("there is no run to look at; test_it_runs says why")
    _look(check, runs, *more)
