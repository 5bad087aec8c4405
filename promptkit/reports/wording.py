"""What a table says in words: how rows were compared, what to beware of, what dev picked."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from promptkit.analysis.against import MCNEMAR
from promptkit.analysis.cautions import (
    FEW_SEEDS,
    SMALL_TEST,
    Warned,
    few_seeds,
    single_seeds,
    small_dev_splits,
    takes_epochs,
    tested,
    warned,
)
from promptkit.analysis.disagreement import Disagreement
from promptkit.analysis.folds import fold_count
from promptkit.analysis.names import row_label, shots_phrase, with_shots
from promptkit.analysis.rows import Row
from promptkit.analysis.statistics import RESAMPLES
from promptkit.analysis.summary import Pick, Summary
from promptkit.reports.figures import score_text
from promptkit.runs.stored import Shots

_LISTED = 6
BETTER_MARK = "*"
BETTER_NOTE = "better than its best baseline: p below 0.05"
NO_BETTER_MARK = "!"
NO_BETTER_NOTE = "not told apart from the majority class (one-sided exact binomial test at 5 %)"
"""What a table writes behind the figures of such a row, and what it says about the marks."""


def shots_text(shots: Shots) -> str:
    """Return shots for a table's cell: `16`, `full`, or `-` for what learns nothing."""
    return "-" if shots is None else str(shots)


def method_text(summary: Summary) -> str:
    """Return what rows are compared with and how p was computed, in full sentences."""
    if not summary.compared:
        return "No row is compared with a baseline."
    names = "; ".join(
        f"{at_shots(shots)} {baseline.label}, {'the only one' if baseline.of == 1 else f'of {baseline.of}'}"
        for shots, baseline in summary.strongest.items()
    )
    methods = {row.against.method for row in summary.compared if row.against}
    resampled = "test examples" if methods == {MCNEMAR} else "test examples and seeds"
    p = "p by exact McNemar tests"
    if methods != {MCNEMAR}:
        between = ", of one run against one by an exact McNemar test" if MCNEMAR in methods else ""
        p = f"p is the larger of its own and that of exact sign flips over test examples{between}"
    return (
        "Each row is compared with the strongest on test of the baselines with the same shots and those that learn "
        f"nothing: {names}. Differences are in test accuracy, in points, with the 95 % interval of a paired "
        f"bootstrap over {resampled}, {RESAMPLES:,} resamples, each for its own row; {p}, for a row that is ahead "
        f"the largest against any of those baselines, after Holm over {_families(summary.compared)}."
    )


def _families(rows: Sequence[Row]) -> str:
    """Return which rows p is corrected over."""
    untrained = sum(row.learns_nothing for row in rows)
    if untrained in (0, len(rows)):
        return f"the {len(rows)} {'row' if len(rows) == 1 else 'rows'} compared"
    trained = len(rows) - untrained
    learn, them = ("row that learns", "it") if trained == 1 else ("rows that learn", "them")
    do = "learns" if untrained == 1 else "learn"
    return f"the {trained} {learn}, and apart from {them} the {untrained} that {do} nothing"


def time_text(rows: Iterable[Row]) -> str:
    """Return how long the runs of a table took together; a run in several rows counts once."""
    runs = {part.id: part.record for row in rows for part in row.parts}
    seconds = sum(record.cost.seconds.total for record in runs.values())
    took = f"{seconds:.1f} seconds" if seconds < 60 else f"{seconds / 60:.1f} minutes"
    return f"These {len(runs)} runs, baselines included, took {took} in all, one after the other."


def pick_text(pick: Pick) -> str:
    """Return what dev picked, in one line."""
    best = f"the first of {1 + len(pick.tied)} that are level as the best" if pick.tied else "the best"
    return (
        f"Picked on dev, {with_shots(pick.strategy, pick.shots)}: {pick.variant or 'no variant'}, {best} of "
        f"{pick.variants} variants by {pick.candidates} dev scores: dev {score_text(pick.dev)}, "
        f"test {score_text(pick.test)}."
    )


def notes(summary: Summary) -> tuple[str, ...]:
    """Return what a reader must know besides, a sentence or two each."""
    warnings = map(warned_text, warned(summary))
    return (*_of_protocol(summary), *_of_runs(summary), *_of_comparing(summary), *_of_chance(summary), *warnings)


def _of_protocol(summary: Summary) -> Iterator[str]:
    """Yield what is done with dev and folds, and what the experiment says itself."""
    yield (
        "Dev only picks: the epoch and the variant. What was picked by dev looks too good on dev; test had no say "
        "in it."
    )
    if folds := max((fold_count(row.runs) for row in summary.rows), default=0):
        yield (
            f"{folds}-fold cross-validation: every example is tested once, by a prompt that did not learn from it. "
            "Accuracy and tests are over all these answers together; F1, dev, further metrics and costs are means "
            "over folds. Prompts of two folds share most of their training examples, so the interval is a little too "
            "narrow, and p too small (Bengio & Grandvalet 2004)."
        )
    # Why the experiment lacks something, e.g. the zero-shot baseline.
    for note in map(str, summary.comparison.spec.get("notes", ())):
        yield f"{note[:1].upper()}{note[1:].rstrip('.')}."


