"""`promptkit runs`: what the store holds, and what is to be done with it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from promptkit.cli.options import JsonOption, StoreOption, group
from promptkit.errors import UserError
from promptkit.running.config import DEFAULT_STORE

if TYPE_CHECKING:
    from promptkit.runs import Store, StoredRun

_STORE = Path(DEFAULT_STORE)
_RunsArgument = Annotated[list[str] | None, typer.Argument(metavar="RUN", help="Ids or names.")]


def list_runs(
    comparison: Annotated[
        str | None, typer.Option(metavar="NAME", help="The runs of this comparison, in its order.")
    ] = None,
    store: StoreOption = _STORE,
    as_json: JsonOption = False,
) -> None:
    """List the runs and the comparisons of the store."""
    from promptkit.reports.sheet import comparison_list, run_list
    from promptkit.runs import STORE_NAME, Store

    if comparison is None and not os.path.isfile(store / STORE_NAME):
        typer.echo(_listing_json([], []) if as_json else f"no runs: there is no store in '{store}'.")
        return
    with Store.open(store, create=False) as opened:
        runs, comparisons = opened.runs(), opened.comparisons()
        if comparison is not None:
            entries = opened.comparison(comparison).entries
            runs = list({entry.run.id: entry.run for entry in entries if entry.run is not None}.values())
            comparisons = [each for each in comparisons if each.name == comparison]
    if as_json:
        typer.echo(_listing_json(runs, [{**vars(each), "missing": each.missing} for each in comparisons]))
        return
    parts = [run_list(runs)] if runs else []
    parts += [comparison_list(comparisons)] if comparisons else []
    typer.echo("\n\n".join(parts) or f"the store '{store}' is empty.")


def show(
    run: Annotated[str, typer.Argument(metavar="RUN", help="Id or name.")],
    store: StoreOption = _STORE,
    as_json: JsonOption = False,
) -> None:
    """Show everything about a run."""
    from promptkit.reports.sheet import run_sheet
    from promptkit.runs import Store

    with Store.open(store, create=False) as opened:
        found = opened.find(run)
        comparisons = [each.name for each in opened.comparisons(key=found.key)] if found.key else []
    if as_json:
        record = json.loads(found.record.to_json())
        typer.echo(_as_json({**_summary(found), "comparisons": comparisons, "record": record}))
    else:
        typer.echo(run_sheet(found, comparisons))


def remove(
    runs: _RunsArgument = None,
    comparison: Annotated[
        str | None, typer.Option(metavar="NAME", help="Forget this comparison; its runs stay.")
    ] = None,
    store: StoreOption = _STORE,
) -> None:
    """Remove runs with their files, or forget a comparison."""
    from promptkit.runs import Store

    if bool(runs) == bool(comparison):
        raise UserError("give the runs to remove, or --comparison NAME, and not both.")
    with Store.open(store, create=False) as opened:
        if comparison:
            opened.remove_comparison(comparison)
            typer.echo(f"forgot comparison '{comparison}'; its runs stay.")
        else:
            _remove(opened, runs or [])


def _remove(store: Store, references: list[str]) -> None:
    from promptkit.runs.files import shown

    before = {each.name: each.missing for each in store.comparisons()}
    for run in store.remove(references):
        left = run.directory is not None and os.path.lexists(run.directory)
        typer.echo(f"removed run {run.id}, {run.name}")
        if run.directory is not None and left:
            typer.echo(f"  '{shown(run.directory)}' holds something else by now and was left alone.")
    for each in store.comparisons():
        if each.missing > before.get(each.name, each.missing):
            typer.echo(f"comparison '{each.name}' now has {each.finished} of {each.whole} runs.")


def export(
    out: Annotated[
        Path,
        typer.Option(
            metavar="FILE", help="New file: .csv or .jsonl for a record a run, .zip for the runs' files too."
        ),
    ],
    runs: _RunsArgument = None,
    store: StoreOption = _STORE,
) -> None:
    """Write runs, by default all of them, to a file for other programs."""
    from promptkit.checking import user_path
    from promptkit.runs import Store, export_runs

    with Store.open(store, create=False) as opened:
        chosen = list({run.id: run for run in map(opened.find, runs)}.values()) if runs else opened.runs()
    if not chosen:
        raise UserError(f"the store '{store}' holds no runs to export.")
    missing = export_runs(chosen, user_path(out))
    typer.echo(f"wrote {len(chosen)} {'run' if len(chosen) == 1 else 'runs'} to {out}")
    for sentence in missing:
        typer.echo(f"warning: {sentence}", err=True)


def _summary(run: StoredRun) -> dict[str, Any]:
    """Return what a list says of a run, as JSON values; the names are explained in the documentation."""
    return {
        "id": run.id,
        "name": run.name,
        "key": run.key,
        "kind": "baseline" if run.is_baseline else "run",
        "strategy": run.strategy,
        "data": run.data,
        "shots": run.shots,
        "seed": run.seed,
        "dev": run.record.dev.accuracy,
        "test": run.record.test.accuracy,
        "created": run.record.created,
        "directory": None if run.directory is None else str(run.directory),
        "artifact": str(run.artifact()) if run.has_prompt else None,
    }


def _listing_json(runs: list[StoredRun], comparisons: list[dict[str, Any]]) -> str:
    return _as_json({"runs": [_summary(run) for run in runs], "comparisons": comparisons})


def _as_json(data: dict[str, Any]) -> str:
    return json.dumps(data, indent=2, ensure_ascii=False)


GROUP = group(
    "List, show, remove and export finished runs.",
    {"list": list_runs, "show": show, "rm": remove, "export": export},
)
