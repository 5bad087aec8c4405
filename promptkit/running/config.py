"""What a run is asked to do: one checked object, the same from the command line and from Python."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from promptkit.checking import field_fault, shortened
from promptkit.errors import UserError, did_you_mean

DEFAULT_MODEL = "promptkit-mini"
DEFAULT_DATA = "reviews-en"
DEFAULT_STORE = "runs"
MAX_LENGTH = 128
# Settings whose option on the command line is not named after them.
_FLAGS = {"templates": "--template", "metrics": "--metric", "options": "--set"}


class RunConfig(BaseModel):
    """The settings of one run. None means: as the strategy, the data or the model has it.

    Attributes:
        strategy: name of a registered strategy.
        data: embedded or registered data set, or a path to a file or folder.
        model: shipped or registered model, a checkpoint directory, or a Hub id.
        engine: loads the model; None takes the first that claims it.
        templates: one or several; scores of several are averaged.
        verbalizer: `label=word,word; label=word`.
        readout: how class scores are read.
        slots: what to do with label words of several pieces: `same` length wanted, `first` piece, or `mean`.
        shots: K examples a class; None for all.
        seed: of the draw, the initialisation and the order of the batches.
        epochs, lr, batch_size, weight_decay, patience: of the training.
        max_length: longest row in tokens; fields are cut to it, templates never.
        options: the strategy's own options.
        device: `auto`, `CPU`, `Ascend` or `GPU`.
        mode: `graph` compiles the model, `pynative` does not.
        out: run directory; it must not exist. None numbers one in the store and lists it there.
        store: folder of the store.
        checkpoint: folder for the training state, to go on from after a kill; None keeps none.
        metrics: metrics beside accuracy and macro F1.
        clean: the classic cleaning of movie reviews.
        text_column, text_b_column, label_column, encoding: of data files.
        download, mirror: whether, and from where, a Hub model may be fetched.
        save: whether to write a run directory.
        quiet: no progress bar.
        command: the command line that asked for the run, for the record; empty from Python.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    strategy: str
    data: str = DEFAULT_DATA
    model: str = DEFAULT_MODEL
    engine: str | None = None
    templates: tuple[str, ...] = ()
    verbalizer: str | None = None
    readout: Literal["cloze", "head"] = "cloze"
    slots: Literal["same", "first", "mean"] = "same"
    shots: int | None = Field(default=None, ge=1)
    seed: int = Field(default=0, ge=0, lt=2**32)
    epochs: int | None = Field(default=None, ge=0, le=10_000)
    lr: float | None = Field(default=None, gt=0, lt=1e4, allow_inf_nan=False)
    batch_size: int | None = Field(default=None, ge=1, le=65_536)
    weight_decay: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    patience: int | None = Field(default=None, ge=0)
    max_length: int = Field(default=MAX_LENGTH, ge=4)
    options: dict[str, Any] = Field(default_factory=dict)
    device: str = "auto"
    mode: Literal["graph", "pynative"] = "graph"
    out: Path | None = None
    store: Path = Path(DEFAULT_STORE)
    checkpoint: Path | None = None
    metrics: tuple[str, ...] = ()
    clean: bool = False
    text_column: str | None = None
    text_b_column: str | None = None
    label_column: str | None = None
    encoding: str | None = None
    download: bool = False
    mirror: str | None = None
    save: bool = True
    quiet: bool = False
    command: tuple[str, ...] = ()


def make_config(**values: Any) -> RunConfig:
    """Build a `RunConfig`.

    Raises:
        UserError: for an unknown setting (with the nearest known one) or a bad value, in one line.
    """
    for name in values:
        if name not in RunConfig.model_fields:
            raise UserError(f"a run has no setting '{name}'.{did_you_mean(name, RunConfig.model_fields)}")
    try:
        return RunConfig(**values)
    except ValidationError as error:
        fault = field_fault(error)
        flag = _FLAGS.get(fault.field, "--" + (fault.field or "setting").replace("_", "-"))
        guess = did_you_mean(shortened(fault.given).strip("'"), _choices(fault.field))
        raise UserError(f"{flag}: {fault.reason}{fault.got}.{guess}") from None


def _choices(name: str) -> tuple[str, ...]:
    field = RunConfig.model_fields.get(name)
    return get_args(field.annotation) if field and get_origin(field.annotation) is Literal else ()


def parse_settings(pairs: tuple[str, ...] | list[str]) -> dict[str, str]:
    """Turn `key=value` strings into a dictionary.

    Raises:
        UserError: for one without `=`, or a key given twice.
    """
    values: dict[str, str] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        key = key.strip()
        if not equals or not key:
            raise UserError(f"--set takes key=value, not '{pair}'.")
        if key in values:
            raise UserError(f"--set {key} is given twice.")
        values[key] = value.strip()
    return values
