"""For every check of the kit a strategy that it finds fault with, in one sentence."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import Field

pytest.importorskip("mindspore")
pytest_plugins = ["pytester"]

from promptkit import Defaults, Strategy, StrategyOptions
from promptkit.testing import checks
from promptkit.testing.checks import CheckFailed, DoesNotApply
from promptkit.testing.runs import RunSet

Fault = Callable[[type[Strategy]], Any]
Scores = Callable[[Any, Any], Any]


def biased(
    backbone: Any,
    task: Any,
    scores: Scores | None = None,
    *,
    fixed: bool = True,
    learns: bool = True,
    start: Any = 0.0,
) -> Any:
    """A cloze prompt with a bias a class, whose scores may be others."""
    from mindspore import Parameter, Tensor

    from promptkit.nn import ClozePrompt

    class Biased(ClozePrompt):
        fixed_features = fixed

        def __init__(self) -> None:
            super().__init__(backbone, task)
            value = Tensor(np.full(2, start, np.float32))
            self.bias = Parameter(value, name="bias", requires_grad=learns)

        def scores(self, features: Any) -> Any:
            return self.head(features) + self.bias if scores is None else scores(self, features)

    return Biased()


class Sound(Strategy):
    """Nothing is wrong with it."""

    name = "sound"
    summary = "one bias a class learns"
    defaults = Defaults(epochs=1, lr=0.1)

    def build(self, backbone: Any, task: Any) -> Any:
        self.task = task
        return biased(backbone, task)


def broken(**changes: Any) -> type[Strategy]:
    """The sound one, but for some of it."""
    return type("Broken", (Sound,), {"__doc__": "Broken.", **changes})


def building(*given: Any, **settings: Any) -> type[Strategy]:
    """The sound one with another model."""
    attributes = settings.pop("attributes", {})
    return broken(build=lambda self, backbone, task: biased(backbone, task, *given, **settings), **attributes)


class Many(StrategyOptions):
    """Options of which one is wrong."""

    told: int = Field(default=1, description="What it is for.")
    untold: int = 2


class Impossible(StrategyOptions):
    """A default out of its own limits."""

    tokens: int = Field(default=0, ge=1, description="Virtual tokens.")


@pytest.mark.parametrize(
    ("strategy", "said"),
    [
        (broken(contract=1), "is written for version 1 of the contract.*refuses the class"),
        (broken(summary="One line.\nAnother."), "summary is to be one line of at most 100 characters"),
        (broken(summary="long " * 30), "summary is to be one line of at most 100 characters"),
        (broken(__doc__=None), "Broken has no docstring; say in a sentence"),
        (broken(Options=Many), "option 'untold' of Broken has no description.*write untold: ... = Field"),
    ],
)
def test_what_is_not_said(strategy: type[Strategy], said: str) -> None:
    with pytest.raises(CheckFailed, match=said):
        checks.options_and_docs(strategy)
    checks.options_and_docs(Sound)


@pytest.mark.parametrize(
    ("strategy", "said"),
    [
        (broken(Options=Impossible), "option 'tokens' has a default that it would refuse itself.*give it one"),
        (broken(defaults=Defaults(lr=0.0)), "lr: Input should be greater than 0"),
        (broken(defaults=Defaults(epochs=-1)), "epochs: Input should be greater than or equal to 0"),
        (broken(defaults=Defaults(batch_size=0)), "batch_size: Input should be greater than or equal to 1"),
        (broken(defaults=Defaults(epochs=3, causal=(("lr", 0.0),))), "lr: Input should be greater than 0"),
        (broken(defaults=Defaults(min_steps=60)), "min_steps is 60, but epochs is 0.*set both, or neither"),
        (broken(defaults=property(lambda self: None)), "Broken.defaults is nothing, not a promptkit.Defaults"),
        (
            broken(defaults=Defaults(templates=())),
            "Broken.defaults.templates is .., not pairs of a language and its templates",
        ),
        (broken(defaults=Defaults(templates=(("en", ("{text} {",)),))), "own template '{text} {' does not work"),
        (broken(defaults=Defaults(templates=(("en", ("{text}",)),))), "has no {mask}.*or set readout='head'"),
        (broken(prepare=lambda self, template: None), "prepare returned nothing, not a promptkit.Template"),
    ],
)
def test_defaults_that_cannot_be(strategy: type[Strategy], said: str, tmp_path: Path) -> None:
    with pytest.raises(CheckFailed, match=said):
        checks.defaults(RunSet(strategy, tmp_path))


def test_a_module_that_imports_mindspore(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mindspore.py").touch()  # the real one takes long
    (tmp_path / "heavy_plugin.py").write_text("import mindspore", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(CheckFailed, match=r"importing heavy_plugin imports MindSpore.*import it within build"):
        checks.listing_is_quick(broken(__module__="heavy_plugin"))
    with pytest.raises(DoesNotApply, match="nowhere_to_be_found cannot be imported by its name"):
        checks.listing_is_quick(broken(__module__="nowhere_to_be_found"))


def unmapped(model: Any, hidden: Any) -> Any:
    return model.head(hidden) + model.bias + float(hidden.asnumpy().sum() * 0.0)


def across(model: Any, hidden: Any) -> Any:
    scores = model.head(hidden) + model.bias
    return scores - scores.mean(0)


def first_pieces(model: Any, hidden: Any) -> Any:
    """Reads each label word at its first piece alone."""
    readout = model.head
    logits = readout.backbone.logits(hidden[:, :1], readout.rows)[:, 0]
    return logits @ readout.selection[: len(readout.rows)] + model.bias


def divided(model: Any, hidden: Any) -> Any:
    """No number where nothing stands, which is read at position 0: there the state is the same every time."""
    scores = model.head(hidden) + model.bias
    again = abs(hidden - hidden[-1:]).sum(-1)
    return scores * again / again


class Counting(Sound):
    """Starts elsewhere every time."""

    runs = 0

    def build(self, backbone: Any, task: Any) -> Any:
        Counting.runs += 1
        return biased(backbone, task, start=np.array([Counting.runs, 0.0]))


class Forgetting(Sound):
    """Keeps what it has learnt where it is not saved."""

    def fold(self, model: Any) -> Any:
        kept = model.bias.asnumpy().copy()
        return biased(model.backbone, self.task, lambda it, x: it.head(x) + it.bias * 0.0 + ms_tensor(kept))


def ms_tensor(values: Any) -> Any:
    from mindspore import Tensor

    return Tensor(values)


def shifted(self: Any, model: Any) -> Any:
    return biased(model.backbone, self.task, start=model.bias.asnumpy() + np.array([1.0, 0.0]))


def overwriting(self: Any, model: Any) -> Any:
    word = model.backbone.encoder.word
    word.set_data(word + 1e-3)
    return model


def thawing(self: Any, model: Any) -> Any:
    model.bias.set_data(model.bias + 1.0)
    return model


def unfenced(self: Any, backbone: Any, task: Any) -> Any:
    """Lets the examples of a row see each other."""
    from mindspore import ops

    from promptkit.nn import packed

    def features(model: Any, inputs: Any) -> Any:
        given = list(inputs.values())
        given[1] = ops.ones_like(given[1])
        return backbone.run(backbone.embed(given[0]), packed(*given))

    model = biased(backbone, task)
    type(model).features = features
    return model


def dead(self: Any, backbone: Any, task: Any) -> Any:
    from mindspore import Parameter, Tensor

    model = biased(backbone, task)
    model.spare = Parameter(Tensor(np.ones(3, np.float32)), name="spare")
    return model


def useless_fit(self: Any, backbone: Any, task: Any) -> Any:
    from promptkit.nn import Trial

    model = biased(backbone, task)
    model.fits = True
    model.fit = lambda *given: [Trial(0.5, 0.7)]
    return model


FROZEN = {"defaults": Defaults()}
CASES: dict[str, tuple[Fault, type[Strategy], str]] = {
    "compiles": (
        checks.compiles, building(unmapped, fixed=False), "does not compile.*keep to tensors, ops and static shapes",
    ),
    "learns what it should not": (
        lambda runs: checks.only_what_is_declared_learns(runs, frozenset({"prompt"})), Sound,
        "what learns is head, but is said to be prompt; the attribute",
    ),
    "changes what is frozen": (
        checks.only_what_is_declared_learns, building(learns=False, attributes={"fold": thawing, **FROZEN}),
        "'bias' does not require gradient, and yet the run changed it",
    ),
    "cannot learn": (
        checks.only_what_is_declared_learns, broken(build=dead), "'spare' requires gradient, but training left it",
    ),
    "never learns": (
        checks.only_what_is_declared_learns, broken(**FROZEN), "'bias' requires gradient, but defaults.epochs is 0",
    ),
    "writes to the backbone": (
        checks.backbone_is_untouched, broken(fold=overwriting), "of the frozen language model was changed.*let a",
    ),
    "looks across the batch": (
        checks.examples_keep_apart, building(across), "gives an example other scores beside others than alone",
    ),
    "looks across the row": (
        checks.examples_keep_apart, broken(build=unfenced), "look at no position of another segment_ids",
    ),
    "divides by nothing": (
        checks.examples_keep_apart, building(divided), "no finite numbers for a place without an example",
    ),
    "reads half a word": (
        checks.whole_words_count, building(first_pieces), "equally far apart for every text.*read every piece where",
    ),
    "folds into another": (
        checks.folds_without_a_change, broken(fold=shifted), r"fold returns gives other scores.*by up to 1\)",
    ),
    "trains too slowly": (
        checks.loss_falls, broken(defaults=Defaults(epochs=8, lr=1e-9)), "the loss goes from .*'lr': ...}",
    ),
    "trains too briefly": (
        checks.loss_falls, Sound, "too short to see the loss fall; give the kit more",
    ),
    "fits nothing": (
        checks.loss_falls, broken(build=useless_fit), "fit finds nothing: dev accuracy is 0.50",
    ),
    "forgets": (
        checks.loads_the_same, Forgetting, "what is loaded gives other probabilities.*has to be a Parameter",
    ),
    "remembers": (
        checks.same_seed_same_numbers, Counting, "gives other numbers the second time; draw every random number",
    ),
    "conceals the seed": (
        checks.depends_on_is_true, broken(depends_on=frozenset({"training", "examples"})),
        "another seed changes the numbers, but depends_on does not name 'seed'; add it",
    ),
    "conceals the examples": (
        checks.depends_on_is_true, broken(depends_on=frozenset({"training", "seed"})),
        "another set of training examples changes the numbers, but depends_on does not name 'examples'",
    ),
    "depends on nothing": (
        checks.depends_on_is_needed, building(learns=False, attributes=FROZEN),
        "depends_on names seed, and yet nothing of it changes a number",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_a_fault_is_found_and_said_in_one_sentence(case: str, tmp_path: Path) -> None:
    check, strategy, said = CASES[case]
    mode = "graph" if case == "compiles" else "pynative"
    # Two steps an epoch, so that their order matters: an eager one takes longer than compiling does for more.
    runs = RunSet(strategy, tmp_path, settings={"mode": mode, "batch_size": 24})
    with pytest.raises(CheckFailed, match=said) as found:
        check(runs)  # type: ignore[arg-type]
    assert "\n" not in str(found.value)


@pytest.mark.parametrize(
    ("changes", "settings", "said"),
    [
        ({}, {"readout": "head"}, "reads no label words here"),
        ({"proposes": frozenset({"words"})}, {}, "finds its label words itself"),
        ({}, {"slots": "first"}, "refuses label words of several pieces: .* the same piece 'very'"),
    ],
)
def test_who_reads_no_long_words_is_not_asked_to(
    changes: dict[str, Any], settings: dict[str, Any], said: str, tmp_path: Path
) -> None:
    with pytest.raises(DoesNotApply, match=said):
        checks.whole_words_count(RunSet(broken(**changes), tmp_path, settings=settings))


@pytest.mark.parametrize("kind", ["masked", "causal"])
def test_a_sound_strategy_reads_long_words_whole(kind: Any, tmp_path: Path) -> None:
    checks.whole_words_count(RunSet(Sound, tmp_path, kind=kind))


FILE = """
from test_kit_finds_faults import Sound, broken

