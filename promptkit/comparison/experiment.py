"""What a comparison is asked to do: one checked object, the same from the command line, a TOML file and Python."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, field_validator

from promptkit.checking import checked, path_shown, read_toml, user_path
from promptkit.comparison.kinds import ListOfShots, ListOfTables, Names, OwnSettings, Seeds, Settings
from promptkit.errors import UserError, did_you_mean, unknown
from promptkit.running.config import DEFAULT_DATA, DEFAULT_MODEL, RunConfig, make_config, setting_of
from promptkit.running.fields import named_fields
from promptkit.runs.stored import Shots

PRESETS = Path(__file__).parent / "presets"
SHARED = tuple(name for name in RunConfig.model_fields if setting_of(name).scope == "comparison")
"""Settings that say which data, device and texts the cells share: the same for all, or the rows are no comparison."""
_SETTINGS = tuple(name for name in RunConfig.model_fields if setting_of(name).scope in ("cell", "comparison"))
_FETCHING = ("download", "mirror", "offline")
Fold = tuple[int, int] | None
"""Which fold of how many is tested on, from 1; None outside a cross-validation."""


class Variant(BaseModel):
    """The same strategies with other settings.

    Attributes:
        name: what the table calls it; `name=number` for a point on a curve.
        strategies: which strategies it applies to; all of them if empty.
        settings: of the run, those that may differ between the cells of a comparison.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(min_length=1)
    strategies: Names = ()
    settings: Settings = Field(default_factory=dict)


class Experiment(BaseModel):
    """A comparison: every strategy, in every variant, at every number of shots, with every seed.

    Attributes:
        name: in the store; None derives one from everything else.
        strategies: names of registered strategies; none compares the baselines that need no model.
        baselines: strategies that every row is held against, asked as they are by default, beside majority class and
            TF-IDF.
        shots: K examples a class, or `full`.
        seeds: of the draws, the initialisations and the orders.
        folds: K of a stratified cross-validation, in which every example is tested once; None keeps the data's test.
        data, model: as for a run.
        settings: of every cell, e.g. `max_length`, `verbalizer`, `epochs`.
        strategy: strategy name -> settings of its cells, put over `settings`.
        variants: put over both.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str | None = None
    strategies: Names = ("hard", "pet", "soft", "ptuning")
    baselines: Names = ("hard", "probe")
    shots: ListOfShots = (16, "full")
    seeds: Seeds = (0, 1, 2)
    folds: Annotated[int, Field(ge=2, le=1000)] | None = None
    data: str = DEFAULT_DATA
    model: str = DEFAULT_MODEL
    settings: Settings = Field(default_factory=dict)
    strategy: OwnSettings = Field(default_factory=dict)
    variants: Annotated[tuple[Variant, ...], ListOfTables] = ()

    @field_validator("name")
    @classmethod
    def _plain(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(r"\w[\w.+ -]*", value):
            raise ValueError("a name has letters, digits, spaces and . + - _ only, and begins with a letter or digit")
        return value

    @field_validator("seeds", mode="before")
    @classmethod
    def _count(cls, value: Any) -> Any:
        """A number of seeds means the seeds from 0."""
        if isinstance(value, int) and not isinstance(value, bool):
            if not 1 <= value <= 1000:
                raise ValueError("a number of seeds lies between 1 and 1000")
            return tuple(range(value))
        return value

    @field_validator("strategies", "baselines", "shots", "seeds")
    @classmethod
    def _no_doubles(cls, value: tuple[Any, ...]) -> tuple[Any, ...]:
        for item in value:
            if value.count(item) > 1:
                raise ValueError(f"'{item}' is there twice")
        return value

    @property
    def title(self) -> str:
        """The name given, or one made of the data's name and a hash of everything else."""
        if self.name:
            return self.name
        told = self.spec
        if self.folds is None:
            del told["folds"]
        plain = json.dumps(told, sort_keys=True)
        stem = re.sub(r"[^\w.+-]+", "-", Path(self.data).name).strip("-.") or "data"
        return f"{stem}-{hashlib.sha256(plain.encode()).hexdigest()[:6]}"

    @property
    def spec(self) -> dict[str, Any]:
        """What the store keeps of it: all but how to fetch what it needs, which may hold a mirror's password."""
        told = self.model_dump(mode="json")
        told["settings"] = {key: value for key, value in told["settings"].items() if key not in _FETCHING}
        return told

    @property
    def names_baselines(self) -> bool:
        """Whether the baselines were asked for, and do not stand there by default."""
        return "baselines" in self.model_fields_set

    @property
    def each_fold(self) -> tuple[Fold, ...]:
        """The folds to go through; a single None without cross-validation."""
        return (None,) if self.folds is None else tuple((number, self.folds) for number in range(1, self.folds + 1))

    def run_config(
        self, strategy: str, variant: Variant | None, shots: Shots, seed: int, fold: Fold = None
    ) -> RunConfig:
        """Return the settings of one cell; those of what learns nothing are on all examples.

        Raises:
            UserError: for a bad value.
        """
        merged = _over(self.settings, self.strategy.get(strategy, {}))
        merged = _over(merged, variant.settings if variant else {})
        merged |= {"strategy": strategy, "shots": None if shots == "full" else shots, "seed": seed, "fold": fold}
        return make_config(data=self.data, model=self.model, quiet=True, **merged)

    def variants_of(self, strategy: str) -> tuple[Variant | None, ...]:
        """Return the variants a strategy is run in; a single None where there are none."""
        return tuple(v for v in self.variants if not v.strategies or strategy in v.strategies) or (None,)


