"""Learning curves: a quantity by epoch, of each run and their mean."""

from __future__ import annotations

import math
from typing import Literal

from promptkit.analysis.rows import Row
from promptkit.runs.record import RunRecord

Quantity = Literal["dev_accuracy", "loss"]


def curves(row: Row, quantity: Quantity) -> list[dict[int, float]]:
    """Return epoch -> value for every run that took epochs; over several templates the mean, NaN where unknown.

    Of a run of several rounds it is the last one, whose models answer. Every fold of a cross-validation is a run.
    """
    found = []
    for run in row.parts:
        # What was fitted or searched for has a history of settings or turns.
        history = run.record.history if isinstance(run.record, RunRecord) and run.record.epochs_run else ()
        values: dict[int, list[float]] = {}
        last = max((epoch.round for epoch in history), default=0)
        for epoch in (each for each in history if each.round == last):
            value = getattr(epoch, quantity)
            values.setdefault(epoch.epoch, []).append(math.nan if value is None else value)
        curve = {epoch: sum(several) / len(several) for epoch, several in values.items()}
        if any(not math.isnan(value) for value in curve.values()):
            found.append(curve)
    return found


def mean_curve(curves: list[dict[int, float]]) -> dict[int, float]:
    """Return the mean by epoch, up to where the first run stopped; beyond it would be of other runs."""
    shared = set(curves[0]).intersection(*curves[1:]) if curves else set()
    return {epoch: sum(curve[epoch] for curve in curves) / len(curves) for epoch in sorted(shared)}
