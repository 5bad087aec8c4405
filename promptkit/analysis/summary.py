"""What a comparison says: rows over seeds, each held against the best baseline, and what dev would pick.

Dev and test are never mixed: what is picked (epochs, variants) is picked by dev accuracy; test accuracy is only
reported and compared. Tables, plots and pages are made from a `Summary`; here are its figures, and no words.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from promptkit.analysis.against import difference, method_for, same_test
from promptkit.analysis.rows import Against, Row, by_dev, by_test, rows_of
from promptkit.analysis.statistics import Difference, Spread, holm
from promptkit.runs.stored import PlannedCell, Shots, StoredComparison, StoredRun


@dataclass(frozen=True)
class Pick:
    """The variant of a strategy with the highest mean dev accuracy, where there are several.

    Attributes:
        strategy: name of the strategy.
        shots: the variants are of these shots.
        variant: the one picked; the first of equals.
        tied: the others with the same accuracy on dev.
        variants: how many there were.
        candidates: how many dev scores it was picked from: those of every variant, added up.
        dev: its accuracy on dev, which is too high for having been picked by.
        test: its accuracy on test, which had no say.
    """

    strategy: str
    shots: Shots
    variant: str
    tied: tuple[str, ...]
    variants: int
    candidates: int
    dev: Spread
    test: Spread


@dataclass(frozen=True)
class Strongest:
    """The baseline that rows of some shots are compared with.

    Attributes:
        label: of its row.
        of: how many baselines there were, itself included.
    """

    label: str
    of: int


@dataclass(frozen=True)
class Summary:
    """A comparison, summed up.

    Attributes:
        comparison: what it was made from.
        rows: in the order of the comparison; a row none of whose runs is finished is left out.
        picks: one for every strategy and K with several variants, in the order of the rows.
        strongest: shots of the compared rows -> the baseline with the highest mean test accuracy.
        without_baseline: rows that there is no baseline for.
        unlike: rows judged on other test examples than their baseline, or not all on the same.
    """

    comparison: StoredComparison
    rows: tuple[Row, ...]
    picks: tuple[Pick, ...]
    strongest: dict[Shots, Strongest]
    without_baseline: tuple[Row, ...]
    unlike: tuple[Row, ...]

    @property
    def strategies(self) -> tuple[Row, ...]:
        """The rows that are no baselines."""
        return tuple(row for row in self.rows if not row.is_baseline)

    @property
    def baselines(self) -> tuple[Row, ...]:
        """The rows that others are held against."""
        return tuple(row for row in self.rows if row.is_baseline)

    @property
    def answering_baselines(self) -> tuple[Row, ...]:
        """The baselines but the majority class, which gives the same answer always."""
        return tuple(row for row in self.baselines if row.strategy != "majority")

    @property
    def in_table_order(self) -> tuple[Row, ...]:
        """The rows, baselines first."""
        return (*self.baselines, *self.strategies)

    @property
    def compared(self) -> tuple[Row, ...]:
        """The rows that are held against a baseline."""
        return tuple(row for row in self.rows if row.against is not None)

    @property
    def missing(self) -> tuple[PlannedCell, ...]:
        """The places that are not finished."""
        return tuple(entry.cell for entry in self.comparison.entries if entry.run is None)


def summarise(comparison: StoredComparison) -> Summary:
    """Sum up a comparison.

    A row of K shots is held against the strongest of the baselines with the same K and those that learn nothing:
    the one that leaves it the smallest difference on test. Picking it by a dev split of a few examples would choose
    a weak one by chance. A row that is ahead of it is tested against each of them, and its p is the largest: so it
    beats them all, without a correction for their number (the intersection-union test, Berger 1982). Against the
    strongest alone that would not follow, for one with a lower mean may differ more from seed to seed. Where p comes
    from, `promptkit.analysis.against.difference` says. Holm's correction
    is over all rows that learn, and apart from them over those that learn nothing: to ask an untrained model in one
    way more does not make it less sure what a training brought.

    Raises:
        UserError: if a record lacks a score.
    """
    rows = rows_of(comparison)
    strategies = _strategies(rows)
    candidates = {shots: _baselines_for(shots, rows) for shots in _in_order(row.shots for row in strategies)}
    best = {shots: max(found, key=by_test) for shots, found in candidates.items() if found}
    pairs = [(row, best[row.shots]) for row in strategies if row.shots in best]
    comparable = [same_test([*row.runs, *baseline.runs]) for row, baseline in pairs]
    unlike = tuple(row for (row, _), same in zip(pairs, comparable, strict=True) if not same)
    pairs = [pair for pair, same in zip(pairs, comparable, strict=True) if same]
    tested = [candidates[row.shots] for row, _ in pairs]
    held = _held_against(rows, pairs, tested)
    return Summary(
        comparison=comparison,
        rows=held,
        picks=_picks(held),
        strongest={shots: Strongest(row.label, len(candidates[shots])) for shots, row in best.items()},
        without_baseline=tuple(row for row in strategies if row.shots not in best),
        unlike=unlike,
    )


def _held_against(
    rows: Sequence[Row], pairs: Sequence[tuple[Row, Row]], tested: Sequence[Sequence[Row]]
) -> tuple[Row, ...]:
    """Return the rows with the result of their pair; `tested` are all the baselines that each may be ahead of."""
    found = [_against(row, baseline, others) for (row, baseline), others in zip(pairs, tested, strict=True)]
    adjusted = [0.0] * len(pairs)
    for untrained in (False, True):
        places = [place for place, (row, _) in enumerate(pairs) if row.learns_nothing == untrained]
        for place, p in zip(places, holm([found[place].p for place in places]), strict=True):
            adjusted[place] = p
    against = {
        id(row): Against(baseline.label, result, p, method_for(len(row.runs), len(baseline.runs)))
        for (row, baseline), result, p in zip(pairs, found, adjusted, strict=True)
    }
    return tuple(replace(row, against=against.get(id(row))) for row in rows)


def _against(row: Row, strongest: Row, baselines: Sequence[Row]) -> Difference:
    """Return the difference to the strongest baseline; where it is one ahead, with the largest p of all of them."""
    found = difference(_by_seed(row), _by_seed(strongest))
    if found.mean <= 0:
        return found
    others = [each for each in baselines if each is not strongest and same_test([*row.runs, *each.runs])]
    return replace(found, p=max([found.p, *(difference(_by_seed(row), _by_seed(it)).p for it in others)]))


def _picks(rows: Sequence[Row]) -> tuple[Pick, ...]:
    groups: dict[tuple[str, Shots], list[Row]] = {}
    for row in _strategies(rows):
        groups.setdefault((row.strategy, row.shots), []).append(row)
    picks = []
    for (strategy, shots), variants in groups.items():
        if len(variants) > 1:
            best = max(variants, key=by_dev)
            tied = tuple(row.variant for row in variants if row is not best and by_dev(row) == by_dev(best))
            scores = sum(row.candidates for row in variants)
            picks.append(Pick(strategy, shots, best.variant, tied, len(variants), scores, best.dev, best.test))
    return tuple(picks)


def _strategies(rows: Sequence[Row]) -> list[Row]:
    return [row for row in rows if not row.is_baseline]


def _baselines_for(shots: Shots, rows: Sequence[Row]) -> list[Row]:
    return [row for row in rows if row.is_baseline and row.shots in (shots, None)]


def _by_seed(row: Row) -> dict[int, StoredRun]:
    return dict(zip(row.seeds, row.runs, strict=True))


def _in_order(values: Iterable[Shots]) -> list[Shots]:
    return list(dict.fromkeys(values))
