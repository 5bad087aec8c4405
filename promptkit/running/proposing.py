"""A run whose strategy looks for templates and label words itself, once there is a model to ask."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from mindspore import Tensor

from promptkit.errors import UserError, kind_of
from promptkit.nn import Backbone
from promptkit.prompting import Template, Verbalizer
from promptkit.prompting.resolved import PromptTask
from promptkit.running.asking import known_words
from promptkit.running.guard import check_draws
from promptkit.running.plan import Plan, make_plan, resolve
from promptkit.running.session import Session
from promptkit.running.states import States
from promptkit.running.streams import ASKED, generator
from promptkit.strategies.proposing import Proposal

if TYPE_CHECKING:
    from promptkit.data.packing import Packable

_CHUNK = 32  # prompts whose whole vocabulary is scored at a time


class _Draft:
    """Fulfils `promptkit.strategies.proposing.Draft`."""

    def __init__(self, plan: Plan, session: Session, backbone: Backbone) -> None:
        if plan.verbalizer is None:
            raise UserError(f"{plan.plugin} looks for prompts with label words; use --readout cloze.")
        self.templates, self.verbalizer, task = plan.templates, plan.verbalizer, plan.task
        self.labels, self.language, self.train, self.dev = task.labels, task.language, task.train, task.dev
        self.words_known = known_words(plan.config, task) is not None
        self.tokenizer = backbone.tokenizer
        self.rng = generator(plan.config.seed, ASKED)
        self._plan, self._backbone = plan, backbone
        self._states = States(backbone, plan.prompts[0], plan.config.mode, plan.warn, session.executors)

    def prompt(self, template: Template, verbalizer: Verbalizer) -> PromptTask:
        """See `Draft`."""
        plan = self._plan
        return resolve(plan.config, plan.task, plan.model, template, verbalizer, "cloze")

    def states(self, encoded: Sequence[Packable]) -> Any:
        """See `Draft`."""
        return self._states.of(encoded)

    def log_probabilities(self, states: Any, rows: Sequence[int] | None = None) -> Any:
        """See `Draft`."""
        wanted = None if rows is None else Tensor(np.asarray(rows, np.int32))
        chunks = [states[at : at + _CHUNK] for at in range(0, len(states), _CHUNK)]
        return np.concatenate([self._backbone.logits(Tensor(it), wanted, True).asnumpy() for it in chunks])


def propose(plan: Plan, session: Session, backbone: Backbone) -> Plan:
    """Return the plan with the templates and label words that its strategy proposes.

    The key of a run is that of the plan before: what is found follows from what that is made of.

    Raises:
        UserError: if what the strategy proposes is no proposal, or its templates and label words cannot be used.
    """
    draft = _Draft(plan, session, backbone)
    before = draft.rng.bit_generator.state
    proposal = plan.strategy.propose(draft)
    check_draws(plan, draft.rng, before, "propose")
    if not isinstance(proposal, Proposal) or not proposal.templates:
        raise UserError(
            f"{plan.plugin}: propose returned {kind_of(proposal)}, not a promptkit.Proposal with templates."
        )
    final = make_plan(plan.config, session.inputs, proposal, session.ranks.size)
    final.found, final.dev_scores = list(proposal.found), proposal.dev_scores
    final.warnings, final.left_out = plan.warnings, plan.left_out
    return final