from promptkit.testing import StrategyKit


class TestNothing(StrategyKit):
    strategy = broken(build=lambda self, backbone, task: None, __module__="promptkit")
    settings = {"mode": "pynative"}
"""


def test_pytest_shows_a_fault_once_in_one_line_and_skips_what_needs_a_run(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(FILE)
    result = pytester.runpytest_inprocess("-rsf", "-p", "no:cacheprovider", "--tb=short")
    # Two tests need no model, and the defaults no run; eleven wait for a run, and it writes nothing.
    result.assert_outcomes(passed=3, failed=1, skipped=12)
    result.stdout.fnmatch_lines([
        "_* TestNothing.test_it_runs?masked? _*",
        "strategy 'sound' (plugin 'sound' of promptkit 0): build returned nothing, not a promptkit.nn.*",
        "*there is no run to look at; test_it_runs says why",
    ])  # fmt: skip
    shown = result.stdout.str().split("short test summary info")[0]
    assert shown.count("build returned nothing") == 1
    assert "Traceback" not in result.stdout.str()
    assert "During handling" not in shown


def test_a_kind_of_model_that_there_is_not_is_no_masked_one(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(FILE.replace("    settings", '    kinds = ("casual",)\n    settings'))
    result = pytester.runpytest_inprocess("-p", "no:cacheprovider", "--tb=short")
    result.assert_outcomes(errors=1)
    assert "kinds names 'casual'; known: masked, causal." in result.stdout.str()
