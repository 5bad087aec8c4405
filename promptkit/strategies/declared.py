"""What a strategy class declares, checked where it registers and, under its options, where it runs."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable
from typing import Any

from pydantic import TypeAdapter, ValidationError

from promptkit.checking import field_fault
from promptkit.errors import kind_of
from promptkit.prompting import Showing
from promptkit.strategies.contract import (
    CONTRACT,
    DEPENDS_ON,
    KINDS,
    OBJECTIVES,
    PROPOSES,
    TRAINED_WITH,
    WEIGHTS,
    Defaults,
    Strategy,
    StrategyOptions,
    has_all_defaults,
)

_METHODS = ("build", "prepare", "check", "context", "choose", "arrange", "propose", "teach", "student", "fold")
_DEFAULTS = TypeAdapter(Defaults)


def check_declared(strategy: Strategy) -> str | None:
    """Return what is wrong with what a strategy declares under its options, or None.

    `defaults` and `depends_on` may be properties, of which the class alone does not say what they give.
    """
    name = type(strategy).__name__
    if not isinstance(strategy.defaults, Defaults):
        return f"{name}.defaults is {kind_of(strategy.defaults)}, not a promptkit.Defaults"
    templates: Any = strategy.defaults.templates
    try:
        by_language = dict(templates)
        sound = isinstance(templates, tuple | list)
        sound = sound and all(isinstance(each, str) for own in by_language.values() for each in own)
    except (TypeError, ValueError):
        sound = False
    if not sound or not by_language.get("en") or any(isinstance(own, str) for own in by_language.values()):
        return (
            f"{name}.defaults.templates is {templates!r}, not pairs of a language and its templates, 'en' among them"
        )
    causal: Any = strategy.defaults.causal
    if not isinstance(causal, tuple) or not all(map(_is_setting, causal)):
        return (
            f"{name}.defaults.causal is {causal!r}, not pairs of one of {', '.join(sorted(TRAINED_WITH))} and a value"
        )
    if impossible := _impossible(strategy.defaults):
        return f"{name}.defaults: {impossible}"
    showing: Any = strategy.showing
    if not isinstance(showing, Showing) or showing.sets < 1:
        return f"{name}.showing is {showing!r}, not a promptkit.Showing with at least one set"
    for attribute, known, may_be_empty in (
        ("proposes", PROPOSES, True),
        ("depends_on", DEPENDS_ON, True),
        ("kinds", KINDS, False),
        ("objectives", OBJECTIVES, False),
    ):
        declared: Any = getattr(strategy, attribute)
        if not isinstance(declared, frozenset | set) or not declared <= known or not (declared or may_be_empty):
            return f"{name}.{attribute} is {declared!r}, not a set of {', '.join(sorted(known))}"
    if not isinstance(strategy.weights, str) or strategy.weights not in WEIGHTS:
        return f"{name}.weights is {strategy.weights!r}, not 'uniform' or 'accuracy'"
    if not isinstance(strategy.rounds, int) or strategy.rounds < 1:
        return f"{name}.rounds is {strategy.rounds!r}, not a number of rounds"
    if strategy.rounds > 1 and (not isinstance(strategy.unlabelled, int) or strategy.unlabelled < 1):
        return f"{name}.unlabelled is {strategy.unlabelled!r}, and {strategy.rounds} rounds need texts without labels"
    if strategy.rounds > 1 and type(strategy).teach is Strategy.teach:
        return f"{name} has {strategy.rounds} rounds and no teach"
    return None


def check_class(candidate: object) -> str | None:
    """Return what is wrong with a class offered as a strategy, or None.

    MindSpore's `nn.Cell` does not enforce abstract methods and Python does so only on instantiation; a plugin
    is checked here, when it registers.
    """
    if isinstance(candidate, Strategy):
        return f"an instance of {type(candidate).__name__} is no strategy; register the class, not an instance"
    if not (inspect.isclass(candidate) and issubclass(candidate, Strategy)):
        return f"{candidate!r} is not a subclass of promptkit.Strategy"
    if inspect.isabstract(candidate):
        missing = ", ".join(sorted(candidate.__abstractmethods__))
        return f"{candidate.__name__} is abstract: {missing} not defined"
    wanted = getattr(candidate, "contract", None)
    if type(wanted) is not int:
        return f"{candidate.__name__}.contract is {wanted!r}; it must be the number {CONTRACT}"
    if wanted != CONTRACT:
        return f"{candidate.__name__} is written for version {wanted} of the contract, this promptkit has {CONTRACT}"
    for attribute in ("name", "summary"):
        if not isinstance(getattr(candidate, attribute, None), str) or not getattr(candidate, attribute):
            return f"{candidate.__name__} has no {attribute}"
    if not candidate.name.replace("-", "").replace("_", "").isalnum():
        return f"{candidate.__name__}: '{candidate.name}' is no name; use letters, digits, '-' and '_'"
    options = getattr(candidate, "Options", None)
    if not (inspect.isclass(options) and issubclass(options, StrategyOptions)):
        return f"{candidate.__name__}.Options is not a subclass of promptkit.StrategyOptions"
    if fault := _wrong_method(candidate) or _misspelt(candidate):
        return fault
    return check_declared(candidate()) if has_all_defaults(candidate) else None


def _is_setting(pair: object) -> bool:
    """Return whether something is a name of `TRAINED_WITH` with a value."""
    return isinstance(pair, tuple) and len(pair) == 2 and isinstance(pair[0], str) and pair[0] in TRAINED_WITH


def _impossible(defaults: Defaults) -> str | None:
    """Return what cannot be trained with, or None."""
    for kind in sorted(KINDS):
        try:
            _DEFAULTS.validate_python(vars(defaults.for_kind(kind)))
        except ValidationError as error:
            return str(field_fault(error))
    return None


def _wrong_method(cls: type[Strategy]) -> str | None:
    """Return which method cannot be called as the contract calls it, or None."""
    for name in _METHODS:
        if isinstance(inspect.getattr_static(cls, name), property):
            continue  # what it gives may hang on the options
        expected = inspect.signature(getattr(Strategy, name)).parameters
        # Bound to an object, for a static method has no self.
        own = getattr(object.__new__(cls), name)
        if not callable(own):
            return f"{cls.__name__}.{name} is {kind_of(own)}, not a method"
        try:
            inspect.signature(own, follow_wrapped=False).bind(*list(expected)[1:])
        except TypeError:
            return f"{cls.__name__}.{name} must take ({', '.join(expected)})"
        except ValueError:  # Python cannot say what it takes
            continue
    return None


def _misspelt(cls: type[Strategy]) -> str | None:
    """Return which attribute is one of the contract's but for a letter, or None.

    A strategy may have attributes of its own, so one is only refused that also holds what that of the contract would.
    """
    for base in cls.__mro__[: cls.__mro__.index(Strategy)]:
        for name, value in vars(base).items():
            for known, would_do in _HOLDS.items():
                if name != known and would_do(value) and _but_for_a_letter(name, known):
                    return f"{cls.__name__} has {name}, which promptkit does not know. Did you mean '{known}'?"
    return None


def _but_for_a_letter(name: str, known: str) -> bool:
    # `kind` is nearly `kinds`, and `bounds` is not `rounds`.
    return abs(len(name) - len(known)) <= 1 and difflib.SequenceMatcher(None, name, known).ratio() > 0.88


def _is_set(value: object) -> bool:
    return isinstance(value, frozenset | set)


# What an attribute of each name holds. Numbers are left out: a strategy's own may be called anything.
_HOLDS: dict[str, Callable[[object], bool]] = {
    "defaults": lambda value: isinstance(value, Defaults | property),
    "depends_on": lambda value: isinstance(value, frozenset | set | property),
    "kinds": _is_set,
    "objectives": _is_set,
    "proposes": _is_set,
    "showing": lambda value: isinstance(value, Showing),
    "weights": lambda value: isinstance(value, str) and value in WEIGHTS,
    "Options": lambda value: inspect.isclass(value) and issubclass(value, StrategyOptions),
}
