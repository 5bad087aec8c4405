"""What promptkit asks of every strategy, one function each; a fault is one sentence that says what to do."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
from pydantic import ValidationError

from promptkit.checking import field_fault
from promptkit.errors import UserError
from promptkit.hooks.describe import takes_data
from promptkit.prompting import Template
from promptkit.strategies.contract import DEPENDS_ON, Strategy, prepared
from promptkit.strategies.declared import check_class, check_declared
from promptkit.testing.runs import Learnt, RunSet, WritingRuns
from promptkit.testing.scores import long_word_scores, moved_scores
from promptkit.testing.tiny import LONG_WORDS

_LONGEST_SUMMARY = 100
_FALL = 0.97  # of the first loss, which the best one has to reach
_CLOSE = 1e-4  # scores that are the same but for rounding


class CheckFailed(AssertionError):  # noqa: N818 - read as a sentence where it is raised
    """What is wrong with a strategy, and what to do."""


class DoesNotApply(Exception):  # noqa: N818 - no error
    """Why a check has nothing to look at."""


def options_and_docs(strategy: type[Strategy]) -> None:
    """The class is one that promptkit takes, and says what it and each of its options are for."""
    if fault := check_class(strategy):
        raise CheckFailed(f"{fault}; promptkit refuses the class.")
    name, summary = strategy.__name__, strategy.summary
    if summary != summary.strip() or "\n" in summary or len(summary) > _LONGEST_SUMMARY:
        raise CheckFailed(
            f"{name}.summary is to be one line of at most {_LONGEST_SUMMARY} characters, for the listing; it is "
            f"{summary!r}."
        )
    if not (strategy.__doc__ or "").strip():
        raise CheckFailed(f"{name} has no docstring; say in a sentence what it does, and after whom.")
    for option, field in strategy.Options.model_fields.items():
        if not (field.description or "").strip():
            raise CheckFailed(
                f"option '{option}' of {name} has no description, so nobody learns what it is for; write "
                f"{option}: ... = Field(..., description='...')."
            )


def defaults(runs: RunSet) -> None:
    """Options left alone are valid, and what the strategy trains with by default is possible."""
    options = runs.strategy.Options
    given = {
        name: field.get_default(call_default_factory=True)
        for name, field in options.model_fields.items()
        if not field.is_required() and not takes_data(field)
    }
    try:
        # Values that are given are validated, and defaults are not.
        options(**given | runs.options)
    except ValidationError as error:
        fault = field_fault(error)
        raise CheckFailed(
            f"option '{fault.place}' has a default that it would refuse itself: {fault.reason}{fault.got}; give it "
            "one that its type and limits allow."
        ) from None
    strategy = runs.instance
    if wrong := check_declared(strategy):
        raise CheckFailed(f"{wrong}; promptkit refuses the class.")
    for training in (strategy.defaults, strategy.defaults.for_kind("causal")):
        if training.min_steps and not training.epochs:
            raise CheckFailed(
                f"{runs.strategy.__name__}.defaults: min_steps is {training.min_steps}, but epochs is 0 and so "
                "nothing trains; set both, or neither."
            )
    for source in strategy.defaults.templates_for("en"):
        _check_template(runs, source, strategy.defaults.readout)


def _check_template(runs: RunSet, source: str, readout: str) -> None:
    name = runs.strategy.__name__
    try:
        template = prepared(runs.instance, Template.parse(source), name)
    except UserError as error:
        raise CheckFailed(f"{name}'s own template '{source}' does not work: {error}") from None
    if readout == "cloze" and not template.has_mask:
        raise CheckFailed(
            f"{name}'s own template '{template}' has no {{mask}} to read a label word at; write one, or set "
            "readout='head' in its defaults."
        )


def listing_is_quick(strategy: type[Strategy]) -> None:
    """The strategy's module imports no MindSpore, for every `promptkit` command imports the module."""
    module = strategy.__module__
    code = f"import sys; sys.path[:] = {sys.path!r}\nimport {module}\nprint('mindspore' in sys.modules)"
    if module == "__main__" or "<locals>" in strategy.__qualname__:
        raise DoesNotApply(f"{strategy.__name__} is made within a function, and no module brings it.")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    if done.returncode:
        raise DoesNotApply(f"{module} cannot be imported by its name in another process.")
    if done.stdout.strip().endswith("True"):
        raise CheckFailed(
            f"importing {module} imports MindSpore, and every promptkit command would wait for it; import it within "
            "build, or in a module of its own that build imports."
        )


def compiles(runs: RunSet) -> None:
    """MindSpore compiles the model; promptkit would run it eagerly otherwise, many times slower."""
    record = runs.first.result.record
    if runs.plan.config.mode == "graph" and record.options.mode != "graph":
        said = next((each for each in record.warnings if "does not compile" in each), "the model does not compile")
        raise CheckFailed(
            f"{said}; keep to tensors, ops and static shapes in the model (no NumPy, no print, no lambda in a call)."
        )


