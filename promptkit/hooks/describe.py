"""What a strategy is and which options it takes, read from its classes."""

from __future__ import annotations

import enum
import types
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union, get_args, get_origin

from promptkit.hooks.entries import StrategyEntry
from promptkit.strategies.contract import usual_defaults

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

_TYPE_NAMES: dict[Any, str] = {str: "text", type(None): "none", Any: "any"}
_BOUNDS = (("ge", ">="), ("gt", ">"), ("le", "<="), ("lt", "<"))


@dataclass(frozen=True)
class OptionCard:
    """One option of a strategy, as `--set name=value` takes it.

    Attributes:
        name: the key.
        type: the type in words, with its bounds, e.g. `int 1..512`, `float > 0` or `random|vocab|text`.
        required: whether there is no default.
        default: the default as a JSON value; None if it is None or there is none.
        help: what the option does.
    """

    name: str
    type: str
    required: bool
    default: Any
    help: str


@dataclass(frozen=True)
class StrategyCard:
    """A strategy as `promptkit strategies` shows it; `defaults` holds the fields of `promptkit.Defaults`."""

    name: str
    summary: str
    plugin: str
    distribution: str
    version: str
    options: tuple[OptionCard, ...]
    defaults: dict[str, Any]


def strategy_card(entry: StrategyEntry) -> StrategyCard:
    """Describe a registered strategy."""
    defaults = asdict(usual_defaults(entry.cls))
    defaults |= {name: dict(defaults[name]) for name in ("templates", "causal")}
    return StrategyCard(
        name=entry.name,
        summary=" ".join(entry.cls.summary.split()),
        plugin=entry.origin.plugin,
        distribution=entry.origin.distribution,
        version=entry.origin.version,
        options=tuple(_option(name, it) for name, it in entry.cls.Options.model_fields.items()),
        defaults=defaults,
    )


def _option(name: str, field: FieldInfo) -> OptionCard:
    required = field.is_required()
    return OptionCard(
        name=name,
        type=" ".join([_type_name(field.annotation), *_bounds(field.metadata)]),
        required=required,
        default=None if required or takes_data(field) else _jsonable(field.get_default(call_default_factory=True)),
        help=" ".join((field.description or "").split()),
    )


def takes_data(field: FieldInfo) -> bool:
    """Return whether a default is made of the other options, so that there is none to name."""
    return bool(getattr(field, "default_factory_takes_validated_data", False))


def _jsonable(value: object) -> Any:
    if isinstance(value, enum.Enum):
        return _jsonable(value.value)
    if isinstance(value, (list, tuple)):
        return [_jsonable(item) for item in value]
    return value if value is None or isinstance(value, (bool, int, float, str)) else str(value)


def _bounds(metadata: list[Any]) -> list[str]:
    # Inside a union, pydantic leaves `Annotated[int, Field(ge=1)]` as it was written.
    found = [bound for it in metadata for bound in getattr(it, "metadata", [it])]
    values = {key: getattr(it, key) for it in found for key, _ in _BOUNDS if hasattr(it, key)}
    if {"ge", "le"} <= set(values):
        return [f"{values['ge']}..{values['le']}"]
    return [f"{sign} {values[key]}" for key, sign in _BOUNDS if key in values]


def _type_name(annotation: Any) -> str:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return "|".join(map(str, arguments))
    if origin is Annotated:
        return " ".join([_type_name(arguments[0]), *_bounds(list(arguments[1:]))])
    if origin in (Union, types.UnionType):
        return " or ".join(map(_type_name, arguments))
    if isinstance(origin, type):
        inner = ", ".join("..." if argument is ... else _type_name(argument) for argument in arguments)
        return f"{origin.__name__}[{inner}]"
    if isinstance(annotation, type) and issubclass(annotation, enum.Enum):
        return "|".join(str(member.value) for member in annotation)
    return _TYPE_NAMES.get(annotation) or str(getattr(annotation, "__name__", annotation))
