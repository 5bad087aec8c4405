"""Values against a pydantic model; what does not fit is one line with the field, the reason and the value."""

from __future__ import annotations

import re
import reprlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from promptkit.errors import UserError, unknown

_Model = TypeVar("_Model", bound=BaseModel)
# Parts of a place that name an alternative of a union and no field: `shots.0.int`, `shots.0.literal['full']`.
_ALTERNATIVE = re.compile(r"int|constrained-int|float|str|bool|none|literal|dict|list|tuple|.*\[.*", re.DOTALL)
_PREFIXES = ("Value error, ", "Assertion failed, ")

Size = Annotated[int, Field(strict=True, ge=1, le=2**24)]
"""A width, a length or a number of rows: a whole number above 0 that a tensor could have."""
Count = Annotated[int, Field(strict=True, ge=1, le=4096)]
"""How many layers, heads or groups: small enough to count through."""
Index = Annotated[int, Field(strict=True, ge=0, le=2**24)]
"""A row or an id, from 0."""
Positive = Annotated[float, Field(strict=True, gt=0, le=1e12, allow_inf_nan=False)]
"""A finite number above 0, such as an epsilon."""
NotNegative = Annotated[float, Field(strict=True, ge=0, le=1e12, allow_inf_nan=False)]
"""A finite number from 0, such as a decay."""
Name = Annotated[str, Field(strict=True, min_length=1, max_length=10_000)]
"""A text that is not empty."""


class CheckedModel(BaseModel):
    """The fields of a file that somebody else writes: nothing is converted, and what is not asked for is left alone.

    A field that may be null says so in its type (`Size | None`); without, null is refused. What JSON writes as an
    array is a `list`, for a tuple would already be a conversion.
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="ignore")


class _Short(reprlib.Repr):
    def __init__(self) -> None:
        super().__init__()
        self.maxstring = self.maxother = 60
        self.maxlevel, self.maxlist, self.maxtuple, self.maxdict = 2, 3, 3, 2

    def repr_int(self, x: int, level: int) -> str:
        # `repr` itself refuses a number of some thousand digits.
        return repr(x) if x.bit_length() < 200 else f"a whole number of {x.bit_length()} bits"


def shortened(value: object) -> str:
    """Return a value as Python writes it, short enough for a line."""
    return cut(" ".join(_Short().repr(value).split()), 80)


def _as_given(value: object) -> str:
    """Return a value for an error; a tuple as the command line has it, separated by commas."""
    if isinstance(value, tuple):
        return cut(" ".join(",".join(map(str, value)).split()), 80)
    return shortened(value)


@dataclass(frozen=True)
class FieldFault:
    """The first thing wrong with an object.

    Attributes:
        place: names and numbers down to the field, e.g. `variants.0.name`; empty for the object itself.
        reason: pydantic's sentence, without its full stop.
        value: what stood there, shortened; None where nothing did.
        field: the outermost of the names; empty for the object itself.
        given: the value itself.
    """

    place: str
    reason: str
    value: str | None
    field: str
    given: Any

    @property
    def got(self) -> str:
        """The value in brackets, with a space before; empty where there is none."""
        return "" if self.value is None else f" (got {self.value})"

    def __str__(self) -> str:
        """Return `place: reason (got value)`, without what is not there."""
        return f"{self.place}: {self.reason}{self.got}" if self.place else f"{self.reason}{self.got}"


def field_fault(error: ValidationError) -> FieldFault:
    """Return the first of the faults that pydantic found."""
    first = error.errors(include_url=False, include_context=False)[0]
    parts = [str(part) for part in first["loc"]]
    parts = parts[:1] + [part for part in parts[1:] if not _ALTERNATIVE.fullmatch(part)]
    reason = first["msg"]
    for prefix in _PREFIXES:
        reason = reason.removeprefix(prefix)
    reason = " ".join(reason.split()).removesuffix(".")
    return FieldFault(
        place=cut(".".join(parts), 120),
        reason=cut(reason, 300),
        value=None if first["type"] == "missing" else _as_given(first["input"]),
        field=parts[0] if parts else "",
        given=first["input"],
    )


def checked(model: type[_Model], values: Mapping[str, Any], what: str) -> _Model:
    """Return an object of a model.

    Args:
        model: if it forbids further keys, an unknown one is refused with the nearest that is known.
        values: the fields by name.
        what: what to call the object in an error: a path, mostly.

    Raises:
        UserError: for the first field that is unknown, missing or does not fit, in one line.
    """
    if model.model_config.get("extra") == "forbid":
        known = {field.alias or name for name, field in model.model_fields.items()}
        for key in values:
            if key not in known:
                raise UserError(f"{what}: {unknown('key', cut(str(key), 60), known)}")
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise UserError(f"{what}: {field_fault(error)}.") from None


def cut(text: str, most: int = 200) -> str:
    """Return the beginning of a text that may be too long for a line."""
    return text if len(text) <= most else text[: most - 3] + "..."
