"""The result table: one run a row, what it reached and what it cost."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tabulate import tabulate

from promptkit.analysis.statistics import Spread
from promptkit.drawing.text import human_count
from promptkit.reports.figures import metric_text, percent_text
from promptkit.runs.record import LearntParameters, RunRecord, Scores

_Column = tuple[str, Callable[[RunRecord], str]]
_COLUMNS: tuple[_Column, ...] = (
    ("strategy", lambda record: record.options.strategy),
    ("shots", lambda record: "full" if record.options.shots is None else str(record.options.shots)),
    ("dev", lambda record: score_of(record.dev)),
    ("test", lambda record: score_of(record.test)),
    ("majority", lambda record: percent_text(record.test.majority)),
    ("learnt (prompt / encoder / head)", lambda record: learnt_text(record.parameters)),
    ("artifact", lambda record: human_bytes(record.cost.artifact_bytes)),
    ("seconds", lambda record: f"{record.cost.seconds.total:.1f}"),
    ("peak MB", lambda record: _rounded(record.cost.peak_memory_mb)),
)

_FURTHER = 5
"""Where the columns of further metrics go in: behind the other scores."""


def result_table(records: Sequence[RunRecord]) -> str:
    """Return the runs as a table for a terminal; scores are accuracies in per cent, or perplexities (ppl).

    The majority column is for the test split, and so are those of further metrics, shown as they are. A run that
    learnt parameters of the backbone itself says so behind those of prompt, encoder and head.

    Args:
        records: in the order of the rows.
    """
    further = list(dict.fromkeys(name for record in records for name in record.test.__pydantic_extra__))
    columns = [*_COLUMNS[:_FURTHER], *((name, _metric(name)) for name in further), *_COLUMNS[_FURTHER:]]
    heads = [" ".join(name.split()) for name, _ in columns]
    cells = [[cell(record) for _, cell in columns] for record in records]
    table: str = tabulate(
        cells,
        headers=heads,
        tablefmt="simple",
        colalign=("left", *("right",) * (len(columns) - 1)) if records else None,
        disable_numparse=True,
    )
    return table


def human_bytes(size: int) -> str:
    """Return a size to read, e.g. `512 B`, `12.3 KB`, `4.5 MB` (1 KB = 1,000 bytes)."""
    return f"{size} B" if size < 1000 else f"{human_count(size)}B"


def learnt_text(parameters: LearntParameters) -> str:
    """Return what learnt as prompt / encoder / head, e.g. `3.8 K / 0 / 770`; the backbone is named if it learnt."""
    parts = (parameters.prompt, parameters.encoder, parameters.head)
    text = " / ".join(human_count(part) for part in parts)
    return f"{text} + {human_count(parameters.backbone)} backbone" if parameters.backbone else text


def score_of(scores: Scores) -> str:
    """Return what a split is judged by: accuracy in per cent, or the perplexity of answers."""
    found = scores.__pydantic_extra__.get("perplexity")
    return percent_text(scores.accuracy) if found is None else f"{found:.4g} ppl"


def _metric(name: str) -> Callable[[RunRecord], str]:
    def cell(record: RunRecord) -> str:
        value = record.test.__pydantic_extra__.get(name)
        return "-" if value is None else metric_text(Spread(value, None, 1))

    return cell


def _rounded(value: float | None) -> str:
    return "-" if value is None else f"{value:,.0f}"
