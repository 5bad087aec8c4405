"""The table of a comparison: to read in a terminal, in Markdown, in LaTeX, or to compute with."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Callable, Sequence
from typing import Literal

from tabulate import tabulate

from promptkit.analysis.rows import Against, Row
from promptkit.analysis.statistics import Difference, Spread
from promptkit.analysis.summary import Summary
from promptkit.errors import unknown
from promptkit.reports.answer import verdict_text
from promptkit.reports.cells import cells, columns, metric_names
from promptkit.reports.markdown import markdown_text
from promptkit.reports.wording import (
    NO_BETTER_MARK,
    NO_BETTER_NOTE,
    method_text,
    notes,
    pick_text,
    time_text,
)
from promptkit.runs.spreadsheet import write_csv

ComparisonFormat = Literal["simple", "github", "latex", "csv"]
FORMATS: tuple[ComparisonFormat, ...] = ("simple", "github", "latex", "csv")

Number = str | int | float | bool | None

_WIDTH = 118
_HEADS = {
    "strategy": "strategy", "shots": "shots", "seeds": "seeds", "test": "test", "f1": "F1", "dev": "dev",
    "tried": "tried", "against": "vs baseline", "p": "p", "learnt": "learnt p/e/h", "artifact": "artifact",
    "train": "train s", "speed": "pred/s", "memory": "peak MB",
}  # fmt: skip
_LEGEND = (
    "Test, F1 (macro) and dev in per cent: mean (standard deviation) over seeds. tried: dev scores that a figure was "
    "picked from. learnt p/e/h: parameters of prompt / encoder / head."
)
_LEGEND_OF_TIMES = "train s and pred/s (examples predicted a second) are means, peak MB is the largest."
_LATEX = str.maketrans(
    {
        "\\": r"\textbackslash{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "<": r"\ensuremath{<}",
        ">": r"\ensuremath{>}",
        **{sign: f"\\{sign}" for sign in "_%&#{}$"},
    }
)


def comparison_table(summary: Summary, format: ComparisonFormat = "simple", *, times: bool = True) -> str:
    """Return a comparison as a table, baselines first.

    `simple`, `github` and `latex` have figures to read, and below them the verdict, how rows were compared, notes and
    picks.
    `latex` needs the package booktabs. `csv` has a line a row and nothing else: plain numbers with all their digits,
    shares of 1 rather than per cent, seconds, bytes, MB (10^6 B); an empty field where there is no figure.

    Args:
        summary: what `summarise` returned.
        format: one of the above.
        times: whether to have what differs from run to run of the same cell: training time, speed, peak memory.
            Without it two tables of one comparison are equal byte for byte.

    Raises:
        UserError: for an unknown format.
    """
    if format not in FORMATS:
        raise unknown("table format", format, FORMATS)
    rows = summary.in_table_order
    if format == "csv":
        return _csv(rows, times)
    made = columns(_HEADS, cells(summary, times), summary.rows)
    heads = [_one_line(name) for name, _ in made]
    body = [[_one_line(cell(row)) for _, cell in made] for row in rows]
    if format == "github":
        heads = [markdown_text(name) for name in heads]
        body = [[markdown_text(label), *figures] for label, *figures in body]
    table = _simple(heads, body) if format == "simple" else _tabulated(heads, body, format)
    legend = f"{_LEGEND} {_LEGEND_OF_TIMES}" if times else _LEGEND
    marked = any(row.no_better_than_majority for row in rows)
    return _with_notes(
        table,
        [
            verdict_text(summary),
            legend,
            *([f"{NO_BETTER_MARK} {NO_BETTER_NOTE}."] if marked else []),
            method_text(summary),
            *notes(summary),
            *(pick_text(pick) for pick in summary.picks),
            *([time_text(rows)] if times and rows else []),
        ],
        format,
    )


def _simple(heads: list[str], cells: list[list[str]]) -> str:
    # tabulate widens every column to two more than its head, which a terminal has no room for. Heads and rule go in
    # as rows therefore.
    rule = ["-" * max(map(len, column)) for column in zip(heads, *cells, strict=True)]
    table: str = tabulate([heads, rule, *cells], tablefmt="plain", colalign=_align(heads), disable_numparse=True)
    return table


def _align(heads: Sequence[str]) -> list[str]:
    return ["left", *("right" for _ in heads[1:])]


def _tabulated(heads: list[str], cells: list[list[str]], format: Literal["github", "latex"]) -> str:
    table: str = tabulate(
        cells,
        headers=heads,
        tablefmt="github" if format == "github" else "latex_booktabs",
        colalign=_align(heads) if cells else None,
        disable_numparse=True,
    )
    return table


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _with_notes(table: str, lines: Sequence[str], format: ComparisonFormat) -> str:
    lines = [_one_line(line) for line in lines]
    if format == "github":
        return "\n".join([table, "", *(f"- {markdown_text(line)}" for line in lines)])
    if format == "latex":
        below = "\\\\\n".join(line.translate(_LATEX) for line in lines)
        return f"{table}\n\n\\medskip\n{{\\footnotesize\\noindent\n{below}\\par}}"
    wrapped = [
        textwrap.fill(line, _WIDTH, subsequent_indent="  ", break_on_hyphens=False, break_long_words=False)
        for line in lines
    ]
    return "\n".join([table, "", *wrapped])


def _csv(rows: Sequence[Row], times: bool) -> str:
    file = io.StringIO()
    fields = {**_FIELDS, **_metric_fields(rows), **(_FIELDS_OF_TIME if times else {})}
    write_csv(file, [tuple(fields), *([_plain(value(row)) for value in fields.values()] for row in rows)])
    return file.getvalue().rstrip("\n")


def _metric_fields(rows: Sequence[Row]) -> dict[str, Callable[[Row], Number]]:
    """Return two fields for each further metric, `test_NAME` and `test_NAME_std`."""
    fields: dict[str, Callable[[Row], Number]] = {}
    for name in metric_names(rows):
        fields[f"test_{name}"] = _of_metric(name, lambda value: value.mean)
        fields[f"test_{name}_std"] = _of_metric(name, lambda value: value.std)
    return fields


def _of_metric(name: str, value: Callable[[Spread], Number]) -> Callable[[Row], Number]:
    return lambda row: value(row.metrics[name]) if name in row.metrics else None


def _of_difference(value: Callable[[Difference], Number]) -> Callable[[Row], Number]:
    return lambda row: None if row.against is None else value(row.against.difference)


def _of_against(value: Callable[[Against], Number]) -> Callable[[Row], Number]:
    return lambda row: None if row.against is None else value(row.against)


_FIELDS: dict[str, Callable[[Row], Number]] = {
    "role": lambda row: row.role,
    "strategy": lambda row: row.strategy,
    "variant": lambda row: row.variant,
    "shots": lambda row: row.shots,
    "seeds": lambda row: len(row.seeds),
    "test_accuracy": lambda row: row.test.mean,
    "test_accuracy_std": lambda row: row.test.std,
    "test_f1": lambda row: row.f1.mean,
    "test_f1_std": lambda row: row.f1.std,
    "dev_accuracy": lambda row: row.dev.mean,
    "dev_accuracy_std": lambda row: row.dev.std,
    "candidates": lambda row: row.candidates,
    "majority": lambda row: row.majority,
    "no_better_than_majority": lambda row: row.no_better_than_majority,
    "baseline": _of_against(lambda against: against.baseline),
    "difference": _of_difference(lambda difference: difference.mean),
    "difference_low": _of_difference(lambda difference: difference.low),
    "difference_high": _of_difference(lambda difference: difference.high),
    "p": _of_difference(lambda difference: difference.p),
    "p_adjusted": _of_against(lambda against: against.p_adjusted),
    "method": _of_against(lambda against: against.method),
    "prompt_parameters": lambda row: row.parameters.prompt,
    "encoder_parameters": lambda row: row.parameters.encoder,
    "head_parameters": lambda row: row.parameters.head,
    "backbone_parameters": lambda row: row.parameters.backbone,
    "artifact_bytes": lambda row: row.artifact_bytes,
}
_FIELDS_OF_TIME: dict[str, Callable[[Row], Number]] = {
    "train_seconds": lambda row: row.train_seconds,
    "predict_per_second": lambda row: row.predict_per_second,
    "peak_memory_mb": lambda row: row.peak_memory_mb,
}


def _plain(value: Number) -> str:
    """Return a value so that Python reads the same one back; a flag as `true` or `false`."""
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else str(value)
