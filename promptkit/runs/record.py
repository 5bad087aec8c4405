"""The record of a run, `run.json`: everything needed to repeat the run and to judge it.

Scripts rely on the names, e.g. `test.accuracy`, `test.f1`, `dev.accuracy`, `cost.seconds.total`. A change of
meaning raises `SCHEMA`. No NaN or infinity is ever written: a number that is not finite becomes null.
"""

from __future__ import annotations

import importlib.metadata
import json
import math
import os
import platform
from datetime import datetime, timezone
from numbers import Integral, Real
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from promptkit.checking import LARGEST, checked, parse_json, path_shown, read_text, shortened
from promptkit.errors import UserError
from promptkit.version import __version__

SCHEMA = 1
RECORD_NAME = "run.json"


def _finite(value: Any) -> Any:
    """Return data with NumPy's numbers made Python's, and None for every number that is not finite."""
    if isinstance(value, bool | int):
        return value
    if isinstance(value, Integral):
        return int(value)
    if isinstance(value, Real):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_finite(item) for item in value)
    return value


def now() -> str:
    """Return the time as records have it: UTC, ISO 8601, to the second."""
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


class RecordPart(BaseModel):
    """A part of a record: unknown fields refused, nothing changed later, no number that is not finite."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _no_nan(cls, data: Any) -> Any:
        return _finite(data)

    def to_json(self) -> str:
        """Return it as JSON text, indented, with a line end."""
        plain = _finite(self.model_dump(mode="json", by_alias=True))
        return json.dumps(plain, ensure_ascii=False, allow_nan=False, indent=2) + "\n"


class RunOptions(RecordPart):
    """What the run was asked to do, with every default filled in.

    Attributes:
        templates: as they were used, after the strategy prepared them.
        verbalizer: its source, or None with `readout` head and no label words.
        shots: K examples a class, None for all.
        fold: which fold of how many was the test split, from 1; None outside a cross-validation.
        fields: the fields that were read, each `NAME` or `NAME=COLUMN`, if they were named.
        mode: graph, fused or pynative, as it was run in the end.
        precision: of matrix products.
        objective: `classes`, or `text` where answers are written.
        max_tokens: most tokens of an answer; of no meaning for classes.
        accumulate: batches a step.
        round_epochs: passes of a strategy's rounds after the first, if they were asked for; None where each goes by
            the number of its examples, and for strategies of one round.
        strategy_options: the strategy's own options, as JSON values.
    """

    strategy: str
    data: str
    model: str
    templates: tuple[str, ...]
    verbalizer: str | None
    readout: str
    slots: str
    shots: int | None
    seed: int
    epochs: int
    lr: float
    batch_size: int
    weight_decay: float
    max_length: int
    device: str
    mode: str
    precision: str = "fp32"
    patience: int = 0
    clean: bool = False
    limit: int | None = None
    text_column: str | None = None
    text_b_column: str | None = None
    label_column: str | None = None
    fields: tuple[str, ...] = ()
    fold: tuple[int, int] | None = None
    encoding: str | None = None
    objective: str = "classes"
    max_tokens: int = 64
    accumulate: int = 1
    round_epochs: int | None = None
    metrics: tuple[str, ...] = ()
    strategy_options: dict[str, Any] = Field(default_factory=dict)


class TaskInfo(RecordPart):
    """The data that was used, after drawing shots; `train`, `dev`, `test` are numbers of examples.

    `unlabelled` is the number of texts without labels that were learnt from.
    """

    name: str
    fingerprint: str
    labels: tuple[str, ...]
    language: str
    train: int
    dev: int
    test: int
    notes: tuple[str, ...] = ()
    unlabelled: int = 0


class BackboneInfo(RecordPart):
    """The language model.

    Attributes:
        engine: what loaded it; None in records from before engines had names.
        parameters: how many it has, learnt or not.
        revision: of its id that was loaded, a commit where the host has them; None for what has no id.
    """

    name: str
    fingerprint: str
    engine: str | None = None
    architecture: str
    parameters: int
    revision: str | None = None


def _version_of(distribution: str) -> str:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


class Versions(RecordPart):
    """What the run ran on."""

    python: str
    mindspore: str
    numpy: str
    tokenizers: str
    platform: str

    @classmethod
    def collect(cls) -> Versions:
        """Return the versions of this process, without importing anything heavy."""
        names = ("mindspore", "numpy", "tokenizers")
        return cls(
            python=platform.python_version(),
            platform=platform.platform(),
            **{name: _version_of(name) for name in names},
        )


class Scores(RecordPart):
    """The metrics on one split. Further metrics stand beside `accuracy` and `f1` under their own names.

    Attributes:
        accuracy: between 0 and 1; None of texts, whose `perplexity` stands among the further ones.
        f1: macro F1, between 0 and 1.
        n: examples in the split.
        majority: accuracy of always predicting the most frequent training label; of K shots, that of what they were
            drawn from.
    """

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, float | None] = Field(init=False)

    accuracy: float | None
    f1: float | None
    n: int
    majority: float | None


class LearntParameters(RecordPart):
    """How many parameters learnt, apart. `total` is their sum and may be left out."""

    prompt: int = 0
    encoder: int = 0
    head: int = 0
    backbone: int = 0
    total: int = 0

    @model_validator(mode="before")
    @classmethod
    def _add_up(cls, data: Any) -> Any:
        if isinstance(data, dict):
            counts = [data.get(name, 0) for name in ("prompt", "encoder", "head", "backbone")]
            if not all(isinstance(count, int) for count in counts):
                return data  # the fields say what is wrong with them
            parts = sum(counts)
            if data.get("total", parts) != parts:
                raise ValueError(f"total is {data['total']}, the parts add up to {parts}")
            return {**data, "total": parts}
        return data


class Seconds(RecordPart):
    """Wall-clock time in seconds; `compile` is None where it was not measured apart."""

    total: float
    train: float = 0.0
    compile: float | None = None
    predict: float = 0.0


class Cost(RecordPart):
    """What the run cost: bytes of the artifact, seconds, examples a second, peak memory in MB (10^6 B).

    `tokens_per_second` counts the tokens that went through the language model, in training and in prediction, and
    `padded_share` the share of its positions that held none, 0 to 1.
    """

    artifact_bytes: int
    seconds: Seconds
    train_examples_per_second: float | None = None
    predict_examples_per_second: float | None = None
    tokens_per_second: float | None = None
    padded_share: float | None = None
    peak_memory_mb: float | None = None


class Epoch(RecordPart):
    """A pass over the training set that dev was scored after.

    Mean loss since the scoring before, accuracy and mean loss on dev, learning rate at its end.

    `template` is the number of the template, from 0, in a run with several, and `round` that of the round.
    """

    epoch: int
    template: int = 0
    round: int = 0
    loss: float | None
    dev_accuracy: float | None = None
    dev_loss: float | None = None
    lr: float | None = None


class RunRecord(RecordPart):
    """A run, as `run.json` holds it; the keys come in the order of the fields."""

    model_config = ConfigDict(populate_by_name=True)

    schema_version: int = Field(default=SCHEMA, alias="schema")
    promptkit: str = __version__
    created: str = Field(default_factory=now)
    command: tuple[str, ...] = ()
    options: RunOptions
    task: TaskInfo
    backbone: BackboneInfo
    versions: Versions = Field(default_factory=Versions.collect)
    dev: Scores
    test: Scores
    parameters: LearntParameters
    cost: Cost
    depends_on: tuple[str, ...] | None = None  # None in records from before it was kept
    epochs_run: int = 0
    best_epoch: int | None = None
    history: tuple[Epoch, ...] = ()
    dev_scores: int = 0  # that templates and label words were picked by, before the epochs of `history`
    found: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    @classmethod
    def from_json(cls, text: str, source: str = RECORD_NAME) -> RunRecord:
        """Read a record.

        Args:
            text: JSON text.
            source: what to call it in an error.

        Raises:
            UserError: if it is not JSON, not a record, or of a schema this version does not know.
        """
        data = parse_json(text, f"'{source}'", nan=True)
        schema = data.get("schema") if isinstance(data, dict) else None
        if schema != SCHEMA:
            raise UserError(f"'{source}' is not a run record of schema {SCHEMA} (its schema is {shortened(schema)})")
        return checked(cls, data, f"'{source}' is not a run record")

    @classmethod
    def read(cls, path: Path) -> RunRecord:
        """Read the record of a run directory, or a record file.

        Raises:
            UserError: if there is none, or it cannot be read.
        """
        file = path / RECORD_NAME if os.path.isdir(path) else path
        if not os.path.lexists(file):
            raise UserError(f"there is no run '{path_shown(path)}' (no file '{path_shown(file)}')")
        return cls.from_json(read_text(file, most=LARGEST), str(file))
