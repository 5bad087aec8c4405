"""Writes the tables of options: of strategies in docs/strategies/, of the settings of a run in docs/cli.md.

    python docs/make_options.py            rewrite the tables
    python docs/make_options.py --check    exit with 1 if they are not current

Every strategy that comes with promptkit has a page of its name, with its options between `<!-- options: NAME -->`
and `<!-- end options -->`. The training defaults of all stand in index.md between `<!-- defaults -->` and
`<!-- end defaults -->`. In cli.md the options that a command has for settings of a run stand between
`<!-- settings: COMMAND -->` and `<!-- end settings -->`.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic_core import PydanticUndefined

from promptkit.cli import compare, run
from promptkit.hooks import StrategyCard, get_host, strategy_card
from promptkit.running.config import RunConfig, flag_of, setting_of

FOLDER = Path(__file__).resolve().parent / "strategies"
COMMAND_LINE = FOLDER.parent / "cli.md"
# In the order in which the pages introduce them.
ORDER = (
    "hard", "icl", "probe", "pet", "lmbff", "soft", "ptuning", "prefix", "ptuning-v2", "autoprompt", "bitfit",
    "finetune",
)  # fmt: skip
_OPTIONS = re.compile(r"(<!-- options: ([\w-]+) -->\n).*?(<!-- end options -->)", re.DOTALL)
_SETTINGS = re.compile(r"(<!-- settings: (run|compare) -->\n).*?(<!-- end settings -->)", re.DOTALL)
_OF_COMMAND = {"run": run.SETTINGS, "compare": compare.SETTINGS}
_NAMED = {"shots": "full"}  # what stands for None
_DEFAULTS = re.compile(r"(<!-- defaults -->\n).*?(<!-- end defaults -->)", re.DOTALL)


def built_in() -> dict[str, StrategyCard]:
    """Return the cards of promptkit's own strategies by name."""
    cards = (strategy_card(entry) for entry in get_host().strategies.values())
    return {card.name: card for card in cards if card.distribution == "promptkit"}


def read() -> dict[str, str]:
    """Return the pages as they are: file name without suffix -> Markdown."""
    return {path.stem: path.read_text(encoding="utf-8") for path in sorted(FOLDER.glob("*.md"))}


def render(pages: Mapping[str, str]) -> dict[str, str]:
    """Return the pages with every table written anew.

    Raises:
        SystemExit: if a strategy has no page or a page no strategy, or a page lacks the place of its table.
    """
    cards = built_in()
    if set(pages) - {"index"} != set(cards):
        raise SystemExit(f"{FOLDER.name}/ has pages {sorted(set(pages) - {'index'})}, promptkit has {sorted(cards)}")
    if not _DEFAULTS.search(pages["index"]):
        raise SystemExit(f"{FOLDER.name}/index.md has no place for the defaults")
    new = {}
    for name, page in pages.items():
        places = [match[2] for match in _OPTIONS.finditer(page)]
        if places != ([] if name == "index" else [name]):
            raise SystemExit(f"{FOLDER.name}/{name}.md has places for the options of {places}")
        new[name] = _OPTIONS.sub(lambda match: match[1] + _options_table(cards[match[2]]) + match[3], page)
    ordered = [
        *(cards[name] for name in ORDER if name in cards),
        *(cards[n] for n in sorted(set(cards) - set(ORDER))),
    ]
    new["index"] = _DEFAULTS.sub(lambda match: match[1] + _defaults_table(ordered) + match[2], new["index"])
    return new


def render_settings(page: str) -> str:
    """Return cli.md with its tables of settings written anew.

    Raises:
        SystemExit: if a command has no place for its table.
    """
    places = [match[2] for match in _SETTINGS.finditer(page)]
    if places != list(_OF_COMMAND):
        raise SystemExit(f"{COMMAND_LINE.name} has places for the settings of {places}, not of {list(_OF_COMMAND)}")
    return _SETTINGS.sub(lambda match: match[1] + _settings_table(_OF_COMMAND[match[2]]) + match[3], page)


def _settings_table(names: Iterable[str]) -> str:
    rows = []
    for name in names:
        setting = setting_of(name)
        said = setting.help + (" May be repeated." if setting.repeated else "")
        said += " Required." if RunConfig.model_fields[name].is_required() else ""
        said += f" See [{setting.page}]({setting.page})." if setting.page else ""
        # What has none is the strategy's, the data's or nothing at all, as its meaning says.
        default = _NAMED.get(name, RunConfig.model_fields[name].default)
        nothing = default is None or default is False or default is PydanticUndefined or default == ()
        shown = "" if nothing else f"`{default}`"
        rows.append((f"`{flag_of(name)} {setting.metavar}".rstrip() + "`", said, shown))
    return _table(("Option", "Meaning", "Default"), rows)


def _options_table(card: StrategyCard) -> str:
    rows = [
        (f"`{it.name}`", it.type, "required" if it.required else f"`{_json(it.default)}`", it.help)
        for it in card.options
    ]
    return _table(("Option", "Type", "Default", "What it does"), rows)


def _defaults_table(cards: Iterable[StrategyCard]) -> str:
    cards = list(cards)
    training = [key for key in cards[0].defaults if key not in ("templates", "causal")]
    languages = list(cards[0].defaults["templates"])
    rows = []
    for card in cards:
        templates = card.defaults["templates"]
        shown = [" ".join(f"`{it}`" for it in templates.get(language, ())) for language in languages]
        differs = ", ".join(
            f"{key.replace('_', ' ')} {_json(value)}" for key, value in card.defaults["causal"].items()
        )
        rows.append((f"`{card.name}`", *(_json(card.defaults[key]) for key in training), differs, *shown))
    heads = [*(key.replace("_", " ") for key in training), "on a causal model"]
    heads += [f"template ({it})" for it in languages]
    return _table(("Strategy", *heads), rows)


def _json(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) or value is None else str(value)


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    return "\n" + "".join(f"| {' | '.join(line)} |\n" for line in lines) + "\n"


def main(arguments: Sequence[str]) -> int:
    """Rewrite the pages, or check them."""
    old = read()
    new = render(old)
    settings = COMMAND_LINE.read_text(encoding="utf-8")
    if "--check" in arguments:
        return int(old != new or render_settings(settings) != settings)
    for name, page in new.items():
        (FOLDER / f"{name}.md").write_text(page, encoding="utf-8")
    COMMAND_LINE.write_text(render_settings(settings), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
