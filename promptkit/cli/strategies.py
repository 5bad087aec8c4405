"""`promptkit strategies`: which strategies are installed and what options they take."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from promptkit.hooks import OptionCard, StrategyCard

WIDTH = 100
_INDENT = "  "
# The widest a column of the options' table may be; the last one, the help, takes what is left of WIDTH.
_COLUMNS = (("option", 18), ("type", 24), ("default", 14))
_LEAST_HELP = 36


def strategies(
    name: Annotated[str | None, typer.Argument(help="Show this strategy only, with its defaults.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON: a list of strategies.")] = False,
) -> None:
    """List the installed strategies and their options."""
    from promptkit.hooks import get_host, strategy_card

    host = get_host()
    host.report_refusals()
    entries = [host.strategy(name)] if name else host.strategies.values()
    cards = [strategy_card(entry) for entry in entries]
    if as_json:
        typer.echo(json.dumps([asdict(card) for card in cards], indent=2, ensure_ascii=False))
    else:
        typer.echo(render(cards, detailed=name is not None))


def render(cards: Sequence[StrategyCard], *, detailed: bool = False) -> str:
    """Return the strategies as plain text, no line longer than 100 characters.

    Args:
        cards: the strategies.
        detailed: also show what each trains with by default.
    """
    if not cards:
        return "No strategy is installed. The built-in ones come with an installed promptkit: pip install ."
    return "\n\n".join("\n".join(_render(card, detailed)) for card in cards)


def _render(card: StrategyCard, detailed: bool) -> list[str]:
    head = textwrap.wrap(f"{card.name}  ({card.distribution} {card.version})", WIDTH, break_on_hyphens=False)
    lines = [*head, *_wrap(card.summary)]
    if detailed:
        lines += ["", *_render_defaults(card.defaults)]
    if card.options:
        lines += ["", *_render_options(card.options)]
    return lines


def _render_defaults(defaults: dict[str, Any]) -> list[str]:
    lines = _wrap(f"defaults: {_listed({k: v for k, v in defaults.items() if k not in ('templates', 'causal')})}")
    if defaults["causal"]:
        lines += _wrap(f"on a causal model: {_listed(defaults['causal'])}")
    for language, templates in defaults["templates"].items():
        for template in templates:
            lines += _wrap(f"template ({language}): {template}")
    return lines


def _listed(settings: Mapping[str, Any]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in settings.items())


def _render_options(options: Sequence[OptionCard]) -> list[str]:
    rows = [(*(title for title, _ in _COLUMNS), "help")]
    rows += [(option.name, option.type, _default(option), option.help) for option in options]
    widths = [min(limit, max(len(row[column]) for row in rows)) for column, (_, limit) in enumerate(_COLUMNS)]
    left = WIDTH - len(_INDENT) - sum(width + 2 for width in widths)
    return [line for row in rows for line in _render_row(row, (*widths, max(left, _LEAST_HELP)))]


def _render_row(row: Sequence[str], widths: Sequence[int]) -> list[str]:
    cells = [
        textwrap.wrap(text, width, break_on_hyphens=False) or [""] for text, width in zip(row, widths, strict=True)
    ]
    height = max(len(cell) for cell in cells)
    lines = []
    for number in range(height):
        parts = [
            (cell[number] if number < len(cell) else "").ljust(width)
            for cell, width in zip(cells, widths, strict=True)
        ]
        lines.append((_INDENT + "  ".join(parts)).rstrip())
    return lines


def _default(option: OptionCard) -> str:
    if option.required:
        return "(required)"
    if option.default is None or isinstance(option.default, bool):
        return str(option.default).lower()
    if option.default == "":
        return '""'
    return str(option.default)


def _wrap(text: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent=_INDENT, subsequent_indent=_INDENT, break_on_hyphens=False)
