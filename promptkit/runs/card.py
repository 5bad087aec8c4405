"""The card of a prompt artifact: what prediction needs beside the tensors, checked field by field."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import ConfigDict, Field

from promptkit.checking import CheckedModel, Name, Size, checked, shortened
from promptkit.errors import UserError
from promptkit.runs.artifact import load_artifact

CARD_FORMAT = 2
# A whole number or a truth value would be cast without a word, and a double would lose digits.
_TENSOR_TYPES = (np.dtype(np.float32), np.dtype(np.float16))


_Text = Annotated[str, Field(strict=True, min_length=1)]  # of any length: a template may hold written-out examples


class _Part(CheckedModel):
    model_config = ConfigDict(extra="forbid")


class BackboneCard(_Part):
    """The language model that a prompt belongs to, and at which revision of its id it was found, if it has one."""

    fingerprint: Name
    engine: Name
    architecture: Name
    hidden_size: Size
    revision: Name | None = None


class ShownCard(_Part):
    """A demonstration."""

    text: str
    text_b: str | None
    label: _Text
    others: list[Annotated[list[str], Field(min_length=2, max_length=2)]] = Field(default_factory=list)


class Card(_Part):
    """All that prediction needs besides the tensors. A change of meaning raises `CARD_FORMAT`.

    Attributes:
        format: `CARD_FORMAT`.
        promptkit: the version that wrote it.
        strategy: its name.
        options: the strategy's own options, as JSON values.
        templates: as they were used, after the strategy prepared them.
        verbalizer: its source, or None with readout `head` and no label words.
        readout, slots, labels, language, max_length, seed, clean, model: of the run.
        contexts: for each template its demonstrations.
        weights: of the templates where their scores are averaged; none where they are equal.
        backbone: what the model has to be.
        objective: what it gives: classes, at least two labels, or text.
        max_tokens: of an answer, where it writes; 0 where it does not.
    """

    format: Literal[2]
    promptkit: Name
    strategy: Name
    options: dict[str, Any]
    templates: list[_Text] = Field(min_length=1)
    verbalizer: _Text | None
    readout: Literal["cloze", "head", "answer"]
    slots: Literal["same", "first", "mean"]
    labels: list[_Text]
    contexts: list[list[ShownCard]] = Field(default_factory=list)
    weights: list[Annotated[float, Field(ge=0, allow_inf_nan=False)]] = Field(default_factory=list)
    language: str
    max_length: Annotated[int, Field(strict=True, ge=1)]
    seed: Annotated[int, Field(ge=0, lt=2**32)]
    clean: bool
    model: Name
    backbone: BackboneCard
    objective: Literal["classes", "text"] = "classes"
    max_tokens: Annotated[int, Field(ge=0)] = 0


def load_prompt(path: Path) -> tuple[dict[str, np.ndarray[Any, Any]], Card]:
    """Read the artifact of a prompt.

    Returns:
        The tensors by name, float32 or float16 and finite, and the card.

    Raises:
        UserError: if it is no artifact, a field of its card is missing, unknown or of another type, it was written by
            a newer promptkit, or a tensor holds something else than finite fractions.
    """
    tensors, values = load_artifact(path)
    written = values.get("format")
    if written != CARD_FORMAT or isinstance(written, bool):
        newer = isinstance(written, int) and written > CARD_FORMAT
        hint = " A newer promptkit wrote it; update this one." if newer else ""
        raise UserError(
            f"'{path}' is a prompt artifact of format {shortened(written)}; this promptkit reads {CARD_FORMAT}.{hint}"
        )
    card = checked(Card, values, f"'{path}', card")
    if fault := _unfit(card):
        raise UserError(f"'{path}', card: {fault}.")
    for name, tensor in tensors.items():
        if tensor.dtype not in _TENSOR_TYPES:
            raise UserError(f"'{path}': tensor {shortened(name)} is of type {tensor.dtype}, not float32.")
        if not np.isfinite(tensor).all():
            raise UserError(f"'{path}': tensor {shortened(name)} holds NaN or infinity, which no prompt has.")
    return tensors, card


def _unfit(card: Card) -> str | None:
    """Return what does not go with the card's objective, or None."""
    count = len(card.labels)
    if card.objective == "classes":
        return None if count >= 2 else f"labels: there are {count}, and a prompt for classes has at least 2"
    if count:
        return f"labels: there are {count}, and a prompt that writes has none"
    return None if card.max_tokens else "max_tokens: 0 for a prompt that writes"
