"""The data sets and models of runs, read once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from promptkit.backbones.catalog import find_model
from promptkit.backbones.device import set_device
from promptkit.backbones.engines import describe_model, load_backbone
from promptkit.backbones.face import ModelFiles
from promptkit.data import Example, Task, draw_shots, limit_splits, load_task, take_fold, unlabelled_texts
from promptkit.errors import UserError
from promptkit.evaluation.baselines import majority_label
from promptkit.hooks import get_host
from promptkit.hub import Access
from promptkit.interrupts import held_interrupts
from promptkit.running.config import RunConfig
from promptkit.running.fields import named_fields

if TYPE_CHECKING:
    from promptkit.backbones.face import Backbone

_TYPICAL = 512  # examples that rows of a K-shot draw are planned for


class Loader:
    """The data sets and models of several plans, each read once."""

    def __init__(self) -> None:
        self._tasks: dict[tuple[Any, ...], Task] = {}
        self._draws: dict[tuple[Any, ...], Task] = {}
        self._models: dict[tuple[Any, ...], ModelFiles] = {}

    def task(self, config: RunConfig) -> Task:
        """Return the data of a run, its shots drawn and then limited, or its fold taken.

        Raises:
            UserError: for anything wrong with the data, or shots or a limit of a fold.
        """
        whole = self._whole(config)
        seed = config.seed if config.shots is not None else 0
        draw = (*_source(config).items(), config.fold, config.shots, seed, config.limit)
        if draw not in self._draws:
            if config.fold is not None and config.limit is not None:
                raise UserError("--fold has every example tested once; it does not go with --limit.")
            if config.fold is None:
                drawn = draw_shots(whole, config.shots, config.seed)
            elif config.shots is None:
                drawn = take_fold(whole, *config.fold)
            else:
                raise UserError("--fold takes all examples; it does not go with --shots.")
            self._draws[draw] = limit_splits(drawn, config.limit)
        return self._draws[draw]

    def drawn_from(self, config: RunConfig) -> tuple[Example, ...]:
        """Return examples such as a run's shots are drawn from, the same for every seed; none without shots."""
        train = self._whole(config).train
        if config.shots is None or len(train) <= _TYPICAL:
            return () if config.shots is None else train
        return tuple(train[int(n)] for n in np.random.default_rng(0).choice(len(train), _TYPICAL, replace=False))

    def majority(self, config: RunConfig) -> str:
        """Return the label that is most frequent where a run's shots are drawn from, for a draw has as many of each.

        Without shots it is that of train. Texts without labels have none: it is empty.
        """
        whole = self.task(config) if config.shots is None else self._whole(config)
        return majority_label(whole) if whole.labels else ""

    def unlabelled(self, config: RunConfig, most: int) -> tuple[Example, ...]:
        """Return the texts without labels of a run, so many at most."""
        return unlabelled_texts(self._whole(config), self.task(config), most, config.seed)

    def _whole(self, config: RunConfig) -> Task:
        source = _source(config)
        key = tuple(source.items())
        if key not in self._tasks:
            self._tasks[key] = load_task(**source, registry=get_host().dataset_readers())
        return self._tasks[key]

    def model(self, config: RunConfig) -> ModelFiles:
        """Return the model of a run."""
        source = (config.model, config.revision, config.engine, config.access, config.precision)
        if source not in self._models:
            self._models[source] = model_files(
                config.model, revision=config.revision, engine=config.engine,
                access=config.access, precision=config.precision,
            )  # fmt: skip
        return self._models[source]


def model_files(
    name: str,
    *,
    revision: str | None = None,
    engine: str | None = None,
    access: Access | None = None,
    precision: str = "fp32",
) -> ModelFiles:
    """Find a model and describe it; see `find_model` and `describe_model` for arguments and errors."""
    host = get_host()
    found = find_model(name, registry=host.model_finders(), access=access, revision=revision)
    return describe_model(found, host.engine_objects(), engine, precision)


def frozen_model(files: ModelFiles, source: str, device: str) -> Backbone:
    """Set the device and load a described model; see `set_device` and `load_backbone` for arguments and errors."""
    with held_interrupts():
        set_device(device)
    return load_backbone(files, get_host().engine_objects(), source)


def _source(config: RunConfig) -> dict[str, Any]:
    """Return the settings that say what data is read, and how, as `load_task` takes them."""
    return {
        "data": config.data,
        "text_column": config.text_column,
        "text_b_column": config.text_b_column,
        "label_column": config.label_column,
        "fields": config.fields or named_fields(config.templates),
        "encoding": config.encoding,
        "clean": config.clean,
        "answers": config.objective == "text",
        "access": config.access,
    }
