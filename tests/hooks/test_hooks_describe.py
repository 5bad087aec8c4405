"""Options as `promptkit strategies` words them."""

from __future__ import annotations

import enum
import json
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace
from typing import Annotated, Any, Literal, Optional

import pytest
from pydantic import Field

from promptkit import Strategy, StrategyOptions
from promptkit.hooks import PluginHost, StrategyCard, hookimpl, strategy_card


class Colour(enum.Enum):
    """An enumeration, as a third party may use one."""

    RED = "red"
    BLUE = "blue"


def card_for(annotation: Any, **field: Any) -> StrategyCard:
    """The card of a strategy with one option, `it`."""
    options = type(
        "Options",
        (StrategyOptions,),
        {"__annotations__": {"it": annotation}, "it": Field(**field), "__module__": __name__},
    )

    class One(Strategy):
        name = "one"
        summary = "One\n   option."
        Options = options

        def build(self, backbone: Any, task: Any) -> Any:
            raise NotImplementedError

    plugin = SimpleNamespace(promptkit_register_strategies=hookimpl(lambda register: register(One)))
    return strategy_card(PluginHost.from_plugins({"one": plugin}).strategy("one"))


@pytest.mark.parametrize(
    ("annotation", "field", "expected"),
    [
        (int, {"ge": 1, "le": 512}, "int 1..512"),
        (int, {"ge": 0}, "int >= 0"),
        (float, {"gt": 0, "le": 1}, "float > 0 <= 1"),
        (float, {"gt": 0}, "float > 0"),
        (bool, {}, "bool"),
        (str, {}, "text"),
        (int | None, {}, "int or none"),
        (Optional[float], {}, "float or none"),  # noqa: UP045 - both spellings reach us
        (Literal["random", "vocab"], {}, "random|vocab"),
        (Annotated[int, Field(lt=3)], {}, "int < 3"),
        (Annotated[int, Field(lt=3)] | None, {}, "int < 3 or none"),
        (Colour, {}, "red|blue"),
        (tuple[int, ...], {}, "tuple[int, ...]"),
        (list[str], {}, "list[text]"),
        (Path, {}, "Path"),
        (Any, {}, "any"),
    ],
)
def test_types_are_worded_for_people(annotation, field, expected):
    (option,) = card_for(annotation, default=None, **field).options
    assert option.type == expected


@pytest.mark.parametrize(
    ("default", "shown"),
    [(3, 3), (None, None), (True, True), ("", ""), (Colour.RED, "red"), ((1, 2), [1, 2]), (Path("a"), "a")],
)
def test_defaults_are_json_values(default, shown):
    card = card_for(Any, default=default)
    assert card.options[0].default == shown
    assert json.loads(json.dumps(asdict(card)))["options"][0]["default"] == shown


def test_a_default_made_on_demand_is_shown():
    assert card_for(list[int], default_factory=lambda: [7]).options[0].default == [7]


def test_a_required_option_says_so():
    option = card_for(int).options[0]
    assert option.required
    assert option.default is None


def test_texts_are_folded_into_one_line():
    card = card_for(int, default=1, description="how\n  many")
    assert card.summary == "One option."
    assert card.options[0].help == "how many"
