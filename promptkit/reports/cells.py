"""What the cells of a comparison's table say, in a terminal and on a page alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from promptkit.analysis.rows import Row
from promptkit.analysis.summary import Summary
from promptkit.reports.figures import NONE, difference_text, metric_text, p_text, score_text, short_number
from promptkit.reports.table import human_bytes, learnt_text
from promptkit.reports.wording import NO_BETTER_MARK, shots_text

Cell = Callable[[Row], str]


def cells(summary: Summary, times: bool) -> dict[str, Cell]:
    """Return what the cells of each column hold, by a key; those of times, speed and memory only with `times`."""
    found: dict[str, Cell] = {
        "strategy": lambda row: row.label,
        "shots": lambda row: shots_text(row.shots),
        "seeds": lambda row: str(len(row.seeds)),
        "test": accuracy_text,
        "f1": lambda row: score_text(row.f1),
        "dev": lambda row: score_text(row.dev),
        "tried": lambda row: str(row.candidates),
        "against": lambda row: against_text(row, summary),
        "p": adjusted_p_text,
        "learnt": lambda row: learnt_text(row.parameters),
        "artifact": lambda row: NONE if row.artifact_bytes is None else human_bytes(round(row.artifact_bytes)),
    }
    if times:
        found |= {
            "train": lambda row: short_number(row.train_seconds),
            "speed": lambda row: short_number(row.predict_per_second),
            "memory": lambda row: short_number(row.peak_memory_mb),
        }
    return found


def columns(heads: Mapping[str, str], cells: Mapping[str, Cell], rows: Sequence[Row]) -> list[tuple[str, Cell]]:
    """Return head and cell of each column; further metrics of the rows stand behind F1, under their own names.

    Args:
        heads: key -> head, in the order of the columns; one without a cell is left out.
        cells: from `cells`.
        rows: of the table.
    """
    found = []
    for key, head in heads.items():
        if key in cells:
            found.append((head, cells[key]))
        if key == "f1":
            found += [(name, _metric_cell(name)) for name in metric_names(rows)]
    return found


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


def _metric_cell(name: str) -> Cell:
    return lambda row: metric_text(row.metrics[name]) if name in row.metrics else NONE