def _of_runs(summary: Summary) -> Iterator[str]:
    """Yield which runs are missing, and what the others were made with, if that differs."""
    if cells := summary.missing:
        counts = Counter(
            f"{with_shots(row_label(cell.role, cell.strategy, cell.variant), cell.shots)}, seed {cell.seed}"
            for cell in cells
        )
        # Those of several folds have one name.
        names = [name if count == 1 else f"{name} ({count} folds)" for name, count in counts.items()]
        yield (
            f"{len(cells)} of {len(summary.comparison.entries)} runs {'is' if len(cells) == 1 else 'are'} missing: "
            f"{_listed(names)}. Rows, picks and the strongest baseline are made of those that are finished."
        )
    made_with = {part.record.versions.mindspore for row in summary.rows for part in row.parts}
    if len(made_with) > 1:
        yield (
            f"Runs were made with MindSpore {' and '.join(sorted(made_with))}: last digits, times and memory differ "
            "by that."
        )


def _of_comparing(summary: Summary) -> Iterator[str]:
    """Yield which rows are held against no baseline."""
    if summary.without_baseline:
        yield f"No baseline to compare with: {_rows(summary.without_baseline)}."
    if summary.unlike:
        yield f"Not compared, for the test examples are not the same: {_rows(summary.unlike)}."


def _of_chance(summary: Summary) -> Iterator[str]:
    """Yield what the size of test, few seeds and small dev splits do to the figures."""
    if n := tested(summary):
        folds = max(fold_count(row.runs) for row in summary.rows)
        # Two standard errors at 50 %, where they are largest.
        sure = (
            f"Test has {n:,} examples: from them alone an accuracy is sure to about {100 / math.sqrt(n):.1f} points"
        )
        hint = "" if folds else " With --folds every example of the data is tested once."
        yield f"{sure} either way.{hint if n < SMALL_TEST else ''}"
    if single := single_seeds(summary):
        if any(isinstance(row.shots, int) for row in single):
            matter = "the draw and the initialisation matter"
        else:
            matter = "the initialisation matters" if all(map(takes_epochs, single)) else "the seed matters"
        yield (
            f"One seed: {_rows(single)}. That gives no standard deviation, and the interval and p do not tell how "
            f"much {matter}."
        )
    if few_seeds(summary):
        yield (
            f"With fewer than {FEW_SEEDS} seeds the interval is too narrow, and p too small, where accuracies "
            "differ by several points from seed to seed."
        )
    for shots, n in small_dev_splits(summary).items():
        yield (
            f"{at_shots(shots).capitalize()} dev has {n} examples: candidates often tie there, and what it picks is "
            "rough."
        )


def warned_text(found: Warned) -> str:
    """Return what runs warned of, and which."""
    rows = _rows(found.rows) if found.rows else "all that run a model"
    share = "" if found.runs == found.of else f", {found.runs} of {found.of} runs"
    first = "" if found.alike else ", with the figures of the first"
    return f"Warned of by {rows}{share}{first}: {found.text.rstrip('.')}."


def compared_text(found: Disagreement) -> str:
    """Return which prompts were looked at for disagreement."""
    learnt = f", {shots_phrase(found.shots)}" if found.shots is not None else ""
    return f"Compared here: {', '.join(found.compared)}{learnt}."


def lack_text(found: Disagreement) -> str:
    """Return why there are no examples of disagreement; empty if there are some."""
    if found.lack is None:
        return ""
    return {
        "prompts": "There are not two prompts, judged on the same test examples, to compare.",
        "difference": "All prompts give the same answer on every test example.",
        "texts": (
            f"Prompts disagree on {found.total:,} of {found.of:,} test examples, but their texts cannot be shown: "
            "no run directory of this comparison with whole predictions is left."
        ),
    }[found.lack]


def at_shots(shots: Shots) -> str:
    """Return where something holds: `at 16 shots`, `with all of train`, `for what learns nothing`."""
    if shots is None:
        return "for what learns nothing"
    return "with all of train" if shots == "full" else f"at {shots} shots"


def _rows(rows: Iterable[Row]) -> str:
    return _listed(with_shots(row.label, row.shots) for row in rows)


def _listed(names: Iterable[str]) -> str:
    every = list(names)
    rest = len(every) - _LISTED
    return "; ".join(every) if rest <= 0 else f"{'; '.join(every[:_LISTED])}; and {rest} more"
