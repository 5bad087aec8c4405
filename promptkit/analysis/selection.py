"""Which rows of a comparison stand for it: what dev picked, in order of shots, and the variants of a strategy."""

from __future__ import annotations

import re
from dataclasses import dataclass

from promptkit.analysis.rows import Row
from promptkit.analysis.summary import Summary
from promptkit.runs.stored import Shots

_SMALLEST, _LARGEST = 1e-100, 1e100  # of numbers on the axis of a plot
_NUMERIC = re.compile(r"([^\s=,]+)=([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)")


def shots_order(summary: Summary) -> list[Shots]:
    """Return the shots of the strategies' rows: none first, then ascending, all examples last."""
    present = {row.shots for row in summary.strategies}
    return sorted(present, key=lambda k: (k is not None, k == "full", k if isinstance(k, int) else 0))


def is_picked(summary: Summary, row: Row) -> bool:
    """Tell whether dev picked the row's variant among several of its strategy and shots."""
    return any(
        (pick.strategy, pick.shots, pick.variant) == (row.strategy, row.shots, row.variant) for pick in summary.picks
    )


def featured(summary: Summary) -> list[Row]:
    """Return one row for each strategy and shots: where there are several variants, the one that dev picked."""
    several = {(pick.strategy, pick.shots) for pick in summary.picks}
    return [row for row in summary.strategies if (row.strategy, row.shots) not in several or is_picked(summary, row)]


@dataclass(frozen=True)
class Variants:
    """The variants of a strategy, in the order of the rows.

    Attributes:
        strategy: its name.
        rows: of every variant and shots.
        option: name of the option that all variants set to a number; None if they differ in other ways.
        values: variant -> that number; empty without an option.
    """

    strategy: str
    rows: tuple[Row, ...]
    option: str | None
    values: dict[str, float]

    @property
    def names(self) -> tuple[str, ...]:
        """The variants, each once."""
        return tuple(dict.fromkeys(row.variant for row in self.rows))


def variants_of(summary: Summary) -> list[Variants]:
    """Return the variants of every strategy that has several."""
    found = []
    for strategy in dict.fromkeys(row.strategy for row in summary.strategies):
        rows = tuple(row for row in summary.strategies if row.strategy == strategy)
        names = dict.fromkeys(row.variant for row in rows)
        if len(names) < 2:
            continue
        matches = {name: _NUMERIC.fullmatch(name) for name in names}
        options = {match[1] if match else None for match in matches.values()}
        option = options.pop() if len(options) == 1 else None
        values = {name: float(match[2]) for name, match in matches.items() if match} if option else {}
        if not all(value == 0 or _SMALLEST < abs(value) < _LARGEST for value in values.values()):
            option, values = None, {}
        found.append(Variants(strategy, rows, option, values))
    return found
