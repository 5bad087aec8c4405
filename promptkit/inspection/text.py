"""What `promptkit inspect` prints."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import fill

from tabulate import tabulate

from promptkit.inspection.attribution import Attribution, TemplateAttribution
from promptkit.inspection.report import PromptReport, VirtualPrompt

_BAR, _WIDTH = 20, 100
METHOD = (
    "Change: the log-odds of '{label}' with the piece minus without it; positive speaks for '{label}' "
    "(leave-one-out, Li et al. 2016). The changes do not add up to the log-odds: pieces act together."
)


def report_text(report: PromptReport) -> str:
    """Return the virtual tokens of a run as tables."""
    head = fill(
        f"{report.strategy} on {report.model}; nearest among {report.words:,} words of the vocabulary, "
        f"whose median norm is {report.median_norm:.2f}",
        _WIDTH,
    )
    return "\n\n".join([head, *map(_prompt_text, report.templates), fill(report.caution, _WIDTH)])


def _prompt_text(prompt: VirtualPrompt) -> str:
    moves = _table(
        [
            (token.name, f"{token.norm:.2f}", f"{token.moved:.2f}", f"{token.start_cosine:.2f}", token.start or "-")
            for token in prompt.tokens
        ],
        ("token", "norm", "moved", "cosine to start", "started as"),
        ("left", "right", "right", "right", "left"),
    )
    near = _table(
        [
            (token.name, "  ".join(f"{word.word} ({word.cosine:.2f}, {word.distance:.2f})" for word in token.nearest))
            for token in prompt.tokens
        ],
        ("token", "nearest words (cosine, Euclidean distance)"),
        ("left", "left"),
    )
    return f"template: {prompt.template}\n\n{moves}\n\n{near}"


def attribution_text(found: Attribution) -> str:
    """Return what a prediction hangs on as a table for each template."""
    chances = ", ".join(f"{label} {chance:.4f}" for label, chance in found.probabilities.items())
    over = f" (mean over {len(found.templates)} templates)" if len(found.templates) > 1 else ""
    head = f"prediction: {found.label}, probability {found.probabilities[found.label]:.4f}{over}\nall: {chances}"
    method = fill(METHOD.format(label=found.label), _WIDTH)
    return "\n\n".join([head, *(_pieces_text(each) for each in found.templates), method])


def _pieces_text(found: TemplateAttribution) -> str:
    taken = [(piece.text, piece.role, piece.change) for piece in found.pieces if piece.change is not None]
    largest = max((abs(change) for _, _, change in taken), default=0.0)
    # The piece comes last: Chinese characters are two columns wide, and would shift what follows.
    table = _table(
        [(f"{change:+.3f}", bar(change, largest), role.removeprefix("field:"), text) for text, role, change in taken],
        ("change", "", "role", "piece"),
        ("right", "left", "left", "left"),
    )
    lines = [
        f"template: {found.template}",
        f"probability {found.probability:.4f}, log-odds {found.log_odds:+.3f}",
        "",
        table,
    ]
    if found.dropped:
        lines.append(f"cut off: {found.dropped} tokens of the text")
    return "\n".join(lines)


def bar(change: float, largest: float) -> str:
    """Return a bar of plus or minus signs, `_BAR` of them for the largest change."""
    share = abs(change) / largest if largest else 0.0
    return ("+" if change > 0 else "-") * round(_BAR * share)


def _table(rows: Sequence[Sequence[str]], headers: Sequence[str], align: Sequence[str]) -> str:
    table: str = tabulate(rows, headers=headers, disable_numparse=True, colalign=align if rows else None)
    return table
