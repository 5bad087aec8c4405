"""What a reader may take away from a comparison: which prompts beat the baselines, and which is best by how much."""

from __future__ import annotations

from dataclasses import dataclass

from promptkit.analysis.rows import Row, by_dev, by_test
from promptkit.analysis.selection import featured
from promptkit.analysis.summary import Summary


@dataclass(frozen=True)
class Verdict:
    """What came out.

    Attributes:
        prompts: one row for each strategy and K: where there are several variants, the one that dev picked.
        best: of `prompts` the one with the highest mean test accuracy, chance or not; None without prompts.
        by_dev: of `prompts` the one that dev alone would pick.
        winners: of `prompts` those that beat their best baseline beyond chance, the best on test first.
        others: further rows that do: variants that dev did not pick.
        worse: the rows that their best baseline beats beyond chance.
        compared: the rows that are held against a baseline.
    """

    prompts: tuple[Row, ...]
    best: Row | None
    by_dev: Row | None
    winners: tuple[Row, ...]
    others: tuple[Row, ...]
    worse: tuple[Row, ...]
    compared: tuple[Row, ...]

    @property
    def spoken_of(self) -> Row | None:
        """The row that evidence and cost are given for: the best of the winners, or else the best on test."""
        return self.winners[0] if self.winners else self.best


def verdict(summary: Summary) -> Verdict:
    """Return which rows beat their best baseline beyond chance, and which are best on test and on dev."""
    prompts = tuple(featured(summary))
    better = [row for row in summary.compared if row.is_better]
    picked = {id(row) for row in prompts}
    return Verdict(
        prompts=prompts,
        best=max(prompts, key=by_test, default=None),
        by_dev=max(prompts, key=by_dev, default=None),
        winners=tuple(sorted((row for row in better if id(row) in picked), key=by_test, reverse=True)),
        others=tuple(row for row in better if id(row) not in picked),
        worse=tuple(row for row in summary.compared if row.is_told_apart and not row.is_better),
        compared=summary.compared,
    )
