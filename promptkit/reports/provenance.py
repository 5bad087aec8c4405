"""Where the figures of a comparison come from: prompts and settings, data, model, versions."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence
from typing import Any

from promptkit.analysis.rows import Row
from promptkit.analysis.summary import Summary
from promptkit.reports.wording import shots_text
from promptkit.runs.record import RunRecord

Fact = tuple[str, tuple[str, ...]]
"""What it is, and its values: one where all runs agree."""


def facts(summary: Summary, *, times: bool = True) -> list[Fact]:
    """Return data, model and versions with their fingerprints; every distinct value is listed.

    Args:
        summary: what `summarise` returned.
        times: whether to say when runs were made.
    """
    records = [part.record for row in summary.rows for part in row.parts]
    runs = [record for record in records if isinstance(record, RunRecord)]
    tasks = [record.task for record in records]
    found: list[tuple[str, Iterable[str]]] = [
        ("data", (f"{task.name}; labels {', '.join(task.labels)}; language {task.language}" for task in tasks)),
        ("examples", _sizes(summary)),
        ("data fingerprints", _fingerprints(summary)),
        ("about the data", (note for task in tasks for note in task.notes)),
        (
            "model",
            (
                f"{run.backbone.name}, {run.backbone.architecture}, {run.backbone.parameters:,} weights"
                for run in runs
            ),
        ),
        ("model fingerprint", (run.backbone.fingerprint for run in runs)),
        ("device", (f"{run.options.device}, {run.options.mode} mode" for run in runs)),
        ("promptkit", (record.promptkit for record in records)),
        ("Python", (record.versions.python for record in records)),
        ("MindSpore", (record.versions.mindspore for record in records)),
        ("NumPy", (record.versions.numpy for record in records)),
        ("tokenizers", (record.versions.tokenizers for record in records)),
        ("platform", (record.versions.platform for record in records)),
    ]
    if times:
        dates = sorted(record.created for record in records)
        found.append(("runs made", dates[:1] if dates[:1] == dates[-1:] else [f"{dates[0]} to {dates[-1]}"]))
    facts = [(name, tuple(dict.fromkeys(values))) for name, values in found]
    return [(name, values) for name, values in facts if values]


def command(summary: Summary) -> str:
    """Return the command line that made the comparison; empty if it was made from Python."""
    return shlex.join(summary.comparison.command)


def prompts(summary: Summary) -> list[tuple[str, list[Fact]]]:
    """Return the prompt and the settings of each label, and the names of its runs.

    The shots stand in front of what is not the same at every K.
    """
    labels = dict.fromkeys((row.role, row.label) for row in summary.in_table_order)
    return [
        (label, _prompt([row for row in summary.rows if (row.role, row.label) == (role, label)]))
        for role, label in labels
    ]


def _prompt(rows: Sequence[Row]) -> list[Fact]:
    names = ("what it is", "template", "label words", "settings", "runs")
    by_shots = {shots_text(row.shots): _of_row(row) for row in rows}
    found: list[Fact] = []
    for name in names:
        values = {shots: facts[name] for shots, facts in by_shots.items()}
        distinct = list(dict.fromkeys(values.values()))
        if len(distinct) == 1:
            found.append((name, distinct[0]))
        else:
            found.append((name, tuple(f"{_drawn(k)}: {', '.join(several)}" for k, several in values.items())))
    return [(name, values) for name, values in found if values]


def _of_row(row: Row) -> dict[str, tuple[str, ...]]:
    found: dict[str, list[str]] = {"what it is": [], "template": [], "label words": [], "settings": []}
    for record in (part.record for part in row.parts):
        if isinstance(record, RunRecord):
            found["template"] += record.options.templates
            found["label words"] += [record.options.verbalizer] if record.options.verbalizer is not None else []
            found["settings"].append(_settings(record.options.model_dump()))
        else:
            found["what it is"].append(record.summary)
            found["settings"] += [_pairs(record.settings)] if record.settings else []
    distinct = {name: tuple(dict.fromkeys(values)) for name, values in found.items()}
    return {**distinct, "runs": (", ".join(part.name for part in row.parts),)}


def _settings(options: dict[str, Any]) -> str:
    names = ("readout", "epochs", "lr", "batch_size", "weight_decay", "patience", "max_length")
    return _pairs({**{name: options[name] for name in names}, **options["strategy_options"]})


def _pairs(values: dict[str, Any]) -> str:
    return ", ".join(f"{name}={_value(value)}" for name, value in values.items() if value is not None)


def _value(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _drawn(shots: str) -> str:
    """Return what stands before a value for some shots; what learns nothing is given the whole data."""
    return f"{shots} shots" if shots.isdigit() else "full"


def _sizes(summary: Summary) -> list[str]:
    found = []
    for row in summary.rows:
        run = row.runs[0]
        task = run.record.task
        sizes = f"{task.train:,} train, {task.dev:,} dev, {task.test:,} test"
        if run.folds:
            first = f"of the first fold {task.train:,} are train and {task.dev:,} dev"
            sizes = f"{task.test:,}, each tested once; {first}"
        found.append(f"{_drawn(shots_text(row.shots))}: {sizes}")
    return found


def _fingerprints(summary: Summary) -> list[str]:
    """Return the fingerprints of every draw, a line for each K or fold."""
    draws: dict[str, dict[str, list[int]]] = {}
    for row in summary.rows:
        shots = _drawn(shots_text(row.shots))
        for seed, run in zip(row.seeds, row.runs, strict=True):
            for part in run.parts:
                drawn = f"{shots}, fold {part.fold[0]} of {part.fold[1]}" if part.fold else shots
                seeds = draws.setdefault(drawn, {}).setdefault(part.record.task.fingerprint, [])
                if seed not in seeds:
                    seeds.append(seed)
    return [f"{shots}: {_by_seed(by_print)}" for shots, by_print in draws.items()]


def _by_seed(by_print: dict[str, list[int]]) -> str:
    if len(by_print) == 1:
        return next(iter(by_print))
    return ", ".join(f"{fingerprint} (seed {_numbers(seeds)})" for fingerprint, seeds in by_print.items())


def _numbers(values: Sequence[int]) -> str:
    return ", ".join(map(str, sorted(values)))