def only_what_is_declared_learns(runs: RunSet, parts: frozenset[str] | None = None) -> None:
    """What requires gradient moves, nothing else does, and it is counted as what it is said to be.

    Args:
        runs: those of the strategy.
        parts: of `prompt`, `encoder`, `head` and `backbone`, those that are meant to learn; None if nobody says.
    """
    trains = runs.plan.settings.epochs > 0
    for learnt in runs.first.learnt:
        if not learnt.searches:
            _check_moves(learnt, trains=trains)
        found = {part for part, count in learnt.parts.items() if count}
        if parts is not None and found != parts:
            raise CheckFailed(
                f"what learns is {_listed(found)}, but is said to be {_listed(parts)}; the attribute of the model "
                "that holds a parameter says what it counts as, and requires_grad=False keeps it from learning. If "
                "that is as it should be, `learns` of the test is not."
            )


def _check_moves(learnt: Learnt, *, trains: bool) -> None:
    before = learnt.before
    moved = {path for path, value in learnt.after.items() if not np.array_equal(value, before.get(path, np.nan))}
    if strange := sorted(moved - learnt.learns):
        raise CheckFailed(
            f"'{strange[0]}' does not require gradient, and yet the run changed it; set it in build, or let it learn."
        )
    if not learnt.learns:
        return
    if not (trains or learnt.fits):
        raise CheckFailed(
            f"'{min(learnt.learns)}' requires gradient, but defaults.epochs is 0 and so it never learns; set epochs, "
            "or requires_grad=False."
        )
    # Of a whole language model some weights may have no part in the scores; of what a strategy adds, all have.
    own = {path for path in learnt.learns if not path.startswith(("backbone.", "head."))}
    still = sorted(own - moved) or ([] if moved else sorted(learnt.learns))
    if still:
        raise CheckFailed(
            f"'{still[0]}' requires gradient, but training left it as it was: the scores do not depend on it, or not "
            "where it starts, as they do not on a gate between equal sides; use it in the model, start it elsewhere, "
            "or drop it."
        )


def backbone_is_untouched(runs: RunSet) -> None:
    """The language model that all strategies share is the same afterwards, bit by bit."""
    from promptkit.testing.tiny import load_model

    # Also where it ended the run: what was done to the model is to be seen all the same.
    ended = _error_of(lambda: runs.first)
    fresh: Any = load_model(runs.model)
    used: Any = runs.backbone
    before, after = dict(fresh.parameters_and_names()), dict(used.parameters_and_names())
    # What was put into it or taken out of it as well.
    changed = sorted(before.keys() ^ after.keys()) + [
        name
        for name, one in before.items()
        if name in after and not np.array_equal(one.asnumpy(), after[name].asnumpy())
    ]
    if changed or used.trainable_params():
        name = changed[0] if changed else used.trainable_params()[0].name
        what = "was changed" if changed else "is made to learn"
        raise CheckFailed(
            f"'{name}' of the frozen language model {what}, and every later run would go on with that; let a copy "
            "learn: backbone.trainable('all'), or 'head'."
        )
    if ended is not None:
        raise DoesNotApply("there is no run to look at; test_it_runs says why")


def examples_keep_apart(runs: RunSet) -> None:
    """The scores of an example are those it has alone, whatever shares its row, and empty places are numbers."""
    for found in runs.once(moved_scores):
        if not np.isfinite(found.empty).all():
            raise CheckFailed(
                f"{found.who} gives scores that are no finite numbers for a place without an example, and the loss "
                "would be none; see that nothing is divided by a count of 0."
            )
        if not _close(found.together, found.alone):
            worst = float(np.abs(found.together - found.alone).max())
            raise CheckFailed(
                f"{found.who} gives an example other scores beside others than alone (by up to {worst:.2g}); look at "
                "no position of another segment_ids, and at nothing across the batch."
            )


def folds_without_a_change(runs: RunSet) -> None:
    """The model that is kept for prediction gives the scores of the one it was made from."""
    model, *folded = runs.once(moved_scores)
    if not folded:
        raise DoesNotApply(f"{runs.strategy.__name__}.fold returns the model itself.")
    if not _close(folded[0].together, model.together):
        worst = float(np.abs(folded[0].together - model.together).max())
        raise CheckFailed(
            f"the model that fold returns gives other scores than the one it was given (by up to {worst:.2g}); it "
            "has to compute the same."
        )


def whole_words_count(runs: RunSet) -> None:
    """Of label words of several pieces more than the first piece has a part in the scores."""
    name = runs.strategy.__name__
    if runs.plan.settings.readout != "cloze":
        raise DoesNotApply(f"{name} reads no label words here.")
    if "words" in runs.instance.proposes:
        raise DoesNotApply(f"{name} finds its label words itself.")
    try:
        scores = runs.once(long_word_scores)
    except UserError as error:
        raise DoesNotApply(f"{name} refuses label words of several pieces: {error}") from None
    if not np.isfinite(scores).all():
        raise CheckFailed(f"with label words of two pieces ({LONG_WORDS}) scores are no finite numbers.")
    apart = scores[:, 0] - scores[:, 1]
    if np.ptp(apart) <= _CLOSE * max(1.0, float(np.abs(scores).max())):
        raise CheckFailed(
            f"with label words of two pieces ({LONG_WORDS}) the classes are equally far apart for every text: only "
            "first pieces are read, which are the same; read every piece where task.verbalizer.slot(word, number) "
            "says, or take task.verbalizer.selection()."
        )


