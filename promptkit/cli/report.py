"""`promptkit report`: a comparison as a table or as a page."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from promptkit.cli.options import StoreOption
from promptkit.errors import UserError, unknown
from promptkit.running.config import DEFAULT_STORE

if TYPE_CHECKING:
    from promptkit.analysis import Summary

FORMATS = ("simple", "md", "latex", "csv", "html")
SUFFIXES = {".txt": "simple", ".md": "md", ".tex": "latex", ".csv": "csv", ".html": "html", ".htm": "html"}


def report(
    comparison: Annotated[
        str | None, typer.Argument(metavar="COMPARISON", help="Its name; by default the latest one.")
    ] = None,
    store: StoreOption = Path(DEFAULT_STORE),
    format: Annotated[
        str | None,
        typer.Option(
            "--format",
            metavar="simple|md|latex|csv|html",
            help="What to write; by default what the ending of --out says, or simple.",
        ),
    ] = None,
    out: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE",
            help="Write there and not to standard output: .html, .md, .tex, .csv or .txt; may be repeated. "
            "An older file is replaced.",
        ),
    ] = None,
    plots: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write every plot there as an SVG file, NAME-PLOT.svg.")
    ] = None,
    no_times: Annotated[
        bool, typer.Option("--no-times", help="Leave out what differs from run to run: times, speed, memory.")
    ] = False,
) -> None:
    """Show a comparison again: as a table, for a paper, or as a page with plots."""
    from promptkit.runs.files import write_where_asked

    if format is not None and format not in FORMATS:
        raise unknown("format", format, FORMATS)
    if format is not None and plots and not out:
        raise UserError("--format says what --out is written as; with --plots alone there is no table.")
    targets = [(path, format or format_of(path)) for path in out or []]
    summary = _summary(store, comparison)
    drawn = draw(summary, plots, times=not no_times) if plots else {}
    if not targets and not plots:
        typer.echo(render(summary, format or "simple", times=not no_times).rstrip("\n"))
        return
    kinds = {kind for _, kind in targets}
    # Everything is made before anything is written.
    texts = {kind: render(summary, kind, times=not no_times) for kind in FORMATS if kind in kinds}
    for path, text in [*((path, texts[kind]) for path, kind in targets), *drawn.items()]:
        write_where_asked(path, text)
        typer.echo(f"report:  {path}")


def format_of(path: Path) -> str:
    """Return the format that a file's ending stands for.

    Raises:
        UserError: if it stands for none.
    """
    kind = SUFFIXES.get(path.suffix.lower())
    if kind is None:
        endings = ", ".join(ending for ending in SUFFIXES if ending != ".htm")
        raise UserError(f"--out: the ending of '{path}' is none of {endings}; name the format with --format.")
    return kind


def render(summary: Summary, format: str, *, times: bool) -> str:
    """Return a comparison in one of `FORMATS`, with a line end."""
    if format == "html":
        from promptkit.reports.page import report_page

        return report_page(summary, times=times)
    from promptkit.reports import comparison_table

    table = {"md": "github"}.get(format, format)
    return comparison_table(summary, table, times=times) + "\n"  # type: ignore[arg-type]


def draw(summary: Summary, folder: Path, *, times: bool) -> dict[Path, str]:
    """Return the plots of a comparison as SVG by file; without `times` not the one of costs."""
    from promptkit.drawing.plots import PLOTS

    made = {name: plot(summary) for name, plot in PLOTS.items() if times or name != "cost"}
    return {folder / f"{summary.comparison.name}-{name}.svg": svg for name, svg in made.items() if svg}


def _summary(folder: Path, name: str | None) -> Summary:
    from promptkit.analysis import summarise
    from promptkit.runs.store import Store

    with Store.open(folder, create=False) as store:
        return summarise(store.comparison(name))
