"""Runs of the store to read: a list of them, and all about one."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence
from typing import Any

from tabulate import tabulate

from promptkit.errors import UserError
from promptkit.reports.figures import percent_text
from promptkit.reports.table import human_bytes, score_of
from promptkit.runs.files import shown
from promptkit.runs.record import LearntParameters, RunRecord, Scores
from promptkit.runs.stored import ComparisonSummary, StoredRun

_COLUMNS = ("id", "name", "strategy", "data", "shots", "seed", "dev", "test", "artifact", "created (UTC)")
_RIGHT = {"id", "shots", "seed", "dev", "test", "artifact"}
_Lines = Iterable[tuple[str, Any]]


def run_list(runs: Sequence[StoredRun]) -> str:
    """Return runs as a table; scores are accuracies in per cent, or perplexities; times UTC."""
    rows = [
        (
            run.id,
            run.name,
            run.strategy,
            run.data,
            "full" if run.shots is None else run.shots,
            run.seed,
            score_of(run.record.dev),
            score_of(run.record.test),
            _artifact_size(run),
            _minute(run.record.created),
        )
        for run in runs
    ]
    return _table(rows, _COLUMNS, _RIGHT)


def comparison_list(comparisons: Sequence[ComparisonSummary]) -> str:
    """Return comparisons as a table, with how many of their runs are finished."""
    rows = [(each.name, f"{each.finished} of {each.whole}", _minute(each.created)) for each in comparisons]
    return _table(rows, ("comparison", "finished", "created (UTC)"), {"finished"})


def run_sheet(run: StoredRun, comparisons: Sequence[str] = ()) -> str:
    """Return all that is known of a run, a section a subject.

    Args:
        run: from the store.
        comparisons: names of those it is part of.
    """
    record = run.record
    sections = [
        _pairs("", _head(run, comparisons)),
        _pairs("options", _options(run)),
        _pairs("data", _task(run)),
    ]
    if isinstance(record, RunRecord):
        sections.append(_pairs("model", record.backbone.model_dump().items()))
    sections += [
        "scores\n" + _indented(_scores({"dev": record.dev, "test": record.test})),
        _pairs("learnt parameters", _learnt(record.parameters)),
        _pairs("cost", _cost(run)),
    ]
    if isinstance(record, RunRecord):
        sections += _history(record)
    sections.append(_pairs("versions", {"promptkit": record.promptkit, **record.versions.model_dump()}.items()))
    if isinstance(record, RunRecord) and record.found:
        sections.append("\n".join(["found", *(f"  {found}" for found in record.found)]))
    if isinstance(record, RunRecord) and record.warnings:
        sections.append("\n".join(["warnings", *(f"  {warning}" for warning in record.warnings)]))
    return "\n\n".join(sections)


def _head(run: StoredRun, comparisons: Sequence[str]) -> _Lines:
    yield "run", run.id
    yield "name", run.name
    yield "created", run.record.created
    if isinstance(run.record, RunRecord):
        yield "command", shlex.join(run.record.command)
    yield "comparisons", ", ".join(comparisons)
    if run.directory is None:
        yield "files", "none: it is a baseline"
        return
    yield "files", shown(run.directory)
    try:
        yield "artifact", shown(run.artifact())
    except UserError as error:
        yield "artifact", error


def _options(run: StoredRun) -> _Lines:
    record = run.record
    if isinstance(record, RunRecord):
        options = record.options.model_dump()
        own = options.pop("strategy_options")
    else:
        options = {"baseline": record.name, "summary": record.summary}
        options |= {"data": record.data, "shots": record.shots, "seed": record.seed}
        own = record.settings
    options["shots"] = "full" if run.shots is None else run.shots
    yield from options.items()
    yield from own.items()


def _task(run: StoredRun) -> _Lines:
    task = run.record.task
    yield from task.model_dump(exclude={"notes"}).items()
    for note in task.notes:
        yield "note", note


def _scores(splits: dict[str, Scores]) -> str:
    names = list(dict.fromkeys(name for scores in splits.values() for name in scores.model_dump()))
    rows = []
    for split, scores in splits.items():
        values = scores.model_dump()
        rows.append((split, *(_score(name, values.get(name)) for name in names)))
    return _table(rows, ("split", *names), set(names))


def _score(name: str, value: Any) -> str:
    if name == "n":
        return str(value)
    return percent_text(value) if name in ("accuracy", "f1", "majority") else _number(value)


def _learnt(parameters: LearntParameters) -> _Lines:
    for part, count in parameters.model_dump().items():
        yield part, f"{count:,}"


def _cost(run: StoredRun) -> _Lines:
    cost = run.record.cost
    yield "artifact", human_bytes(cost.artifact_bytes)
    for part, seconds in cost.seconds.model_dump().items():
        yield f"{part}, s", _number(seconds)
    yield "train, examples/s", _number(cost.train_examples_per_second)
    yield "predict, examples/s", _number(cost.predict_examples_per_second)
    yield "peak memory, MB", _number(cost.peak_memory_mb)


def _history(record: RunRecord) -> list[str]:
    if not record.history:
        return []
    several = max(each.round for each in record.history) > 0
    columns = (*(["round"] if several else []), "template", "epoch", "loss", "dev", "dev loss", "lr")
    rows = [
        (
            *([each.round] if several else []),
            each.template,
            each.epoch,
            _number(each.loss),
            percent_text(each.dev_accuracy),
            _number(each.dev_loss),
            _number(each.lr),
        )
        for each in record.history
    ]
    # What was not learnt in epochs was tried: values that were fitted, or turns of a search.
    title, one = (f"{record.epochs_run} epochs", "epoch") if record.epochs_run else (f"{len(rows)} tried", "number")
    best = "" if record.best_epoch is None else f", the best by dev is {one} {record.best_epoch}"
    return [f"history: {title}{best}\n" + _indented(_table(rows, columns, set(columns)))]


def _artifact_size(run: StoredRun) -> str:
    if run.directory is None:
        return "-"
    return human_bytes(run.record.cost.artifact_bytes) if run.has_prompt else "deleted"


def _pairs(title: str, pairs: _Lines) -> str:
    """Return a section of names and values; what is empty or None is left out, lists get a line an item."""
    lines = []
    for name, value in pairs:
        items = value if isinstance(value, list | tuple) else [value]
        for item in items:
            if item is not None and item != "":
                lines.append((name.replace("_", " "), str(item).lower() if isinstance(item, bool) else str(item)))
    width = max((len(name) for name, _ in lines), default=0)
    text = "\n".join(f"{name:<{width}}  {value}" for name, value in lines)
    return f"{title}\n{_indented(text)}" if title else text


def _table(rows: Sequence[Sequence[Any]], columns: Sequence[str], right: set[str]) -> str:
    align = ["right" if column in right else "left" for column in columns]
    table: str = tabulate(rows, headers=columns, colalign=align if rows else None, disable_numparse=True)
    return table


def _indented(text: str) -> str:
    return "\n".join(f"  {line}".rstrip() for line in text.split("\n"))


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.6g}"


def _minute(time: str) -> str:
    """Return an ISO time without its seconds."""
    return time[:16].replace("T", " ")
