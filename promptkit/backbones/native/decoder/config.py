"""What the `config.json` files of decoders have in common: heads, and rotary frequencies with their scalings."""

from __future__ import annotations

import math
from typing import Any

from promptkit.checking import CheckedModel, Positive, Size, checked, shortened
from promptkit.errors import UserError

Frequencies = tuple[float, ...]


class RopeScaling(CheckedModel):
    """`rope_scaling`, or `rope_parameters` where the base stands in it as well."""

    rope_type: str | None = None
    type: str | None = None
    rope_theta: Positive | None = None
    factor: Positive = 1.0
    low_freq_factor: Positive = 1.0
    high_freq_factor: Positive = 4.0
    original_max_position_embeddings: Size = 8192
    factors: list[float] | None = None


def head_sizes(hidden: int, heads: int, kv_heads: int | None, head_width: int | None, where: str) -> tuple[int, int]:
    """Return A_kv and D.

    Raises:
        UserError: if the numbers do not go together.
    """
    kv_heads = kv_heads or heads
    if heads % kv_heads:
        raise UserError(f"{where}: {heads} attention heads are no multiple of {kv_heads} heads of keys and values.")
    if head_width is None and hidden % heads:
        raise UserError(f"{where}: hidden_size {hidden} is no multiple of {heads} attention heads.")
    return kv_heads, head_width or hidden // heads


def rotary_frequencies(raw: dict[str, Any], width: int, base: float, where: str) -> Frequencies:
    """Return the angles a position of rotary embeddings, (D / 2,), scaled as the configuration says.

    Args:
        raw: the configuration; `rope_parameters` (transformers 5) goes before `rope_theta` and `rope_scaling`.
        width: D.
        base: where the configuration names none.
        where: how errors name the file.

    Raises:
        UserError: for a scaling that is malformed or not known, or an odd width.
    """
    if width % 2:
        raise UserError(f"{where}: heads of width {width} cannot be turned; rotary positions take an even width.")
    given = raw.get("rope_parameters") or raw.get("rope_scaling") or {}
    if not isinstance(given, dict):
        raise UserError(f"{where}: rope_scaling is {shortened(given)}, not an object.")
    if any(isinstance(value, dict) for value in given.values()):
        raise UserError(f"{where}: rope_parameters differ from layer to layer, which is not supported.")
    if given.get("factor") is not None and not (given.get("rope_type") or given.get("type")):
        raise UserError(f"{where}: rope_scaling has a factor and no rope_type that says what it does.")
    scaling = checked(RopeScaling, given, f"{where}: rope_scaling")
    base = scaling.rope_theta or base
    plain = tuple(base ** (-2.0 * i / width) for i in range(width // 2))
    kind = scaling.rope_type or scaling.type or "default"
    if kind == "default":
        return plain
    if kind == "linear":
        return tuple(each / scaling.factor for each in plain)
    if kind == "llama3":
        return tuple(_llama3(each, scaling) for each in plain)
    if kind == "factors" and scaling.factors is not None and len(scaling.factors) == len(plain):
        return tuple(each / by for each, by in zip(plain, scaling.factors, strict=True))
    raise UserError(f"{where}: rope_scaling '{kind[:40]}' is not supported, only default, linear and llama3.")


def _llama3(frequency: float, scaling: RopeScaling) -> float:
    """Slow angles are divided, quick ones left alone, those between go from one to the other (Llama 3.1)."""
    original, low, high = scaling.original_max_position_embeddings, scaling.low_freq_factor, scaling.high_freq_factor
    turns = original * frequency / (2.0 * math.pi)  # how often it goes round over the original length
    if turns < low:
        return frequency / scaling.factor
    if turns > high or high <= low:
        return frequency
    share = (turns - low) / (high - low)
    return (1.0 - share) * frequency / scaling.factor + share * frequency