def make_experiment(source: str = "experiment", **values: Any) -> Experiment:
    """Build an experiment.

    Args:
        source: what to call it in an error.
        **values: the fields of `Experiment`; a variant is a mapping with `name`, `strategies` and settings.

    Raises:
        UserError: for an unknown key (with the nearest known one) or a bad value, in one line.
    """
    _known_only(values, Experiment.model_fields, source)
    if isinstance(values.get("variants"), list | tuple):
        values["variants"] = [_variant(it) for it in values["variants"]]
    if values.get("folds") is not None and "shots" not in values:
        values["shots"] = ("full",)
    experiment = checked(Experiment, values, source)
    if experiment.folds is not None and experiment.shots != ("full",):
        shots = ", ".join(map(str, experiment.shots))
        raise UserError(f"{source}: folds take all examples; give shots 'full' with them, not {shots}.")
    _check(experiment, source)
    return _with_fields(experiment)


def _with_fields(experiment: Experiment) -> Experiment:
    """Return the experiment with the fields that its templates use named, so that every cell reads the same data."""
    several = [
        experiment.settings,
        *experiment.strategy.values(),
        *(variant.settings for variant in experiment.variants),
    ]
    templates = [it for settings in several for it in _strings(settings.get("templates", ()))]
    try:
        fields = named_fields(templates)
    except UserError:
        # Refused with the cell that the template belongs to.
        return experiment
    if experiment.settings.get("fields") or not fields:
        return experiment
    return experiment.model_copy(update={"settings": {**experiment.settings, "fields": list(fields)}})


