"""What a strategy class declares is checked when it registers, in one line that names what is wrong."""

from __future__ import annotations

import functools
import operator
from types import ModuleType
from typing import Any

import pytest

from promptkit import Defaults, Strategy, StrategyOptions
from promptkit.hooks import PluginHost, hookimpl
from promptkit.strategies.contract import CONTRACT
from promptkit.strategies.declared import check_class


class Plain(Strategy):
    """Fit to be taken."""

    name = "plain"
    summary = "Nothing wrong."

    def build(self, backbone: Any, task: Any) -> Any:
        raise NotImplementedError


@functools.wraps(lambda self, template, extra: template)
def wrapped(self: Any, template: Any) -> Any:
    """A method that takes the right arguments, made of one that took more."""
    return template


@pytest.mark.parametrize(
    ("attributes", "said"),
    [
        ({}, None),
        ({"defaults": property(lambda self: Defaults(epochs=3))}, None),
        ({"depends_on": property(lambda self: frozenset({"seed"}))}, None),
        ({"contract": 1}, f"Plain is written for version 1 of the contract, this promptkit has {CONTRACT}"),
        ({"contract": "2"}, "Plain.contract is '2'; it must be the number 2"),
        (
            {"defaults": Defaults(causal=(("rate", 1.0),))},
            "Plain.defaults.causal is (('rate', 1.0),), not pairs of one of batch",
        ),
        (
            {"defaults": Defaults(templates=("{text} It was {mask}.",))},
            "Plain.defaults.templates is ('{text} It was {mask}.',), not pairs of a language and its templates",
        ),
        ({"defaults": Defaults(templates=(("zh", ("{text}{mask}",)),))}, "and its templates, 'en' among them"),
        ({"defaults": Defaults(templates=(("en", "{text} {mask}"),))}, "not pairs of a language and its templates"),
        ({"defaults": {"epochs": 3}}, "Plain.defaults is a dict, not a promptkit.Defaults"),
        ({"defaults": property(lambda self: None)}, "Plain.defaults is nothing, not a promptkit.Defaults"),
        ({"depends_on": None}, "Plain.depends_on is None, not a set of examples, seed, training"),
        ({"depends_on": "seed"}, "Plain.depends_on is 'seed', not a set of"),
        ({"depends_on": frozenset({"sead"})}, "Plain.depends_on is frozenset({'sead'}), not a set of"),
        ({"depends_on": property(lambda self: {"moon"})}, "Plain.depends_on is {'moon'}, not a set of"),
        ({"depends_on": frozenset()}, None),
        ({"proposes": {"verbs"}}, "Plain.proposes is {'verbs'}, not a set of templates, words"),
        ({"kinds": frozenset()}, "Plain.kinds is frozenset(), not a set of causal, masked"),
        ({"objectives": frozenset()}, "Plain.objectives is frozenset(), not a set of classes, text"),
        ({"defaults": Defaults(epochs=2.5)}, "Plain.defaults: epochs: Input should be a valid integer (got 2.5)"),
        ({"defaults": Defaults(lr=-1.0)}, "Plain.defaults: lr: Input should be greater than 0 (got -1.0)"),
        ({"defaults": Defaults(readout="linear")}, "Plain.defaults: readout: Input should be 'cloze' or 'head'"),
        ({"defaults": Defaults(causal=(("lr", 0.0),))}, "Plain.defaults: lr: Input should be greater than 0"),
        ({"defaults": Defaults(min_steps=9, causal=(("epochs", 3),))}, None),
        ({"defaults": Defaults(causal=(5,))}, "Plain.defaults.causal is (5,), not pairs of one of batch"),
        ({"defaults": Defaults(causal=((["lr"], 1.0),))}, "Plain.defaults.causal is ((['lr'], 1.0),), not pairs"),
        ({"defaults": Defaults(templates={"en": ("{text}{mask}",)})}, "not pairs of a language and its templates"),
        ({"weights": ["uniform"]}, "Plain.weights is ['uniform'], not 'uniform' or 'accuracy'"),
        ({"check": lambda self, readout: None}, "Plain.check must take (self, readout, templates)"),
        ({"prepare": lambda self: None}, "Plain.prepare must take (self, template)"),
        ({"build": lambda self, backbone: None}, "Plain.build must take (self, backbone, task)"),
        ({"fold": None}, "Plain.fold is nothing, not a method"),
        ({"prepare": staticmethod(lambda template: template)}, None),
        ({"check": lambda self, *given: None}, None),
        ({"prepare": wrapped}, None),
        ({"choose": operator.attrgetter("others")}, None),
        ({"fold": property(lambda self: self.options.fold)}, None),
        ({"default": Defaults()}, "Plain has default, which promptkit does not know. Did you mean 'defaults'?"),
        ({"kind": {"masked"}}, "Plain has kind, which promptkit does not know. Did you mean 'kinds'?"),
        ({"Option": StrategyOptions}, "Plain has Option, which promptkit does not know. Did you mean 'Options'?"),
        ({"weight": "accuracy"}, "Plain has weight, which promptkit does not know. Did you mean 'weights'?"),
        ({"depend_on": property(lambda self: set())}, "Plain has depend_on, which promptkit does not know."),
        ({"bounds": 3, "round": 3, "labelled": 16, "front": False, "kind": "warm", "weight": "l2"}, None),
        ({"Optional": type("Optional", (StrategyOptions,), {}), "options": object, "fault": Defaults()}, None),
    ],
)
def test_what_a_class_declares_is_checked_at_registration(attributes: dict[str, Any], said: str | None) -> None:
    fault = check_class(type("Plain", (Plain,), attributes))
    assert fault is None if said is None else fault is not None and said in fault


def test_a_contract_of_another_version_is_refused_in_one_line() -> None:
    plugin = ModuleType("old")

    def promptkit_register_strategies(register: Any) -> None:
        register(type("Old", (Plain,), {"contract": 1}))

    plugin.promptkit_register_strategies = hookimpl(promptkit_register_strategies)  # type: ignore[attr-defined]
    (refusal,) = PluginHost.from_plugins({"old": plugin}).refusals
    assert str(refusal) == (
        "plugin 'old' of old 0 is refused: Old is written for version 1 of the contract, this promptkit has 2"
    )
