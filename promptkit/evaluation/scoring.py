"""Metrics through `evaluate`, from local metric modules, without the network.

`evaluate.load` copies a module into a cache below the home folder before it imports it. Here a local module
is imported from where it lies, so a read-only home, a stale copy or a parallel run cannot get in the way.
Importing `evaluate` takes over a second, so it happens when the first metric is computed.
"""

from __future__ import annotations

import functools
import hashlib
import importlib
import itertools
import math
import os
import sys
import tempfile
import types
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from promptkit.checking import path_shown, shortened
from promptkit.errors import UserError, unknown
from promptkit.evaluation.sources import BUILT_IN_METRICS, Registry, metric_digest, metric_file, metric_title

_HUB = "hub:"
_OF_CLASS = "f1:"
# What a record's scores hold of its own.
_NO_METRICS = frozenset({"n", "majority", "perplexity"})
_OF_CLASSES = frozenset({"accuracy", "f1"})


def compute(
    names: Sequence[str],
    predictions: Sequence[int],
    references: Sequence[int],
    labels: Sequence[str],
    registry: Registry | None = None,
    warn: Callable[[str], None] | None = None,
) -> dict[str, float | None]:
    """Compute metrics of predicted classes.

    Args:
        names: metrics, as `load_metric` takes them, or `f1:LABEL` for the F1 of one class; one that is there twice
            counts once.
        predictions: predicted class indices, (N,).
        references: true class indices, (N,).
        labels: class names, (C,). A metric that is defined on strings gets these instead of the indices.
        registry: further metrics, those that plugins registered, by name.
        warn: is told, in one line, of a metric that fails or gives no finite number; its value is then None. Without
            it that is an error.

    Returns:
        Value name -> value, in the order of `names`. A value name that is already there, or stands for something
        else in a record (`n`, `majority`, `perplexity`), is written `METRIC_VALUE`, and numbered if that is there
        too.

    Raises:
        UserError: without `warn`, for an unknown metric, one that is for other classes, fails or gives something else
            than finite numbers.
        ValueError: for no examples, unequal lengths, or an index that is no class.
    """
    predicted, true = [int(index) for index in predictions], [int(index) for index in references]
    if not predicted or len(predicted) != len(true):
        raise ValueError(f"cannot score {len(predicted)} predictions against {len(true)} references")
    if not all(0 <= index < len(labels) for index in (*predicted, *true)):
        raise ValueError(f"class indices must lie between 0 and {len(labels) - 1}")

    def numbers(name: str) -> dict[str, float]:
        metric = check_metric(name, labels, registry)
        if metric is None:
            return {name: _class_f1(predicted, true, labels.index(name.removeprefix(_OF_CLASS)))}
        if not _takes_strings(metric):
            return _numbers(name, registry, metric, predicted, true)
        in_words = [labels[index] for index in predicted], [labels[index] for index in true]
        return _numbers(name, registry, metric, *in_words)

    return _values(names, numbers, _NO_METRICS, registry, warn)


def compute_texts(
    names: Sequence[str],
    predictions: Sequence[str],
    references: Sequence[str],
    registry: Registry | None = None,
    warn: Callable[[str], None] | None = None,
) -> dict[str, float | None]:
    """Compute metrics of written texts; what comes out is as of `compute`, and `accuracy` and `f1` are no
    names either.

    Args:
        names: metrics on strings, as `load_metric` takes them.
        predictions: what was written, (N,).
        references: what should have been, (N,).
        registry: further metrics, by name.
        warn: is told of a metric that fails or gives no finite number.

    Raises:
        UserError: without `warn`, for an unknown metric, one that is for classes, fails or gives no finite number.
    """

    def numbers(name: str) -> dict[str, float]:
        return _numbers(name, registry, check_text_metric(name, registry), list(predictions), list(references))

    return _values(names, numbers, _NO_METRICS | _OF_CLASSES, registry, warn)


def _values(
    names: Sequence[str],
    numbers: Callable[[str], dict[str, float]],
    reserved: Collection[str],
    registry: Registry | None,
    warn: Callable[[str], None] | None,
) -> dict[str, float | None]:
    """Return the values of metrics, None for what a metric could not give; `numbers` computes one of that name."""
    values: dict[str, float | None] = {}
    for name in dict.fromkeys(names):
        fault = None
        try:
            found = numbers(name)
        except UserError as error:
            found, fault = {_short(name): math.nan}, error
        else:
            odd = next(((key, value) for key, value in found.items() if not math.isfinite(value)), None)
            fault = UserError(f"{metric_title(name, registry)} gave {odd[1]} for '{odd[0]}'") if odd else None
        if fault is not None:
            if warn is None:
                raise fault
            warn(f"{str(fault).rstrip('.')}; its value is missing")
        for key, value in found.items():
            values[_free(key, _short(name), {*values, *reserved})] = value if math.isfinite(value) else None
    return values


def check_text_metric(name: str, registry: Registry | None = None) -> Any:
    """Return a metric as `load_metric` does, if it is for texts.

    Raises:
        UserError: as `load_metric`; if the metric is for classes.
    """
    metric = None if name.startswith(_OF_CLASS) else load_metric(name, registry)
    if metric is None or not _takes_strings(metric):
        title = metric_title(name, registry)
        raise UserError(f"{title} is for classes; of answers there are texts, which 'rouge' compares.")
    return metric