def loss_falls(runs: RunSet) -> None:
    """On a task that one word of each text decides, the training loss falls."""
    record = runs.first.result.record
    losses = [each.loss for each in record.history if each.loss is not None]
    if record.history and not losses:
        best = max(each.dev_accuracy or 0.0 for each in record.history)
        if best <= (record.dev.majority or 0.0):
            raise CheckFailed(
                f"fit finds nothing: dev accuracy is {best:.2f} on a task that one word decides; see that fit sets "
                "parameters by mindspore.ops.assign."
            )
        return
    if not losses:
        raise DoesNotApply(f"{runs.strategy.__name__} learns nothing.")
    if len(losses) == 1:
        raise CheckFailed(
            "the training is too short to see the loss fall; give the kit more: settings = {'epochs': 30}."
        )
    if not min(losses[1:]) <= _FALL * losses[0]:
        raise CheckFailed(
            f"the loss goes from {losses[0]:.3f} to {min(losses[1:]):.3f} at best, on a task that one word of each "
            f"text decides; see that gradients reach what learns, or give the kit another rate than "
            f"{record.options.lr:g}: settings = {{'lr': ...}}."
        )


def loads_the_same(runs: RunSet) -> None:
    """What was saved and is loaded again predicts what the run predicted."""
    saved = runs.first.result.probabilities
    with runs.lent():
        found = runs.loaded.probabilities([example.fields() for example in runs.plan.task.test])
    worst = float(np.abs(found - saved).max())
    if worst > _CLOSE:
        raise CheckFailed(
            f"what is loaded gives other probabilities than the run that saved it (by up to {worst:.2g}); whatever "
            "learns or is drawn has to be a Parameter of the model that fold returns, for these are saved."
        )


def writes(runs: WritingRuns) -> None:
    """What says that it learns to write does: the loss of answers falls, and what is loaded writes the same ones."""
    name = runs.strategy.__name__
    if "text" not in runs.instance.objectives:
        raise DoesNotApply(f"{name} is for classes alone.")
    try:
        runs.plan  # noqa: B018
    except UserError as error:
        raise DoesNotApply(f"{name} refuses to learn to write here: {error}") from None
    result = runs.first.result
    compiles(runs)
    if result.record.history:
        loss_falls(runs)
    for saved, loaded in zip(result.predictions, runs.written_again(), strict=True):
        if saved != loaded:
            raise CheckFailed(
                f"what is loaded writes '{loaded}' where the run that saved it wrote '{saved}'; whatever learns or "
                "is drawn has to be a Parameter of the model that fold returns, for these are saved."
            )


def same_seed_same_numbers(runs: RunSet) -> None:
    """A run that is repeated gives the same numbers, to the bit."""
    first, again = runs.first.result, runs.again
    losses = [[each.loss for each in result.record.history] for result in (first, again)]
    if losses[0] != losses[1] or not np.array_equal(first.probabilities, again.probabilities):
        raise CheckFailed(
            "the same run gives other numbers the second time; draw every random number from task.rng, and keep "
            "nothing from one run to the next."
        )


def depends_on_is_true(runs: RunSet) -> None:
    """What `depends_on` does not name changes nothing: a comparison would not run it again."""
    words = DEPENDS_ON - runs.depends_on
    if not words:
        raise DoesNotApply(f"{runs.strategy.__name__} says that its numbers depend on everything.")
    if _same(runs, runs.changed(words)):
        return
    for word in sorted(words):
        if len(words) == 1 or not _same(runs, runs.changed(frozenset({word}))):
            raise CheckFailed(f"{_CHANGES[word]} changes the numbers, but depends_on does not name '{word}'; add it.")
    raise CheckFailed(
        f"the numbers change with {_listed(words)} together, but depends_on names none of them; add what matters."
    )


def depends_on_is_needed(runs: RunSet) -> None:
    """Of what `depends_on` names something matters: a comparison would run the same again for nothing."""
    words = runs.depends_on
    if not words:
        raise DoesNotApply(f"{runs.strategy.__name__} says that its numbers depend on nothing.")
    if _same(runs, runs.changed(words)):
        raise CheckFailed(
            f"depends_on names {_listed(words)}, and yet nothing of it changes a number: a comparison would run the "
            "same several times; set depends_on to what matters, frozenset() if nothing does."
        )


_CHANGES = {
    "training": "another number of epochs or another rate",
    "examples": "another set of training examples",
    "seed": "another seed",
}


def _same(runs: RunSet, other: Any) -> bool:
    return bool(np.abs(runs.first.result.probabilities - other.probabilities).max() < 1e-6)


def _close(one: Any, other: Any) -> bool:
    return bool(np.abs(one - other).max() <= _CLOSE * max(1.0, float(np.abs(other).max())))


def _listed(words: Any) -> str:
    return ", ".join(sorted(words)) or "nothing"


def _error_of(act: Callable[[], Any]) -> Exception | None:
    try:
        act()
    except Exception as error:
        return error
    return None
