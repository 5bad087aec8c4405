"""What a table says in words: how rows were compared, what to beware of, what dev picked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from promptkit.analysis.against import MCNEMAR
from promptkit.analysis.figures import score_text
from promptkit.analysis.statistics import RESAMPLES
from promptkit.runs.stored import Shots, StoredComparison

if TYPE_CHECKING:
    from promptkit.analysis.summary import Pick, Role, Row

_BASELINE_LABELS = {
    "majority": "majority class",
    "tfidf": "TF-IDF + logistic regression",
    "hard": "hard (zero-shot)",
}
_LISTED = 6
# Below this many dev examples, candidates tie often.
_SMALL_DEV = 100
# With fewer seeds the bootstrap sees too little of how much they differ.
_FEW_SEEDS = 5


def row_label(role: Role, strategy: str, variant: str) -> str:
    """Return what a table calls a row, e.g. `soft, tokens=20`; baselines have names that say what they are."""
    name = _BASELINE_LABELS.get(strategy, strategy) if role == "baseline" else strategy
    return f"{name}, {variant}" if variant else name


def shots_text(shots: Shots) -> str:
    """Return shots for a table's cell: `16`, `full`, or `-` for what learns nothing."""
    return "-" if shots is None else str(shots)


def with_shots(label: str, shots: Shots) -> str:
    """Return a row's label with its shots, e.g. `soft (16 shots)`, `soft (full)`."""
    if shots is None:
        return label
    return f"{label} (full)" if shots == "full" else f"{label} ({shots} shots)"


def method_text(best: Mapping[Shots, tuple[str, int]], compared: int, method: str) -> str:
    """Return how rows were compared.

    Args:
        best: shots -> label of the strongest baseline, and of how many it is the best.
        compared: number of rows held against a baseline.
        method: where p comes from, `BOOTSTRAP` or `MCNEMAR`.
    """
    if not compared:
        return "No row is compared with a baseline."
    names = "; ".join(
        f"{_at(shots)} {label}, {'the only one' if count == 1 else f'of {count}'}"
        for shots, (label, count) in best.items()
    )
    resampled = "test examples" if method == MCNEMAR else "test examples and seeds"
    p = "p by exact McNemar tests" if method == MCNEMAR else "p from the same"
    rows = "row" if compared == 1 else "rows"
    return (
        "Each row is compared with the strongest on test of the baselines with the same shots and those that learn "
        f"nothing: {names}. Who beats the strongest beats them all. Differences are in test accuracy, in points, "
        f"with the 95 % interval of a paired bootstrap over {resampled}, {RESAMPLES:,} resamples, each for its own "
        f"row; {p}, after Holm over the {compared} {rows} compared."
    )


def time_text(rows: Sequence[Row]) -> str:
    """Return how long the runs of a table took together; a run in several rows counts once."""
    runs = {run.id: run.record for row in rows for run in row.runs}
    minutes = sum(record.cost.seconds.total for record in runs.values()) / 60
    return f"These {len(runs)} runs, baselines included, took {minutes:.1f} minutes in all, one after the other."


def pick_text(pick: Pick) -> str:
    """Return what dev picked, in one line."""
    return (
        f"Picked on dev, {with_shots(pick.strategy, pick.shots)}: {pick.variant or 'no variant'}, the best of "
        f"{pick.variants} variants by {pick.candidates} dev scores: dev {score_text(pick.dev)}, "
        f"test {score_text(pick.test)}."
    )


def notes(
    comparison: StoredComparison, rows: Sequence[Row], without_baseline: Sequence[Row], unlike: Sequence[Row]
) -> tuple[str, ...]:
    """Return what a reader must know.

    Args:
        comparison: with its places that are not finished.
        rows: of the table.
        without_baseline: rows that there is no baseline for.
        unlike: rows judged on other test examples than their baseline, or not all on the same.
    """
    found = [
        "Dev only picks: the epoch and the variant. What was picked by dev looks too good on dev; test had no say "
        "in it."
    ]
    # Why the experiment lacks something, e.g. the zero-shot baseline.
    found += [f"{str(note)[:1].upper()}{str(note)[1:].rstrip('.')}." for note in comparison.spec.get("notes", ())]
    if comparison.missing:
        cells = [entry.cell for entry in comparison.entries if entry.run is None]
        names = [
            f"{with_shots(row_label(cell.role, cell.strategy, cell.variant), cell.shots)}, seed {cell.seed}"
            for cell in cells
        ]
        found.append(
            f"{len(cells)} of {len(comparison.entries)} runs {'is' if len(cells) == 1 else 'are'} missing: "
            f"{_listed(names)}. Rows, picks and the strongest baseline are made of those that are finished."
        )
    if without_baseline:
        found.append(f"No baseline to compare with: {_rows(without_baseline)}.")
    if unlike:
        found.append(f"Not compared, for the test examples are not the same: {_rows(unlike)}.")
    return (*found, *_about_seeds(rows), *_about_dev(rows))


def _about_seeds(rows: Sequence[Row]) -> list[str]:
    """Say what the intervals of rows with few seeds leave out."""
    found = []
    compared = [row for row in rows if row.against and row.shots is not None]
    if single := [row for row in compared if len(row.seeds) == 1]:
        found.append(
            f"One seed: {_rows(single)}. That gives no standard deviation, and the interval and p do not tell how "
            "much the draw and the initialisation matter."
        )
    if any(1 < len(row.seeds) < _FEW_SEEDS for row in compared):
        found.append(
            f"With fewer than {_FEW_SEEDS} seeds the interval is too narrow, and p too small, where accuracies "
            "differ by several points from seed to seed."
        )
    return found


def _about_dev(rows: Sequence[Row]) -> list[str]:
    """Name the draws whose dev split is too small to pick by with confidence."""
    smallest: dict[Shots, int] = {}
    for row in rows:
        n = min(run.record.task.dev for run in row.runs)
        if row.shots is not None:
            smallest[row.shots] = min(n, smallest.get(row.shots, n))
    return [
        f"{_at(shots).capitalize()} dev has {n} examples: candidates often tie there, and what it picks is rough."
        for shots, n in smallest.items()
        if n < _SMALL_DEV
    ]


def _at(shots: Shots) -> str:
    if shots is None:
        return "for what learns nothing"
    return "with all of train" if shots == "full" else f"at {shots} shots"


def _rows(rows: Sequence[Row]) -> str:
    return _listed(with_shots(row.label, row.shots) for row in rows)


def _listed(names: Iterable[str]) -> str:
    every = list(names)
    rest = len(every) - _LISTED
    return "; ".join(every) if rest <= 0 else f"{'; '.join(every[:_LISTED])}; and {rest} more"
