"""What a run is asked to do: one checked object, the same from the command line and from Python."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from promptkit.backbones.device import Device, Mode
from promptkit.backbones.face import Precision
from promptkit.checking import field_fault, parse_fields, user_path
from promptkit.errors import UserError, did_you_mean
from promptkit.hub import Access
from promptkit.running.settings import Setting, parse_fold, parse_settings, parse_shots

__all__ = [
    "DEFAULT_DATA", "DEFAULT_MODEL", "DEFAULT_STORE", "MAX_LENGTH", "RunConfig", "flag_of", "make_config",
    "parse_settings", "setting_of",
]  # fmt: skip

DEFAULT_MODEL = "promptkit-mini"
DEFAULT_DATA = "reviews-en"
DEFAULT_STORE = "runs"
MAX_LENGTH = 128


def _name_or_path(value: Any) -> Any:
    if not isinstance(value, str | os.PathLike):
        raise ValueError("give a name or a path")
    return os.fspath(value)


def _one_or_more(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


_NameOrPath = Annotated[str, BeforeValidator(_name_or_path)]
# A shell leaves `~` as it is behind `=`, as in `--store=~/runs`.
_FOLDER = AfterValidator(lambda path: path if path is None else user_path(path))


class RunConfig(BaseModel):
    """The settings of one run. None means: as the strategy, the data or the model has it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    strategy: Annotated[str, Setting(help="How to prompt; see 'promptkit strategies'.", metavar="NAME", scope="grid")]
    data: Annotated[
        _NameOrPath,
        Setting(
            help="Data set, a file or folder, or an id (hub:ID, ms:ID).",
            metavar="NAME|PATH|ID", scope="grid", page="data.md",
        ),
    ] = DEFAULT_DATA  # fmt: skip
    model: Annotated[
        _NameOrPath,
        Setting(
            help="Shipped model, checkpoint directory, GGUF file, or id of the Hub or of ModelScope (ms:ID).",
            metavar="NAME|DIR|ID", scope="grid", page="models.md",
        ),
    ] = DEFAULT_MODEL  # fmt: skip
    engine: Annotated[
        str | None,
        Setting(
            help="Engine that loads the model; the one that claims the checkpoint by default.",
            metavar="NAME", scope="comparison",
        ),
    ] = None  # fmt: skip
    templates: Annotated[
        tuple[str, ...],
        BeforeValidator(_one_or_more),
        Setting(
            help="Template, e.g. '{text} It was {mask}.'; scores of several are averaged.",
            metavar="T", flag="--template", repeated=True, page="templates.md",
        ),
    ] = ()  # fmt: skip
    verbalizer: Annotated[
        str | None,
        Setting(help="Label words: 'label=word,word; label=word'.", metavar="V", page="templates.md"),
    ] = None
    readout: Annotated[
        Literal["cloze", "head"] | None,
        Setting(
            help="Read label words at the mask (cloze), or a linear head; as the strategy has it.",
            metavar="cloze|head", page="templates.md",
        ),
    ] = None  # fmt: skip
    slots: Annotated[
        Literal["same", "first", "mean"],
        Setting(help="Rule for label words of several pieces.", metavar="same|first|mean", page="templates.md"),
    ] = "same"
    shots: Annotated[
        int | None,
        Field(ge=1),
        Setting(
            help="Examples a class to learn from, or all of them.",
            metavar="K|full", scope="grid", word="full", parse=parse_shots,
        ),
    ] = None  # fmt: skip
    seed: Annotated[
        int,
        Field(ge=0, lt=2**32),
        Setting(
            help="Of draw, initial values and order of batches: same seed, same machine, same numbers.",
            metavar="N", scope="grid",
        ),
    ] = 0  # fmt: skip
    fold: Annotated[
        tuple[int, int] | None,
        BeforeValidator(parse_fold),
        Setting(
            help="Test on fold I of K of all examples; 'promptkit compare --folds K' goes through all of them.",
            metavar="I/K", scope="grid", parse=lambda value: value, page="data.md",
        ),
    ] = None  # fmt: skip
    epochs: Annotated[
        int | None,
        Field(ge=0, le=10_000),
        Setting(help="Passes over the training set, at most; 0 trains nothing.", metavar="N"),
    ] = None
    lr: Annotated[
        float | None,
        Field(gt=0, lt=1e4, allow_inf_nan=False),
        Setting(help="Peak learning rate.", metavar="X"),
    ] = None
    batch_size: Annotated[int | None, Field(ge=1, le=65_536), Setting(help="Examples a step.", metavar="N")] = None
    accumulate: Annotated[
        int | None,
        Field(ge=1, le=65_536),
        Setting(help="Batches whose gradients make one step, where memory holds no larger batch.", metavar="N"),
    ] = None
    weight_decay: Annotated[
        float | None, Field(ge=0, allow_inf_nan=False), Setting(help="AdamW's decay.", metavar="X")
    ] = None
    patience: Annotated[
        int | None,
        Field(ge=0),
        Setting(
            help="Stop after N scorings of dev without a better one; 0 never stops.",
            metavar="N", page="strategies/index.md",
        ),
    ] = None  # fmt: skip
    max_length: Annotated[
        int,
        Field(ge=4),
        Setting(help="Most tokens of a text with its template; texts are cut, templates never.", metavar="N"),
    ] = MAX_LENGTH
    options: Annotated[
        dict[str, Any],
        Setting(
            help="An option of the strategy.",
            metavar="KEY=VALUE", flag="--set", repeated=True, parse=parse_settings, page="strategies/index.md",
        ),
        Field(default_factory=dict),
    ]  # fmt: skip
    objective: Annotated[
        Literal["classes", "text"],
        Setting(
            help="Classes of texts, or answers that a causal model learns to write.",
            metavar="classes|text", scope="run", page="generate.md",
        ),
    ] = "classes"  # fmt: skip
    max_tokens: Annotated[
        int,
        Field(ge=1, le=65_536),
        Setting(
            help="Most tokens of an answer, with --objective text; longer ones are cut.",
            metavar="N", scope="run", page="generate.md",
        ),
    ] = 64  # fmt: skip
    metrics: Annotated[
        tuple[str, ...],
        BeforeValidator(_one_or_more),
        Setting(
            help="A metric beside accuracy and macro F1, or perplexity: a name, a path or hub:NAME.",
            metavar="M", flag="--metric", repeated=True, scope="comparison",
        ),
    ] = ()  # fmt: skip
    device: Annotated[
        Device,
        Setting(help="What MindSpore runs on.", metavar="auto|CPU|Ascend|GPU", scope="comparison", page="devices.md"),
    ] = "auto"
    mode: Annotated[
        Mode,
        Setting(
            help="Compile the model, compile it with fused kernels, or run it eagerly.",
            metavar="graph|fused|pynative",
            page="performance.md",
        ),
    ] = "graph"
    precision: Annotated[
        Precision,
        Setting(
            help="Of matrix products; all else is fp32. fp16 and bf16 are for Ascend.",
            metavar="fp32|fp16|bf16", scope="comparison", page="devices.md",
        ),
    ] = "fp32"  # fmt: skip
    clean: Annotated[
        bool, Setting(help="The classic cleaning of movie reviews.", scope="comparison", page="data.md")
    ] = False
    limit: Annotated[
        int | None,
        Field(ge=1),
        Setting(
            help="Most examples of dev and of test, always the same ones; all of them by default.",
            metavar="N", scope="comparison", page="data.md",
        ),
    ] = None  # fmt: skip
    text_column: Annotated[str | None, Setting(help="Column of the text.", metavar="NAME", scope="comparison")] = None
    text_b_column: Annotated[
        str | None, Setting(help="Column of the second text.", metavar="NAME", scope="comparison")
    ] = None
    label_column: Annotated[
        str | None, Setting(help="Column of the label, or of the answer.", metavar="NAME", scope="comparison")
    ] = None
    fields: Annotated[
        tuple[str, ...],
        BeforeValidator(parse_fields),
        Setting(
            help="Columns that templates may use, as NAME or NAME=COLUMN; those that the template names by default.",
            metavar="A,B,...", scope="comparison", parse=lambda value: value or (), page="data.md",
        ),
    ] = ()  # fmt: skip
    encoding: Annotated[
        str | None,
        Setting(help="Encoding of the data files, if not UTF-8.", metavar="NAME", scope="comparison"),
    ] = None
    revision: Annotated[
        str | None,
        Setting(
            help="Branch, tag or commit of the model's id; the main branch by default.",
            metavar="REV", scope="comparison", page="models.md",
        ),
    ] = None  # fmt: skip
    download: Annotated[
        bool,
        Setting(
            help="Fetch models and data that have an id; else none is looked for on the network.",
            scope="comparison",
        ),
    ] = False
    mirror: Annotated[
        str | None, Setting(help="Fetch from this mirror of the host.", metavar="URL", scope="comparison")
    ] = None
    offline: Annotated[
        bool, Setting(help="Never touch the network, whatever else asks for it.", scope="comparison")
    ] = False
    out: Annotated[
        Path | None,
        Setting(
            help="Run directory, must not exist, or be empty; by default one in the store, which lists it.",
            metavar="DIR", scope="run",
        ),
    ] = None  # fmt: skip
    store: Annotated[
        Path, _FOLDER, Setting(help="Folder of the store.", metavar="DIR", scope="run", page="runs.md")
    ] = Path(DEFAULT_STORE)
    checkpoint: Annotated[
        Path | None,
        _FOLDER,
        Setting(
            help="Keep the training state there; killed and run again, it goes on to the same numbers.",
            metavar="DIR", scope="run",
        ),
    ] = None  # fmt: skip
    quiet: Annotated[
        bool,
        Setting(help="Nothing but the result: no progress, no warnings (they are still recorded).", scope="run"),
    ] = False
    save: Annotated[bool, Setting(help="Whether to write a run directory.", scope="run", hidden=True)] = True
    command: Annotated[
        tuple[str, ...],
        Setting(
            help="The command line that asked for the run, for the record; empty from Python.",
            scope="run", hidden=True,
        ),
    ] = ()  # fmt: skip

    @property
    def access(self) -> Access:
        """Whether the network may be touched."""
        return Access(self.download, self.mirror, self.offline)

    @property
    def drawn_stem(self) -> str:
        """What stands for the draw in the name of a run: `full`, `16shot` or `fold2of5`."""
        if self.fold is not None:
            return f"fold{self.fold[0]}of{self.fold[1]}"
        return "full" if self.shots is None else f"{self.shots}shot"


def setting_of(name: str) -> Setting:
    """Return what the field of `RunConfig` of that name says of itself."""
    return next(it for it in RunConfig.model_fields[name].metadata if isinstance(it, Setting))


def flag_of(name: str) -> str:
    """Return a setting's option on the command line, `--batch-size`."""
    return setting_of(name).flag or "--" + name.replace("_", "-")


RunConfig.__doc__ = f"{RunConfig.__doc__}\n\n    Attributes:\n" + "\n".join(
    f"        {name}: {setting_of(name).help}" for name in RunConfig.model_fields
)


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
        flag = flag_of(fault.field) if fault.field in RunConfig.model_fields else fault.field
        guess = did_you_mean(fault.given, _choices(fault.field)) if isinstance(fault.given, str) else ""
        plain = fault.given is None or isinstance(fault.given, str | int | float)
        got = fault.got if plain else f" (got something of type {type(fault.given).__name__})"
        raise UserError(f"{flag}: {fault.reason}{got}.{guess}") from None


def _choices(name: str) -> tuple[str, ...]:
    field = RunConfig.model_fields.get(name)
    kinds = (field.annotation, *get_args(field.annotation)) if field else ()
    return next((get_args(kind) for kind in kinds if get_origin(kind) is Literal), ())
