"""The trials by which defaults are chosen: on dev, on two data sets, never on test.

    python benchmarks/defaults.py --data PATH/TO/rt-polarity --data PATH/TO/sst2 --out ../defaults.jsonl \
        --markdown docs/tables/defaults.md

A trial trains on the first 2,000 of the shuffled training examples and is judged on 1,066 of the shuffled dev split,
or, with 16 shots, draws from 3,000 training examples and is judged on 1,000 others. The data folder that a run gets
holds no example of the real test split: its `test` is a part of dev, or of train. What stands in `--out` is not tried
again: give another file with another `--dev` or with `--all`. `--model NAME` tries what a causal model is in want of,
by the data's language: templates for `hard`; rates and passes for what learns, with 16 shots alone. `--all` learns
from all training examples, and has settings of its own. `--dev` limits what either is judged on.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import mean
from typing import Any

from tabulate import tabulate

from promptkit import run
from promptkit.data import Example, Task, load_task
from promptkit.errors import UserError

TRAIN, DEV, FEW_TEST, FEW_TRAIN = 2000, 1066, 1000, 3000
Settings = dict[str, tuple[dict[str, Any], ...]]
"""By strategy."""


@dataclass(frozen=True)
class Trial:
    """One setting on one data set.

    Attributes:
        strategy: its name.
        data: the data set's name.
        shots: examples a class, or None for `TRAIN` examples.
        seed: of the draw and the start.
        settings: of the run, where they are not the defaults; `template` with `words`, one for each label in
            alphabetical order, stands for templates and verbalizer.
    """

    strategy: str
    data: str
    shots: int | None = None
    seed: int = 0
    settings: dict[str, Any] = field(default_factory=dict)


SOFT: tuple[dict[str, Any], ...] = (
    *({"epochs": 4, "lr": lr, "options": {"tokens": 10}} for lr in (1e-2, 3e-2)),
    {"epochs": 4, "lr": 1e-2, "options": {"tokens": 20}},
    {"epochs": 3, "lr": 1e-2, "options": {"tokens": 20}},
    {"epochs": 5, "lr": 1e-2, "options": {"tokens": 20}},
    {"epochs": 4, "lr": 1e-2, "options": {"tokens": 10, "init": "random"}},
)
PTUNING: tuple[dict[str, Any], ...] = (
    *({"epochs": 4, "lr": lr, "options": {"tokens": 10}} for lr in (3e-4, 1e-3, 3e-3)),
    {"epochs": 4, "lr": 3e-4, "options": {"tokens": 20}},
    {"epochs": 4, "lr": 1e-3, "options": {"tokens": 10, "init": "vocab"}},
)
PREFIX: tuple[dict[str, Any], ...] = (
    *({"epochs": 5, "lr": lr, "options": {"tokens": 32}} for lr in (1e-2, 3e-2)),
    {"epochs": 5, "lr": 1e-3, "options": {"tokens": 32, "reparametrise": True}},
)
PTUNING_V2: tuple[dict[str, Any], ...] = (
    *({"epochs": 5, "lr": lr, "options": {"tokens": 32}} for lr in (3e-3, 1e-2, 3e-2)),
    {"epochs": 5, "lr": 1e-2, "options": {"tokens": 64}},
    {"epochs": 5, "lr": 3e-2, "options": {"tokens": 32, "init": "activations"}},
)
BITFIT: tuple[dict[str, Any], ...] = tuple({"epochs": 5, "lr": lr} for lr in (3e-4, 1e-3, 3e-3))
FINETUNE: tuple[dict[str, Any], ...] = tuple({"epochs": 3, "lr": lr} for lr in (2e-5, 5e-5))
ASKING: dict[str, dict[tuple[str, str], tuple[str, ...]]] = {
    "en": {
        ("terrible", "great"): (
            "{text} It was {mask}", "{text}\nOverall, it was {mask}", "Review: {text}\nIt was {mask}",
            "Review: {text}\nRating: {mask}",
        ),
        ("negative", "positive"): ("{text}\nSentiment: {mask}", "Review: {text}\nSentiment: {mask}"),
    },
    "zh": {
        ("差", "好"): ("{text} 总之很{mask}", "{text}\n总之很{mask}", "评论：{text}\n评价：{mask}"),
        ("负面", "正面"): (
            "{text}\n情感：{mask}", "评论：{text}\n情感：{mask}", "评论：{text}\n这条评论的情感是：{mask}",
        ),
    },
}  # fmt: skip
"""By language, the ways to ask a causal model for a sentiment, by their words for a bad and a good one."""
HARD = {
    language: tuple({"template": it, "words": list(words)} for words, templates in ways.items() for it in templates)
    for language, ways in ASKING.items()
}
WHOLE: Settings = {
    "soft": SOFT, "ptuning": PTUNING, "prefix": PREFIX, "ptuning-v2": PTUNING_V2, "bitfit": BITFIT,
    "finetune": FINETUNE, "hard": HARD["en"],
}  # fmt: skip
"""Settings to try on `TRAIN` examples: rates, then starts, lengths and passes; `hard` learns from none of them."""
FEW: Settings = {
    name: tuple({"lr": lr} for lr in rates)
    for name, rates in {
        "soft": (1e-2, 3e-2), "ptuning": (3e-4, 1e-3), "prefix": (1e-2, 3e-2), "ptuning-v2": (1e-2, 3e-2),
        "bitfit": (1e-3, 3e-3), "finetune": (2e-5, 5e-5),
    }.items()
}  # fmt: skip
"""Settings to try with 16 shots."""
ASKED = {
    "en": "Decide whether this review of a film is positive or negative.",
    "zh": "判断下面这条评论的情感是正面还是负面。",
}
"""By language, an instruction to start from."""
LEARNING = tuple(name for name in WHOLE if name != "hard")
ALL: Settings = {"ptuning-v2": tuple({"lr": lr} for lr in (1e-2, 2e-2, 3e-2))}
"""Settings to try on all training examples."""


def few_causal(language: str) -> Settings:
    """Return the settings to try with 16 shots on a causal model, a pass being a step of 32 examples."""
    asked, way = ASKED[language], HARD[language][-1]
    begun = {**way, "template": f'{{soft:"{asked}"}}\n\n{way["template"]}'}
    return {
        "soft": (
            *({"epochs": epochs, "lr": lr} for epochs in (10, 30) for lr in (1e-3, 1e-2)),
            {"epochs": 100, "lr": 1e-2},
            {"epochs": 30, "lr": 1e-3, "options": {"init": "text"}},
            *({"epochs": 10, "lr": lr, **begun} for lr in (1e-3, 1e-2)),
        ),
        "prefix": (
            *({"epochs": e, "lr": lr, "options": {"init": "random"}} for e in (10, 30) for lr in (1e-3, 1e-2)),
            *({"epochs": 10, "lr": lr, "options": {"init": "activations"}} for lr in (1e-3, 1e-2)),
            *({"epochs": e, "lr": lr, "options": {"words": asked}} for e, lr in ((0, 1e-3), (10, 1e-3), (10, 1e-2))),
        ),
        "ptuning": tuple({"epochs": epochs, "lr": lr} for epochs, lr in ((10, 3e-4), (10, 1e-3), (30, 1e-3))),
        "ptuning-v2": tuple({"epochs": epochs, "lr": lr} for epochs, lr in ((10, 1e-2), (30, 1e-2), (30, 3e-3))),
        "finetune": tuple({"epochs": epochs, "lr": lr} for epochs, lr in ((10, 5e-5), (30, 5e-5), (30, 2e-5))),
    }


def tables(model: str | None, language: str = "en") -> tuple[Settings, Settings]:
    """Return what is tried on `TRAIN` examples and with 16 shots: on the default model, or on a causal one."""
    language = language if language in HARD else "en"
    return (WHOLE, FEW) if model is None else ({"hard": HARD[language]}, few_causal(language))


def trials(
    languages: Mapping[str, str],
    strategies: Collection[str] = LEARNING,
    model: str | None = None,
    of_all: bool = False,
) -> Iterator[Trial]:
    """Yield every trial of some strategies on data sets, given with their languages, and on a model."""
    asked = {} if model is None else {"model": model}
    for name, language in languages.items():
        whole, few = (ALL, {}) if of_all else tables(model, language)
        for strategy in strategies:
            for settings in whole.get(strategy, ()):
                ends = {} if strategy == "hard" else {"patience": 0}
                yield Trial(strategy, name, settings={**settings, **ends, **asked})
        if model is not None and not few.keys().isdisjoint(strategies):
            yield Trial("hard", name, 16, 0, asked)  # what there is before anything learns
        for seed in (0, 1):
            for strategy in strategies:
                for settings in few.get(strategy, ()):
                    yield Trial(strategy, name, 16, seed, {**settings, **asked})


def write(folder: Path, parts: dict[str, list[Example]]) -> Path:
    """Write a data folder."""
    folder.mkdir(parents=True)
    for split, examples in parts.items():
        rows = "".join(f"{example.label}\t{example.text}\n" for example in examples)
        (folder / f"{split}.tsv").write_text(f"label\ttext\n{rows}", encoding="utf-8")
    return folder


def data_of(task: Task, folder: Path, most: int, learnt: int | None) -> dict[bool, Path]:
    """Write what trials see of a data set, by whether they draw: `learnt` examples for train, `most` to judge on."""
    train, dev = list(task.train), list(task.dev)
    random.Random(5).shuffle(train)
    few = {"train": train[FEW_TEST : FEW_TEST + FEW_TRAIN], "dev": dev[:DEV], "test": train[:FEW_TEST][:most]}
    random.Random(6).shuffle(dev)
    plain = {"train": train[:learnt], "dev": dev[:most], "test": dev[:64]}
    return {False: write(folder / "plain", plain), True: write(folder / "few", few)}


def judge(trial: Trial, data: dict[bool, Path], mode: str) -> dict[str, Any]:
    """Carry out a trial in an execution mode; return it with what came out."""
    few = trial.shots is not None
    folder = str(data[few])
    how = {"data": folder, "shots": trial.shots, "seed": trial.seed, "save": False, "mode": mode}
    settings = dict(trial.settings)
    if template := settings.pop("template", None):
        words = zip(sorted(load_task(folder).labels), settings.pop("words"), strict=True)
        settings |= {"templates": [template], "verbalizer": "; ".join(f"{label}={word}" for label, word in words)}
    result = run(trial.strategy, **how, **settings)
    record = result.record
    picked = next((each for each in record.history if each.epoch == record.best_epoch), None)
    accuracy = (record.test if few else record.dev).accuracy
    return {**asdict(trial), "accuracy": accuracy, "loss": None if few or picked is None else picked.dev_loss}


def table(found: list[dict[str, Any]], names: list[str], whole: str) -> str:
    """Return the trials' outcomes as Markdown, seeds averaged; `whole` says what they learnt from without shots."""
    cells: dict[tuple[str, ...], dict[str, list[dict[str, Any]]]] = {}
    for each in found:
        settings = dict(each["settings"])
        options = settings.pop("options", {})
        settings.pop("patience", None)
        said = ", ".join(f"{key} {spelt(value)}" for key, value in {**options, **settings}.items())
        learnt = whole if each["shots"] is None else f"{each['shots']} shots"
        learnt = "nothing" if each["strategy"] == "hard" or settings.get("epochs") == 0 else learnt
        cells.setdefault((each["strategy"], learnt, said), {}).setdefault(each["data"], []).append(each)
    rows = [
        [*key, *(outcome(by_data.get(name, [])) for name in names)]
        for key, by_data in cells.items()
    ]  # fmt: skip
    return str(tabulate(rows, ["strategy", "learnt from", "settings", *names], tablefmt="github")) + "\n"


