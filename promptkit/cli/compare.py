"""`promptkit compare`: strategies against each other and against the baselines, on the same draws."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Container
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from promptkit.checking import path_shown
from promptkit.cli.options import StoreOption, command_line, with_settings
from promptkit.errors import UserError
from promptkit.hooks import get_host
from promptkit.interrupts import resumable
from promptkit.running.config import DEFAULT_STORE, RunConfig, flag_of, parse_settings, setting_of
from promptkit.running.settings import parse_shots as parse_one

if TYPE_CHECKING:
    from promptkit.comparison import ComparisonResult, Experiment

# Data and model, and those of every run of the comparison. `--set` stands among the command's own options: here it
# takes them as well.
SETTINGS = (
    "data",
    "model",
    *(it for it in RunConfig.model_fields if setting_of(it).scope in ("cell", "comparison") and it != "options"),
)


@with_settings(SETTINGS, unset=True)
def compare(
    context: typer.Context,
    *,
    experiment: Annotated[
        str | None,
        typer.Argument(
            metavar="EXPERIMENT",
            help="A TOML file, or one of promptkit's: causal, causal-zh, initialisation, length, pairs, "
            "positions, shots, verbalizers.",
        ),
    ] = None,
    strategies: Annotated[
        str | None, typer.Option(metavar="A,B,...", help="Strategies [hard,pet,soft,ptuning]; or 'none'.")
    ] = None,
    baselines: Annotated[
        str | None,
        typer.Option(metavar="A,B,...", help="Strategies that all rows are held against [hard,probe]; or 'none'."),
    ] = None,
    shots: Annotated[str | None, typer.Option(metavar="K,...", help="Examples a class, or 'full' [16,full].")] = None,
    seeds: Annotated[str | None, typer.Option(metavar="N|A,B,...", help="How many seeds, or which [3].")] = None,
    folds: Annotated[
        int | None,
        typer.Option(metavar="K", help="Cross-validation in K folds: every example is tested once."),
    ] = None,
    name: Annotated[str | None, typer.Option(metavar="NAME", help="What the store calls the comparison.")] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="[STRATEGY.]KEY=VALUE",
            help="A setting of every run (epochs=5), or an option or setting of one strategy (soft.tokens=5).",
        ),
    ] = None,
    given: dict[str, Any],
    jobs: Annotated[int, typer.Option(metavar="N", min=1, max=256, help="Runs at a time.")] = 1,
    dask: Annotated[str | None, typer.Option(metavar="ADDRESS", help="Send the runs to this Dask scheduler.")] = None,
    store: StoreOption = Path(DEFAULT_STORE),
    no_times: Annotated[
        bool, typer.Option("--no-times", help="Leave out of the table what differs from run to run.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check everything and say what would run.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Nothing but the table.")] = False,
) -> None:
    """Compare strategies on the same draws; killed and run again, it goes on where it stopped."""
    from promptkit.analysis import summarise
    from promptkit.comparison import compare as run_comparison
    from promptkit.reports import comparison_table

    if dask and jobs > 1:
        raise UserError("give --jobs or --dask, not both.")
    data, model = given.pop("data", None), given.pop("model", None)
    asked = make(
        experiment,
        settings or [],
        shared=given,
        strategies=parse_list("--strategies", strategies),
        baselines=parse_list("--baselines", baselines),
        shots=parse_shots(shots),
        seeds=parse_seeds(seeds),
        folds=folds,
        data=data,
        model=model,
        name=name,
    )
    with resumable():
        result = run_comparison(
            asked,
            store=store,
            jobs=jobs,
            dask=dask,
            command=command_line(context),
            announce=(lambda _: None) if quiet else _saying(_renamed(experiment, asked)),
            shows=jobs == 1 and dask is None and not quiet and sys.stderr.isatty(),
            dry=dry_run,
        )
    if dry_run:
        return
    typer.echo(("" if quiet else "\n") + comparison_table(summarise(result.comparison), times=not no_times))
    if not quiet:
        there = "" if store == Path(DEFAULT_STORE) else f" --store {_quoted(str(store))}"
        typer.echo(f"\nreport:  promptkit report {_quoted(result.comparison.name)}{there} --out report.html")
    report_failures(result)


def make(reference: str | None, pairs: list[str], *, shared: dict[str, Any], **fields: Any) -> Experiment:
    """Return the experiment that a file and options, or options alone, describe; see `make_experiment`."""
    from promptkit.comparison import make_experiment, read_experiment

    general, own = split_settings(pairs)
    given = {key: value for key, value in fields.items() if value is not None}
    if twice := sorted(set(shared) & set(general)):
        raise UserError(f"give {flag_of(twice[0])} or --set {twice[0]}, not both.")
    settings = {**shared, **general}
    if reference is not None:
        return read_experiment(reference, settings=settings, strategy=own, **given)
    return make_experiment("compare", settings=settings, strategy=own, **given)


def split_settings(pairs: list[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the settings of every run, and those of each strategy, of `[STRATEGY.]KEY=VALUE` strings."""
    general: dict[str, Any] = {}
    own: dict[str, Any] = {}
    for key, value in parse_settings(pairs).items():
        strategy, dot, name = key.rpartition(".")
        if not dot:
            general[key] = value
            continue
        table = own.setdefault(strategy, {})
        # Of one name the strategy's own option is meant. It refuses what is neither that nor a setting of a run.
        setting = name in RunConfig.model_fields and name not in _options_of(strategy)
        (table if setting else table.setdefault("options", {}))[name] = value
    return general, own