def check_metric(name: str, labels: Sequence[str], registry: Registry | None = None) -> Any:
    """Return a metric as `load_metric` does, if it can be computed for these classes; None for `f1:LABEL`.

    Raises:
        UserError: as `load_metric`; if the metric is for a class that there is not.
    """
    if name.startswith(_OF_CLASS):
        if name.removeprefix(_OF_CLASS) not in labels:
            raise UserError(f"metric '{name}': {unknown('label', name.removeprefix(_OF_CLASS), labels)}")
        return None
    return load_metric(name, registry)


def load_metric(name: str, registry: Registry | None = None) -> Any:
    """Return a metric as an `evaluate.EvaluationModule`, ready to `compute`.

    Args:
        name: `accuracy`, `f1` (macro), `rouge`, a name in `registry`, a path to an `evaluate` metric module (a `.py`
            file, or a folder that holds one of its own name), or `hub:NAME` for one from the Hugging Face Hub. Only
            the last touches the network.
        registry: further metrics, by name.

    Raises:
        UserError: if there is no such metric, or it cannot be imported or fetched.
    """
    if name.startswith(_HUB):
        return _from_hub(name.removeprefix(_HUB))
    path = metric_file(name, registry or {})
    if path is None:
        known = {**(registry or {}), **BUILT_IN_METRICS}
        raise unknown("metric", name, [*known, "f1:LABEL", "PATH.py", "hub:NAME"])
    return _from_file(metric_title(name, registry), path)


def _class_f1(predicted: Sequence[int], true: Sequence[int], index: int) -> float:
    """Return the F1 of one class: 2 TP / (2 TP + FP + FN); 0 where it is neither predicted nor there."""
    both = sum(p == t == index for p, t in zip(predicted, true, strict=True))
    either = list(predicted).count(index) + list(true).count(index)
    return 2 * both / either if either else 0.0


def _from_file(title: str, path: Path) -> Any:
    if not os.path.isfile(path):
        raise UserError(f"{title}: there is no file '{path_shown(path)}'")
    import evaluate

    try:
        module = _import_file(path.resolve())
    except (Exception, SystemExit) as error:
        raise UserError(f"{title} cannot be imported: {_said(error)}") from error
    for value in vars(module).values():
        own = isinstance(value, type) and value.__module__ == module.__name__
        if own and issubclass(value, evaluate.EvaluationModule):
            try:
                metric = value(keep_in_memory=True, cache_dir=_scratch().name)
                metric.download_and_prepare()
            except (Exception, SystemExit) as error:
                raise UserError(f"{title} cannot be used: {_said(error)}") from error
            return metric
    raise UserError(f"{title}: '{path}' defines no subclass of evaluate.Metric")


def _from_hub(name: str) -> Any:
    import evaluate

    try:
        return evaluate.load(name, keep_in_memory=True)
    except Exception as error:
        raise UserError(f"metric '{name}' could not be had from the Hugging Face Hub: {_said(error)}") from error


def _import_file(path: Path) -> types.ModuleType:
    """Import a file as a member of a package made for its folder, so that `from .sibling import x` works."""
    place = hashlib.sha256(str(path).encode()).hexdigest()[:16]
    package = f"_promptkit_metric_{place}_{metric_digest(path)}"
    if package not in sys.modules:
        parent = types.ModuleType(package)
        parent.__path__ = [str(path.parent)]
        sys.modules[package] = parent
    return importlib.import_module(f"{package}.{path.stem}")


@functools.cache
def _scratch() -> tempfile.TemporaryDirectory[str]:
    """Return the folder `evaluate` insists on; it is removed when the process ends."""
    return tempfile.TemporaryDirectory(prefix="promptkit-metrics-")


def _takes_strings(metric: Any) -> bool:
    # BLEU and others take one reference or several, and list both ways; `evaluate` finds the one that fits.
    several = metric.features if isinstance(metric.features, list) else [metric.features]
    return any(getattr(features.get("references"), "dtype", "") == "string" for features in several)


def _numbers(
    name: str, registry: Registry | None, metric: Any, predictions: list[Any], references: list[Any]
) -> dict[str, float]:
    """Return what a metric gives; a number without a name goes by the metric's."""
    title = metric_title(name, registry)
    try:
        result = metric.compute(predictions=predictions, references=references)
    except (Exception, SystemExit) as error:
        raise UserError(f"{title} failed: {_said(error)}") from error
    given = result if isinstance(result, Mapping) else {_short(name): result}
    if not given:
        raise UserError(f"{title} gave no value")
    return {str(key): _number(value, f"{title} gave {shortened(value)} for '{key}'") for key, value in given.items()}


def _number(value: Any, said: str) -> float:
    try:
        return float(value)
    except Exception:
        raise UserError(f"{said}, which is no number") from None


def _free(key: str, metric: str, taken: Collection[str]) -> str:
    """Return the name a value goes by: its own, else one with the metric's, else a numbered one."""
    long = f"{metric}_{key}"
    names = itertools.chain((key, long), (f"{long}_{number}" for number in itertools.count(2)))
    return next(name for name in names if name not in taken)


def _short(name: str) -> str:
    if name.startswith(_OF_CLASS):
        return name
    return Path(name.removeprefix(_HUB)).stem


def _said(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