def spelt(value: str | float | list[str]) -> str:
    """Return a setting as it stands in the table."""
    if isinstance(value, str):
        return value.replace("\n", "↵")
    if isinstance(value, bool):
        return "on" if value else "off"
    return " / ".join(value) if isinstance(value, list) else format(value, "g")


def outcome(found: list[dict[str, Any]]) -> str:
    """Return the mean accuracy, and the loss where there is one."""
    if not found:
        return "-"
    loss = "" if found[0]["loss"] is None else f", loss {mean(each['loss'] for each in found):.3f}"
    return f"{100 * mean(each['accuracy'] for each in found):.1f}{loss}"


def main() -> int:
    """Carry out what is missing and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, action="append", required=True, help="a data set; give two")
    parser.add_argument(
        "--strategy", choices=tuple(WHOLE), action="append", help="only these; all that learn by default"
    )
    parser.add_argument("--model", help="a causal model, in place of the default one")
    parser.add_argument("--all", action="store_true", help="learn from all training examples")
    parser.add_argument("--dev", type=int, default=DEV, help="examples to judge on, at most")
    parser.add_argument("--mode", default="graph", help="how compiled models run; scores are the same in all")
    parser.add_argument("--out", type=Path, required=True, help="JSON lines, one for each trial")
    parser.add_argument("--markdown", type=Path, help="where the table goes; printed by default")
    arguments = parser.parse_args()
    if arguments.all and arguments.model is not None:
        parser.error("--all is for the default model: give it without --model.")
    possible = set(ALL) if arguments.all else set().union(*tables(arguments.model))
    strategies = arguments.strategy or [name for name in LEARNING if name in possible]
    if other := set(strategies) - possible:
        tried, refused = ", ".join(sorted(possible)), ", ".join(sorted(other))
        parser.error(f"there are trials of {tried} here, not of {refused}.")
    lines = arguments.out.read_text(encoding="utf-8").splitlines() if arguments.out.exists() else []
    found = [json.loads(line) for line in lines]
    names = [path.name for path in arguments.data]
    with tempfile.TemporaryDirectory() as place:
        try:
            tasks = {path.name: load_task(str(path)) for path in arguments.data}
            learnt = None if arguments.all else TRAIN
            folders = {name: data_of(task, Path(place) / name, arguments.dev, learnt) for name, task in tasks.items()}
        except UserError as error:
            print(f"error: {error}", file=sys.stderr)
            return 2
        wanted = []
        languages = {name: it.language for name, it in tasks.items()}
        for trial in trials(languages, strategies, arguments.model, arguments.all):
            known = next((each for each in found if asdict(trial).items() <= each.items()), None)
            if known is None:
                known = judge(trial, folders[trial.data], arguments.mode)
                with arguments.out.open("a", encoding="utf-8") as file:
                    print(json.dumps(known), file=file)
            wanted.append(known)
    text = table(wanted, names, "all of train" if arguments.all else f"{TRAIN:,} examples")
    if arguments.markdown:
        arguments.markdown.write_text(text, encoding="utf-8")
    else:
        print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