def _strings(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    # What is no text is refused where it is checked.
    return [it for it in value if isinstance(it, str)] if isinstance(value, list | tuple) else []


def read_experiment(reference: str, **overrides: Any) -> Experiment:
    """Read an experiment file, or one that promptkit brings.

    Args:
        reference: path of a TOML file, or a name of `list_presets`.
        **overrides: fields that replace those of the file, where they are not None; `settings` and `strategy`
            are put over the file's. A setting of every cell replaces that of a strategy's table as well.

    Raises:
        UserError: if there is no such file or preset, it is not TOML, `make_experiment` refuses it, or a variant of
            the file sets what is given too.
    """
    path = user_path(reference)
    if path.suffix != ".toml":
        presets = list_presets()
        if reference not in presets:
            raise unknown("experiment", path_shown(reference), [*presets, "FILE.toml"])
        path = presets[reference]
    source = f"experiment '{path_shown(reference)}'"
    if not os.path.lexists(path):
        raise UserError(f"there is no {source.replace('experiment', 'experiment file', 1)}.")
    values = read_toml(path, source)
    given = {key: value for key, value in overrides.items() if value not in (None, {})}
    # Another data set or other seeds are another comparison: it must not take the place of the file's own. How its
    # data and model are fetched is no part of it.
    fetches = set(given) == {"settings"} and set(given["settings"]) <= set(_FETCHING)
    name = values.get("name", path.stem) if not given or fetches else None
    _make_room(values, given, source)
    for key in ("settings", "strategy"):
        if key in given and isinstance(values.get(key, {}), Mapping):
            given[key] = _over(values.get(key, {}), given[key])
    return make_experiment(source, **{**values, "name": name, **given})


def _make_room(values: dict[str, Any], given: Mapping[str, Any], source: str) -> None:
    """Take out of an experiment's tables what is given for every cell; refuse what one of its variants sets too."""
    general = given.get("settings", {})
    own = values.get("strategy", {})
    if isinstance(own, Mapping):
        tables = {name: _without(table, general) for name, table in own.items()}
        values["strategy"] = tables if own else own
    variants = values.get("variants", [])
    for each in map(_variant, variants if isinstance(variants, list) else []):
        if not isinstance(each, Mapping) or not isinstance(each["settings"], Mapping):
            continue
        names = _strings(each.get("strategies") or list(given.get("strategy", {})))
        named = [general, *(given.get("strategy", {}).get(name, {}) for name in names)]
        if twice := sorted({leaf for table in named for leaf in _leaves(table)} & set(_leaves(each["settings"]))):
            raise UserError(f"{source}, variant '{each.get('name')}' sets {twice[0]}, which is given as well.")


def _leaves(settings: Mapping[str, Any]) -> list[str]:
    """Return the names of settings, an option by its own."""
    options = settings.get("options", {})
    return [*(name for name in settings if name != "options"), *(options if isinstance(options, Mapping) else ())]


def _without(table: Any, general: Mapping[str, Any]) -> Any:
    """Return a strategy's settings without those that are given for every cell."""
    if not isinstance(table, Mapping):
        return table
    left = {name: value for name, value in table.items() if name == "options" or name not in general}
    options, given = left.get("options"), general.get("options", {})
    if isinstance(options, Mapping) and isinstance(given, Mapping):
        left["options"] = {name: value for name, value in options.items() if name not in given}
    return left


def list_presets() -> dict[str, Path]:
    """Return the experiments that promptkit brings, by name."""
    return {path.stem: path for path in sorted(PRESETS.glob("*.toml"))}


def _over(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings put over others, tables within them likewise."""
    merged = dict(below)
    for key, value in above.items():
        old = merged.get(key)
        merged[key] = _over(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return merged


def _variant(values: Any) -> Variant | Mapping[str, Any]:
    if isinstance(values, Variant) or not isinstance(values, Mapping):
        return values  # type: ignore[no-any-return]  # pydantic says what is wrong with it
    own = {key: values[key] for key in ("name", "strategies", "settings") if key in values}
    rest = {key: value for key, value in values.items() if key not in own}
    inner = own.get("settings", {})
    return {**own, "settings": {**inner, **rest} if isinstance(inner, Mapping) else inner}


def _check(experiment: Experiment, source: str) -> None:
    option = " An option of a strategy goes into options = { KEY = VALUE }"
    hint = f"{option} below strategy.NAME, or is written NAME.KEY=VALUE with --set."
    _known_only(experiment.settings, _SETTINGS, f"{source}, settings", hint)
    own = [name for name in _SETTINGS if name not in SHARED]
    for name, settings in experiment.strategy.items():
        if name not in experiment.strategies:
            raise UserError(f"{source}: settings for '{name}', which is not among its strategies.")
        _known_only(settings, own, f"{source}, strategy.{name}", f"{option}.")
    for variant in experiment.variants:
        where = f"{source}, variant '{variant.name}'"
        for name in variant.strategies:
            if name not in experiment.strategies:
                raise UserError(f"{where}: '{name}' is not among the experiment's strategies.")
        _known_only(variant.settings, own, where, f"{option}.")
    for strategy in experiment.strategies:
        names = [variant.name for variant in experiment.variants_of(strategy) if variant]
        for name in names:
            if names.count(name) > 1:
                # The table could not tell them apart, and would show one of them.
                raise UserError(f"{source}, variant '{name}': the name is there twice for '{strategy}'.")


def _known_only(values: Mapping[str, Any], known: Any, where: str, hint: str = "") -> None:
    for key in values:
        if key not in known:
            shared = " It belongs into 'settings', for all cells share it." if key in SHARED else ""
            listing = ", ".join(sorted(known))
            near = did_you_mean(key, known) if not shared else ""
            raise UserError(f"{where}: no key '{key}'.{near}{shared or hint} Known: {listing}.")
