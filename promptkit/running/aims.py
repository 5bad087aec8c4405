"""What a run is after, classes of texts or texts: what it takes, what it learns by, and what it is judged by.

Everything that differs between the two is here and nowhere else. No MindSpore is imported before a model is trained.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np

from promptkit.data import Example, Task
from promptkit.errors import UserError
from promptkit.evaluation.probabilities import mean_log_softmax
from promptkit.hooks import get_host
from promptkit.prompting import Readout
from promptkit.running.config import RunConfig
from promptkit.strategies.contract import Strategy

if TYPE_CHECKING:
    from promptkit.running.plan import Plan
    from promptkit.running.rounds import Trained
    from promptkit.runs import Scores
    from promptkit.training import Objective

Split = Literal["dev", "test"]


@dataclass(frozen=True)
class Judged:
    """What the answers of a run came to.

    Attributes:
        dev, test: their scores.
        probabilities: of the test examples' classes, (N, C); None of texts.
        predictions: their classes, (N,); the answers that were written, of texts, as far as any were.
        truth: their true classes, (N,), or answers.
        write: writes `predictions.tsv` to a path.
    """

    dev: Scores
    test: Scores
    probabilities: Any
    predictions: Any
    truth: Any
    write: Callable[[Path], None]


class Aim(Protocol):
    """What a run is after."""

    def check(self, config: RunConfig, strategy: Strategy) -> None:
        """Refuse settings that have no meaning here.

        Raises:
            UserError: in one line.
        """
        ...

    def readout(self, config: RunConfig, strategy: Strategy) -> Readout:
        """Return how the model is read."""
        ...

    def check_metric(self, name: str, task: Task) -> None:
        """Refuse a misspelt metric, or one that is not for such answers."""
        ...

    def targets(self, task: Task, examples: Sequence[Example]) -> Any:
        """Return what the source of batches hands out beside examples, (N,)."""
        ...

    def objective(self, task: Task, targets: Any, who: str) -> Objective:
        """Return what the model learns by; `who` is what errors name."""
        ...

    def writes(self, config: RunConfig) -> bool:
        """Return whether answers to the test texts are to be written."""
        ...

    def judge(self, plan: Plan, trained: Trained) -> Judged:
        """Score what the models of the last round gave for dev and test."""
        ...


class Classes:
    """One of C classes for each text."""

    def check(self, config: RunConfig, strategy: Strategy) -> None:
        """Refuse strategies that do not score classes, and settings of answers."""
        if "classes" not in strategy.objectives:
            raise UserError(f"strategy '{strategy.name}' writes texts; it takes --objective text.")
        if config.max_tokens != RunConfig.model_fields["max_tokens"].default:
            raise UserError("--max-tokens is for answers; it goes with --objective text.")

    def readout(self, config: RunConfig, strategy: Strategy) -> Readout:
        """Return the readout asked for, else the strategy's."""
        return config.readout or strategy.defaults.readout

    def check_metric(self, name: str, task: Task) -> None:
        """See `Aim.check_metric`."""
        from promptkit.evaluation import check_metric

        check_metric(name, task.labels, get_host().metrics)

    def targets(self, task: Task, examples: Sequence[Example]) -> Any:
        """Class indices, (N,)."""
        return np.array([task.label_index(example.label) for example in examples])

    def objective(self, task: Task, targets: Any, who: str) -> Objective:
        """Cross entropy of classes, or of soft labels (N, C)."""
        from promptkit.training import Classification, SoftClassification

        return (SoftClassification if targets.ndim == 2 else Classification)(len(task.labels), who)

    def writes(self, config: RunConfig) -> bool:
        """Classes are not written."""
        return False

    def judge(self, plan: Plan, trained: Trained) -> Judged:
        """Average the models' scores; accuracy, macro F1 and the metrics asked for."""
        from promptkit.runs import write_predictions

        task, members, weights = plan.task, trained.members, trained.weights
        dev = mean_log_softmax([member.scored.dev for member in members], weights)
        test = mean_log_softmax([member.scored.test for member in members], weights)
        truth = [task.label_index(example.label) for example in task.test]
        predictions, probabilities = test.argmax(-1), np.exp(test)
        scores = (
            class_scores(plan.config, task, "dev", dev.argmax(-1), plan.majority, plan.warn),
            class_scores(plan.config, task, "test", predictions, plan.majority, plan.warn),
        )
        # What was fitted or searched for has a result too, but no passes that settings of the training could change.
        trainings = [member.scored.training for each in trained.rounds for member in each]
        learnt = any(it and it.epochs for it in trainings)
        _warn_if_no_better(plan, scores[1], learnt=learnt)

        def write(path: Path) -> None:
            write_predictions(path, task.labels, truth, predictions.tolist(), probabilities, task.test)

        return Judged(*scores, probabilities, predictions, np.asarray(truth), write)


