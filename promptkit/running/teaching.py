"""What a run of several rounds needs at its start: texts without labels, and the student that learns from them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from promptkit.data import Example
from promptkit.errors import UserError, kind_of
from promptkit.prompting import Readout, Template
from promptkit.prompting.resolved import PromptTask
from promptkit.strategies.contract import Defaults, Strategy
from promptkit.strategies.rounds import Student


@dataclass(frozen=True)
class PlannedStudent:
    """The one model that learns in the last round, see `promptkit.Student`; its prompt resolved."""

    strategy: Strategy
    prompt: PromptTask
    training: Defaults


def plan_unlabelled(strategy: Strategy, data: str, find: Callable[[int], tuple[Example, ...]]) -> tuple[Example, ...]:
    """Return the texts without labels that a strategy of several rounds learns from; none for one of a single round.

    Args:
        strategy: of the run.
        data: what errors call the data.
        find: finds so many at most.

    Raises:
        UserError: if there are none.
    """
    if strategy.rounds == 1:
        return ()
    found = find(strategy.unlabelled)
    if not found:
        raise UserError(
            f"strategy '{strategy.name}' learns from texts without labels here, and data '{data}' has none: draw "
            "with --shots, which leaves the rest of train, or put a table 'unlabelled' beside train and test."
        )
    return found


def plan_student(
    strategy: Strategy,
    templates: Sequence[Template],
    plugin: str,
    resolve: Callable[[Template, Readout], PromptTask],
) -> PlannedStudent | None:
    """Return the student of a strategy, or None if it has none.

    Args:
        strategy: of the run.
        templates: of the run.
        plugin: how errors name the strategy and where it comes from.
        resolve: resolves the student's template for the model.

    Raises:
        UserError: if it is no student, or cannot run with its template and readout.
    """
    found = strategy.student(templates) if strategy.rounds > 1 else None
    if found is None:
        return None
    if not isinstance(found, Student):
        raise UserError(f"{plugin}: student returned {kind_of(found)}, not a promptkit.Student.")
    found.strategy.check(found.readout, (found.template,))
    return PlannedStudent(found.strategy, resolve(found.template, found.readout), found.training)
