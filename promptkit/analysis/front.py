"""The Pareto front: rows that no other row beats in cost and in accuracy at once."""

from __future__ import annotations

from collections.abc import Sequence

from promptkit.analysis.rows import Row, by_test


def front(rows: Sequence[Row]) -> list[Row]:
    """Return the rows than which none is both at least as fast to train and at least as accurate on test.

    Of the means; what learns nothing costs nothing. Chance is not looked at: a row may be on the front by a tenth
    of a point. Equals are all on it.
    """
    places = [(row.learning_seconds or 0.0, by_test(row)) for row in rows]
    return [
        row
        for row, (cost, accuracy) in zip(rows, places, strict=True)
        if not any(
            other <= cost and better >= accuracy and (other, better) != (cost, accuracy) for other, better in places
        )
    ]
