"""One self-contained HTML page for a comparison: nothing to fetch, nothing to run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from promptkit.analysis.disagreement import disagreement
from promptkit.analysis.rows import Row
from promptkit.analysis.summary import Summary
from promptkit.drawing.plots import PLOTS
from promptkit.drawing.text import plain
from promptkit.reports.answer import answer
from promptkit.reports.cells import Cell, against_text, cells, columns
from promptkit.reports.provenance import command, facts, prompts
from promptkit.reports.wording import (
    BETTER_MARK,
    BETTER_NOTE,
    NO_BETTER_MARK,
    NO_BETTER_NOTE,
    compared_text,
    lack_text,
    method_text,
    notes,
    pick_text,
)

_TEMPLATES = Path(__file__).parent / "templates"
# What decides comes first: on a phone the rest is scrolled to.
_HEADS = {
    "strategy": "strategy", "shots": "shots", "test": "test accuracy, %", "against": "vs best baseline, points",
    "p": "p", "f1": "macro F1, %", "dev": "dev accuracy, %", "tried": "picked from", "seeds": "seeds",
    "learnt": "learnt: prompt / encoder / head", "artifact": "artifact", "train": "training, s",
    "speed": "predictions a second", "memory": "peak memory, MB",
}  # fmt: skip
_LONGEST = 320

# What each plot shows; the page says it below the plot.
_MARKS = "Large marks: mean over seeds; bars: one standard deviation up and down; small circles: single seeds."
_CAPTIONS = {
    "accuracy": f"{_MARKS} Lines across are baselines.",
    "learning-curves": "Thick lines: mean over runs, up to where the first one stopped; thin lines: single runs. "
    "Which epoch is kept is picked by dev accuracy.",
    "cost": "Higher and further left is better. Bars: one standard deviation up and down. Times are means over "
    "seeds, compiling included. Variants that dev did not pick are small. Ringed is the Pareto front of the rest: no "
    "row is both at least as fast to train and at least as accurate, by the means alone, chance or not.",
    "variant-curves": f"{_MARKS} The ring is around what dev picked, which need not be best on test.",
    "variant-dots": f"{_MARKS} The ring is around what dev picked, which need not be best on test.",
    "confusion": "Of each true class, the share predicted as each class, and the number of examples, mean over "
    "seeds. Right answers are on the diagonal, blue and bold; wrong ones orange; the deeper, the larger the share.",
}


@dataclass(frozen=True)
class Column:
    """A column of the page's table: its head, what a cell holds, and whether a line of text."""

    head: str
    cell: Cell
    text: bool = False


def report_page(summary: Summary, *, times: bool = True) -> str:
    """Return a comparison as one HTML page.

    It needs no script, no network and no fonts of its own, and forbids all three by its content security policy.
    The same summary gives the same page byte for byte.

    Args:
        summary: what `summarise` returned.
        times: whether to have what differs from run to run of the same cell: times, speed, peak memory, dates.
    """
    drawn = {name: plot(summary) for name, plot in PLOTS.items() if times or name != "cost"}
    found = disagreement(summary)
    rows = summary.in_table_order
    made = _columns(summary, times)
    template = _environment().get_template("report.html")
    page: str = template.render(
        title=f"Comparison {plain(summary.comparison.name)}",
        created=f"{summary.comparison.created[:16].replace('T', ' ')} UTC" if times else "",
        answer=answer(summary, times=times),
        columns=made,
        rows=[(row, [column.cell(row) for column in made]) for row in rows],
        legend=_legend(rows, times),
        plots=[(name, svg, _CAPTIONS[name]) for name, svg in drawn.items() if svg is not None],
        disagreement=found,
        compared=compared_text(found),
        lack=lack_text(found),
        language=_language(summary),
        method=method_text(summary),
        notes=notes(summary),
        picks=[pick_text(pick) for pick in summary.picks],
        prompts=prompts(summary),
        command=command(summary),
        facts=facts(summary, times=times),
    )
    return page


def _environment() -> Any:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["excerpt"] = excerpt
    # The plots are ours, and what comes from the data was escaped when they were written.
    environment.filters["drawing"] = Markup
    return environment


def excerpt(text: str) -> str:
    """Return a text of an example in one line, cut where it gets long."""
    line = plain(text)
    if len(line) <= _LONGEST:
        return line
    cut = line[:_LONGEST]
    return f"{cut[: cut.rfind(' ')] if ' ' in cut[_LONGEST // 2 :] else cut} …"


def _columns(summary: Summary, times: bool) -> list[Column]:
    made = {**cells(summary, times), "against": lambda row: _against(row, summary)}
    found = columns(_HEADS, made, summary.rows)
    return [Column(head, cell, text=number == 0) for number, (head, cell) in enumerate(found)]


def _against(row: Row, summary: Summary) -> str:
    text = against_text(row, summary)
    if row.against is None:
        return text
    return f"{text.replace('-', '−')} {BETTER_MARK}" if row.is_better else text.replace("-", "−")


def _legend(rows: Sequence[Row], times: bool) -> list[str]:
    said = [
        "Scores are means over seeds, with the standard deviation in brackets. 'picked from' counts the dev scores "
        "that a figure was picked from. Differences are in test accuracy, with a 95 % interval; p is adjusted."
    ]
    if any(row.is_better for row in rows):
        said.append(f"{BETTER_MARK} {BETTER_NOTE}.")
    if any(row.no_better_than_majority for row in rows):
        said.append(f"{NO_BETTER_MARK} {NO_BETTER_NOTE}.")
    if times:
        said.append("Training time and speed are means, peak memory is the largest (1 MB = 1,000,000 bytes).")
    return said


def _language(summary: Summary) -> str:
    return next((row.runs[0].record.task.language for row in summary.rows), "en")