def _options_of(strategy: str) -> Container[str]:
    """Return the names of a strategy's options; none of one that is not installed, which is refused later."""
    found = get_host().strategies.get(strategy)
    return found.cls.Options.model_fields if found else ()


def parse_list(flag: str, text: str | None) -> tuple[str, ...] | None:
    """Return names separated by commas; `none` is no name at all."""
    if text is None:
        return None
    names = tuple(part.strip() for part in text.split(",") if part.strip())
    if not names:
        raise UserError(f"{flag} takes names separated by commas, or 'none'.")
    return () if names == ("none",) else names


def parse_shots(text: str | None) -> tuple[int | str, ...] | None:
    """Return numbers of shots, or `full`, separated by commas.

    Raises:
        UserError: for anything else.
    """
    if text is None:
        return None
    return tuple(parse_one(part.strip()) or "full" for part in text.split(","))


def parse_seeds(text: str | None) -> int | tuple[int, ...] | None:
    """Return how many seeds, or which, separated by commas.

    Raises:
        UserError: for anything but whole numbers.
    """
    if text is None:
        return None
    parts = [part.strip() for part in text.removesuffix(",").split(",")]
    if not all(re.fullmatch(r"[0-9]{1,9}", part) for part in parts):
        raise UserError(f"--seeds takes a number of seeds, or seeds separated by commas, not '{text}'.")
    return int(parts[0]) if "," not in text else tuple(int(part) for part in parts)


def report_failures(result: ComparisonResult) -> None:
    """End with what failed, once the table has shown what did not.

    Raises:
        UserError: if a run could not be made.
        RuntimeError: if that was a bug; it holds the run's own traceback.
    """
    if result.bugs:
        raise RuntimeError("a run failed with a bug:\n" + "\n".join(result.bugs))
    if result.failures:
        first = next(iter(result.failures.values()))
        several = f"{len(result.failures)} runs failed, the first" if len(result.failures) > 1 else "a run failed"
        raise UserError(f"{several} ({first.title}): {first.reason.rstrip('.')}. What is finished is in the store.")


def say(line: str) -> None:
    """Print a line at once, for a log that is watched."""
    print(line, flush=True)


def _renamed(reference: str | None, asked: Experiment) -> list[str]:
    """Return the note that options took an experiment's name from it, or nothing."""
    if reference is None or asked.name is not None:
        return []
    what = f"options change what '{path_shown(reference)}' compares, so this is '{asked.title}'"
    return [f"note: {what}; --name gives it another name"]


def _saying(notes: list[str]) -> Callable[[str], None]:
    """Return what prints lines at once, and the notes after the first one, which says what is compared."""

    def announce(line: str) -> None:
        say(line)
        while notes:
            say(notes.pop())

    return announce


def _quoted(name: str) -> str:
    import shlex

    return shlex.quote(name)