class Texts:
    """An answer that a causal model writes behind each text."""

    def check(self, config: RunConfig, strategy: Strategy) -> None:
        """Refuse strategies that do not write, and settings of classes."""
        if "text" not in strategy.objectives:
            known = {name: each.cls.objectives for name, each in get_host().strategies.items()}
            able = sorted(
                name for name, each in known.items() if isinstance(each, frozenset | set) and "text" in each
            )
            raise UserError(
                f"strategy '{strategy.name}' scores classes and writes no text. Those that do: {', '.join(able)}."
            )
        given = {
            "--readout": config.readout, "--verbalizer": config.verbalizer, "--fold": config.fold,
            "--clean": config.clean or None,
        }  # fmt: skip
        for flag, value in given.items():
            if value is not None:
                raise UserError(f"{flag} is for classes; with --objective text leave it out.")
        if len(config.templates) > 1:
            raise UserError("--objective text takes one template: answers of several cannot be averaged.")

    def readout(self, config: RunConfig, strategy: Strategy) -> Readout:
        """Read at the tokens of the answer."""
        return "answer"

    def check_metric(self, name: str, task: Task) -> None:
        """See `Aim.check_metric`."""
        from promptkit.evaluation import check_text_metric

        check_text_metric(name, get_host().metrics)

    def targets(self, task: Task, examples: Sequence[Example]) -> Any:
        """Nothing: the tokens to learn stand in the rows."""
        return np.zeros(len(examples), np.int64)

    def objective(self, task: Task, targets: Any, who: str) -> Objective:
        """Cross entropy of the answers' tokens."""
        from promptkit.training import NextTokens

        return NextTokens(who)

    def writes(self, config: RunConfig) -> bool:
        """Answers are written where metrics look at them."""
        return bool(config.metrics)

    def judge(self, plan: Plan, trained: Trained) -> Judged:
        """Perplexity, and of test the metrics asked for."""
        from promptkit.evaluation import compute_texts
        from promptkit.runs import Scores, write_answers

        member, task = trained.members[0], plan.task
        truth, written = tuple(example.label for example in task.test), member.written
        further: dict[str, float | None] = {}
        if written is not None:
            further = compute_texts(plan.config.metrics, written, truth, get_host().metrics, plan.warn)

        def scores(found: Any, more: dict[str, float | None]) -> Scores:
            values = {"perplexity": perplexity(found), **more}
            return Scores(accuracy=None, f1=None, n=len(found), majority=None, **values)  # type: ignore[arg-type]

        def write(path: Path) -> None:
            write_answers(path, truth, written, member.scored.test, task.test)

        found = scores(member.scored.dev, {}), scores(member.scored.test, further)
        return Judged(*found, None, written or (), truth, write)


def aim_of(config: RunConfig) -> Aim:
    """Return what a run is after."""
    return Texts() if config.objective == "text" else Classes()


def check_metrics(aim: Aim, config: RunConfig, task: Task) -> None:
    """Refuse a metric that cannot be had, or is unfit, now: after the training it would cost the whole run."""
    for name in config.metrics:
        if name.startswith("hub:") and config.access.forbidden:
            raise UserError(
                f"metric '{name}' is fetched from the Hub, and {config.access.forbidden} keeps promptkit off the "
                "network; save it and give its path."
            )
        aim.check_metric(name, task)


def class_scores(
    config: RunConfig, task: Task, split: Split, predictions: Any, majority: str, warn: Callable[[str], None]
) -> Scores:
    """Compute accuracy, macro F1 and the metrics asked for on one split.

    A metric that fails costs its own value and no more: `warn` is told.

    Args:
        config: which metrics.
        task: the data.
        split: that is judged.
        predictions: classes, (N,).
        majority: label to hold the accuracy against, see `Loader.majority`.
        warn: is told what failed.
    """
    from promptkit.evaluation import compute, share_of
    from promptkit.runs import Scores

    judged = task.split(split)
    truth = [task.label_index(example.label) for example in judged]
    names = ["accuracy", "f1", *config.metrics]
    values = compute(names, predictions.tolist(), truth, task.labels, get_host().metrics, warn)
    return Scores(**values, n=len(truth), majority=share_of(majority, judged))  # type: ignore[arg-type]


def perplexity(scores: Any) -> float:
    """Return the perplexity of answers: exp of the mean over all their tokens of -log p; infinity where that is huge.

    Args:
        scores: (N, 2), for each answer the sum of log p over its tokens and their number.
    """
    total, count = np.asarray(scores, np.float64).sum(0)
    mean = -total / count
    return math.exp(mean) if mean < 700 else math.inf


def _warn_if_no_better(plan: Plan, test: Scores, *, learnt: bool) -> None:
    from promptkit.evaluation import no_better_than_majority

    assert test.accuracy is not None
    assert test.majority is not None
    right, n, majority = round(test.accuracy * test.n), test.n, test.majority
    # Of a fold's few examples nothing can be said; a comparison looks at all folds together.
    if plan.config.fold is not None or not no_better_than_majority(right, n, majority):
        return
    if no_better_than_majority(n, n, majority):
        hint = " So few cannot tell: take more test examples, or test on all by --folds of 'promptkit compare'."
    else:
        hint = " Try another --lr or more --epochs." if learnt else ""
    verdict = "is no better than" if test.accuracy <= majority else "cannot be told from"
    plan.warn(
        f"accuracy {test.accuracy:.3f} on {n} test examples {verdict} always answering the majority class "
        f"({majority:.3f}).{hint}"
    )
