"""What demonstrations of a run are taken from; no MindSpore here."""

from __future__ import annotations

from collections.abc import Sequence

from promptkit.data import Example, Task
from promptkit.errors import UserError
from promptkit.prompting import Template
from promptkit.prompting.demonstrations import Context
from promptkit.running.streams import POOL, SHOWN, generator
from promptkit.strategies.contract import Strategy


def draw_pool(strategy: Strategy, task: Task, seed: int, number: int) -> tuple[Example, ...]:
    """Return the examples that a template's demonstrations are taken from, drawn from the training examples.

    Args:
        strategy: draws them.
        task: the data.
        seed: of the run.
        number: of the template.

    Raises:
        UserError: if the strategy does not declare what its numbers depend on with that.
    """
    rng = generator(seed, POOL, number)
    before = rng.bit_generator.state
    pool = tuple(strategy.context(task.train, rng))
    needs = {"examples"} if pool or strategy.proposes else set()
    needs |= set() if rng.bit_generator.state == before else {"seed"}
    if missing := sorted(needs - set(strategy.depends_on)):
        doing = "shows" if pool else "looks at"
        drawn = ", drawn at random" if "seed" in needs else ""
        raise UserError(
            f"strategy '{strategy.name}' {doing} training examples{drawn}; its depends_on must name "
            f"{' and '.join(missing)}."
        )
    return pool


def draw_context(
    strategy: Strategy, task: Task, template: Template, seed: tuple[int, int], who: str
) -> Context | None:
    """Return a template's demonstrations from the training examples; see `draw_pool` and `make_context`."""
    return make_context(strategy, draw_pool(strategy, task, *seed), task.labels, template, seed, who)


def make_context(
    strategy: Strategy,
    pool: Sequence[Example],
    labels: Sequence[str],
    template: Template,
    seed: tuple[int, int],
    who: str,
) -> Context | None:
    """Return a template's demonstrations, None without examples; `seed` is the run's, and the template's number."""
    return Context(pool, strategy, labels, template.fields, (SHOWN, *seed), who) if pool else None
