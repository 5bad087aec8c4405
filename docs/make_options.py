"""Writes the tables of docs/strategies.md from the strategies that promptkit registers.

    python docs/make_options.py            rewrite the tables
    python docs/make_options.py --check    exit with 1 if they are not current

A table stands between `<!-- options: NAME -->` and `<!-- end options -->`, that of the training defaults
between `<!-- defaults -->` and `<!-- end defaults -->`. Only the strategies that come with promptkit are
listed.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from promptkit.hooks import StrategyCard, get_host, strategy_card

PAGE = Path(__file__).resolve().parent / "strategies.md"
_OPTIONS = re.compile(r"(<!-- options: ([\w-]+) -->\n).*?(<!-- end options -->)", re.DOTALL)
_DEFAULTS = re.compile(r"(<!-- defaults -->\n).*?(<!-- end defaults -->)", re.DOTALL)


def built_in() -> dict[str, StrategyCard]:
    """Return the cards of promptkit's own strategies by name."""
    cards = (strategy_card(entry) for entry in get_host().strategies.values())
    return {card.name: card for card in cards if card.distribution == "promptkit"}


def render(page: str) -> str:
    """Return the page with every table written anew.

    Raises:
        SystemExit: if a strategy has no place on the page, or a place no strategy.
    """
    cards = built_in()
    places = [match[2] for match in _OPTIONS.finditer(page)]
    if sorted(places) != sorted(cards):
        raise SystemExit(f"{PAGE.name} has options of {places}, promptkit has {sorted(cards)}")
    page = _OPTIONS.sub(lambda match: match[1] + _options_table(cards[match[2]]) + match[3], page)
    return _DEFAULTS.sub(lambda match: match[1] + _defaults_table(cards[n] for n in places) + match[2], page)


def _options_table(card: StrategyCard) -> str:
    rows = [
        (f"`{it.name}`", it.type, "required" if it.required else f"`{_json(it.default)}`", it.help)
        for it in card.options
    ]
    return _table(("Option", "Type", "Default", "What it does"), rows)


def _defaults_table(cards: Iterable[StrategyCard]) -> str:
    cards = list(cards)
    training = [key for key in cards[0].defaults if key != "templates"]
    languages = list(cards[0].defaults["templates"])
    rows = []
    for card in cards:
        templates = card.defaults["templates"]
        shown = [" ".join(f"`{it}`" for it in templates.get(language, ())) for language in languages]
        rows.append((f"`{card.name}`", *(_json(card.defaults[key]) for key in training), *shown))
    heads = [key.replace("_", " ") for key in training] + [f"template ({it})" for it in languages]
    return _table(("Strategy", *heads), rows)


def _json(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) or value is None else str(value)


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    return "\n" + "".join(f"| {' | '.join(line)} |\n" for line in lines) + "\n"


def main(arguments: Sequence[str]) -> int:
    """Rewrite the page, or check it."""
    old = PAGE.read_text(encoding="utf-8")
    new = render(old)
    if "--check" in arguments:
        return int(old != new)
    PAGE.write_text(new, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
