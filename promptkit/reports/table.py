"""The result table: one run a row, what it reached and what it cost."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Literal

from tabulate import tabulate

from promptkit.runs.record import LearntParameters, RunRecord

TableFormat = Literal["simple", "github"]

_Column = tuple[str, Callable[[RunRecord], str]]
_COLUMNS: tuple[_Column, ...] = (
    ("strategy", lambda record: record.options.strategy),
    ("shots", lambda record: "full" if record.options.shots is None else str(record.options.shots)),
    ("dev", lambda record: _percent(record.dev.accuracy)),
    ("test", lambda record: _percent(record.test.accuracy)),
    ("majority", lambda record: _percent(record.test.majority)),
    ("learnt (prompt / encoder / head)", lambda record: learnt_text(record.parameters)),
    ("artifact", lambda record: human_bytes(record.cost.artifact_bytes)),
    ("seconds", lambda record: f"{record.cost.seconds.total:.1f}"),
    ("peak MB", lambda record: _rounded(record.cost.peak_memory_mb)),
)


def result_table(records: Sequence[RunRecord], format: TableFormat = "simple") -> str:
    """Return the runs as a table; scores are accuracies in per cent, further metrics of test as they are.

    The majority column is for the test split. A run that learnt parameters of the backbone itself says so
    behind those of prompt, encoder and head.

    Args:
        records: in the order of the rows.
        format: `simple` for a terminal, `github` for Markdown.
    """
    columns = _columns(records)
    table: str = tabulate(
        [[cell(record) for _, cell in columns] for record in records],
        headers=[name for name, _ in columns],
        tablefmt=format,
        colalign=("left", *("right",) * (len(columns) - 1)) if records else None,
        disable_numparse=True,
    )
    return table


def human_bytes(size: int) -> str:
    """Return a size to read, e.g. `512 B`, `12.3 KB`, `4.5 MB` (1 KB = 1,000 bytes)."""
    return f"{size} B" if size < 1000 else f"{human_count(size)}B"


def human_count(count: int) -> str:
    """Return a count to read, e.g. `512`, `12.3 K`, `22.7 M`."""
    if count < 1000:
        return str(count)
    value = count / 1000
    for unit in ("K", "M"):
        # 999.95 and above would be rounded to 1000.0.
        if value < 999.95:
            return f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} G"


def learnt_text(parameters: LearntParameters) -> str:
    """Return what learnt as prompt / encoder / head, e.g. `3.8 K / 0 / 770`; the backbone is named if it learnt."""
    parts = (parameters.prompt, parameters.encoder, parameters.head)
    text = " / ".join(human_count(part) for part in parts)
    return f"{text} + {human_count(parameters.backbone)} backbone" if parameters.backbone else text


def _columns(records: Sequence[RunRecord]) -> list[_Column]:
    """Return the columns, with one behind `majority` for each further metric that a run has."""
    further = dict.fromkeys(name for record in records for name in record.test.model_extra or {})
    behind = [name for name, _ in _COLUMNS].index("majority") + 1
    return [*_COLUMNS[:behind], *((name, partial(_further, name)) for name in further), *_COLUMNS[behind:]]


def _further(name: str, record: RunRecord) -> str:
    value = (record.test.model_extra or {}).get(name)
    return "-" if value is None else f"{value:.4g}"


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.1f} %"


def _rounded(value: float | None) -> str:
    return "-" if value is None else f"{value:,.0f}"
