"""What the fields of an experiment take, and what is said of anything else, in the words of a TOML file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    Field,
    ValidationError,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)

from promptkit.checking import shortened

_WANTED = {
    "strategies": "a list of names",
    "baselines": "a list of names",
    "shots": "a whole number above 0 or 'full', or a list of such",
    "seeds": "how many seeds, or a list of whole numbers from 0 to 4294967295",
}


def _read_list(value: Any, read: ValidatorFunctionWrapHandler, info: ValidationInfo) -> Any:
    """Return a list as it is read, and a single value as a list of one; but one seed would be a number of seeds."""
    single = isinstance(value, str | int) and info.field_name != "seeds"
    try:
        return read((value,) if single else value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        # The whole value is shown behind the reason.
        culprit = f", not {shortened(first['input'])}" if first["loc"] and not single else ""
        raise ValueError(f"give {_WANTED[str(info.field_name)]}{culprit}") from None


def _table(value: Any) -> Any:
    if not isinstance(value, Mapping):
        raise ValueError("give a table, such as { epochs = 5 }")
    return value


def _tables(value: Any) -> Any:
    if not isinstance(value, list | tuple) or not all(isinstance(it, Mapping | BaseModel) for it in value):
        raise ValueError("give tables, each below [[variants]]")
    return value


Names = Annotated[tuple[str, ...], WrapValidator(_read_list)]
ListOfShots = Annotated[
    tuple[Annotated[int, Field(ge=1)] | Literal["full"], ...], Field(min_length=1), WrapValidator(_read_list)
]
Seeds = Annotated[tuple[Annotated[int, Field(ge=0, lt=2**32)], ...], Field(min_length=1), WrapValidator(_read_list)]
Settings = Annotated[dict[str, Any], BeforeValidator(_table)]
OwnSettings = Annotated[dict[str, Settings], BeforeValidator(_table)]
"""Name of a strategy -> its settings."""
ListOfTables = BeforeValidator(_tables)
