"""What `promptkit inspect` prints."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from textwrap import fill

from tabulate import tabulate

from promptkit.inspection.attribution import Attribution, TemplateAttribution
from promptkit.inspection.movement import Movement
from promptkit.inspection.prefixes import PrefixOfLayers, Size
from promptkit.inspection.report import PromptReport, VirtualPrompt
from promptkit.runs import ARTIFACT_NAME

_BAR, _WIDTH = 20, 100
_METHOD = (
    "Change: the log-odds of '{label}' with the piece minus without it; positive speaks for '{label}' "
    "(leave-one-out, Li et al. 2016). The changes do not add up to the log-odds: pieces act together."
)


def method_text(found: Attribution) -> str:
    """Return how the changes of an attribution were come by."""
    first = f" They are those beside the first of {found.sets} sets of demonstrations; the prediction is over all."
    return _METHOD.format(label=found.label) + (first if found.sets > 1 else "")


def report_text(report: PromptReport) -> str:
    """Return the virtual tokens and the prefixes of a run as tables."""
    head = f"{report.strategy} on {short_name(report.model)}"
    if report.templates:
        head += (
            f"; nearest among {report.words:,} words of the vocabulary, whose median norm is {report.median_norm:.2f}"
        )
    parts = [fill(head, _WIDTH), *map(_prompt_text, report.templates), *map(_prefix_text, report.prefixes)]
    return "\n\n".join([*parts, fill(report.caution, _WIDTH)] if report.templates else parts)


def prefix_text(prefix: PrefixOfLayers) -> str:
    """Return what a prefix is, in words."""
    first, last = prefix.layers[0].layer, prefix.layers[-1].layer
    where = f"layer {last}" if first == last else f"layers {first} to {last}"
    still = " It did not move: all of it is where it started." if prefix.still else ""
    return (
        f"A prefix of length {prefix.length}: keys and values for {prefix.heads} heads in {where} of "
        f"{prefix.of_layers}. Norms and moves are means over heads and positions.{still}"
    )


def _prefix_text(prefix: PrefixOfLayers) -> str:
    table = _table(
        [(str(each.layer), *size_texts(each.keys), *size_texts(each.values)) for each in prefix.layers],
        ("layer", "key norm", "model's own", "moved", "value norm", "model's own", "moved"),
        ("right",) * 7,
    )
    return f"template: {prefix.template}\n\n{fill(prefix_text(prefix), _WIDTH)}\n\n{table}"


def size_texts(size: Size) -> tuple[str, str, str]:
    """Return norm, the model's own norm and the move as they stand in a table."""
    own = "-" if size.own_norm is None else distance_text(size.own_norm)
    return distance_text(size.norm), own, distance_text(size.moved)


def _prompt_text(prompt: VirtualPrompt) -> str:
    moves = _table(
        [
            (
                token.name,
                f"{token.norm:.2f}",
                distance_text(token.moved),
                cosine_text(token.start_cosine),
                token.start or "-",
            )
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
    said = fill(movement_text(prompt.movement), _WIDTH)
    return f"template: {prompt.template}\n\n{said}\n\n{moves}\n\n{near}"


def movement_text(found: Movement) -> str:
    """Return how far a template's virtual tokens went, and what follows for their nearest words."""
    if found.largest_move == 0:
        return (
            "The prompt did not move: every virtual token is where it started. Nearest words tell how it was "
            "initialised, not what it learnt."
        )
    tolerance = f"{100 * found.tolerance:.0f} %"
    figures = (
        f"Furthest went {found.furthest}: {distance_text(found.largest_move)}, {share_text(found.largest_share)} of "
        f"the norm it started with; the lowest cosine to the start is {cosine_text(found.lowest_cosine)}."
    )
    if found.hardly_moved:
        return (
            f"The prompt hardly moved: no virtual token went further than {tolerance} of the norm it started with. "
            f"{figures} Nearest words tell how it was initialised, not what it learnt."
        )
    if found.within:
        return (
            f"{found.within} of {found.of} virtual tokens hardly moved: they went no further than {tolerance} of the "
            f"norm they started with. {figures}"
        )
    return f"Every virtual token went further than {tolerance} of the norm it started with. {figures}"


def distance_text(value: float) -> str:
    """Return a distance with two decimals, or two digits where that would hide a small one: `1.68`, `0.0053`."""
    return f"{value:.2f}" if value >= 0.1 or value == 0 else f"{value:.2g}"


def share_text(value: float) -> str:
    """Return a share in per cent, small ones with two digits: `0.57 %`, `12.3 %`, `219 %`."""
    percent = 100 * value
    return f"{percent:.2g} %" if percent < 1 else f"{percent:.1f} %" if percent < 100 else f"{percent:,.0f} %"


def cosine_text(value: float) -> str:
    """Return a cosine to where a token started, cut and not rounded: only what has not turned is `1.0000`."""
    return f"{math.floor(1e4 * value + 1e-6) / 1e4:.4f}"


def short_name(path: str) -> str:
    """Return what a page calls a run or a model: of a path the last part, of `prompt.safetensors` its folder's.

    Names, and Hub ids such as `google-bert/bert-base-uncased`, stay as they are.
    """
    place = Path(path)
    if place.name == ARTIFACT_NAME and place.parent.name:
        place = place.parent
    return place.name if place.name and (place.is_absolute() or len(place.parts) > 2) else str(place)


def attribution_text(found: Attribution) -> str:
    """Return what a prediction hangs on as a table for each template."""
    chances = ", ".join(f"{label} {chance:.4f}" for label, chance in found.probabilities.items())
    over = f" (mean over {len(found.templates)} templates)" if len(found.templates) > 1 else ""
    head = f"prediction: {found.label}, probability {found.probabilities[found.label]:.4f}{over}\nall: {chances}"
    method = fill(method_text(found), _WIDTH)
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
