"""What the cells of a comparison's table say, in a terminal and on a page alike."""

from __future__ import annotations

from collections.abc import Sequence

from promptkit.analysis.rows import Row
from promptkit.analysis.summary import Summary
from promptkit.reports.figures import NONE, difference_text, metric_text, p_text, score_text
from promptkit.reports.wording import NO_BETTER_MARK


def accuracy_text(row: Row) -> str:
    """Return test accuracy in per cent, marked where the majority class does as well."""
    return f"{score_text(row.test)} {NO_BETTER_MARK}" if row.no_better_than_majority else score_text(row.test)


def against_text(row: Row, summary: Summary) -> str:
    """Return the difference; a baseline says that it is one, and whether rows are compared with it."""
    if row.is_baseline:
        best = any(it.label == row.label and row.shots in (k, None) for k, it in summary.strongest.items())
        return "best baseline" if best else "baseline"
    return NONE if row.against is None else difference_text(row.against.difference)


def adjusted_p_text(row: Row) -> str:
    """Return p after Holm's correction."""
    return NONE if row.against is None else p_text(row.against.p_adjusted)


def metric_names(rows: Sequence[Row]) -> list[str]:
    """Return the further metrics that any row has, in the order of the rows."""
    return list(dict.fromkeys(name for row in rows for name in row.metrics))


def metric_cell(row: Row, name: str) -> str:
    """Return a further metric as it was computed."""
    return metric_text(row.metrics[name]) if name in row.metrics else NONE
