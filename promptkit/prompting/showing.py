"""What a strategy says of the demonstrations it shows, and what it is asked. D examples in their pool."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from promptkit.data import Example


@dataclass(frozen=True)
class Showing:
    """How a strategy shows demonstrations.

    Attributes:
        by_likeness: whether `Strategy.choose` is told how alike text and demonstrations are.
        sets: how many sets of demonstrations a text is scored with, one after the other; scores are averaged.
        training_sets: how many sets a text is learnt from; an epoch draws one of them. 0 where nothing is learnt.
    """

    by_likeness: bool = False
    sets: int = 1
    training_sets: int = 1


def in_turn(examples: Sequence[Example]) -> list[Example]:
    """Return examples so that the classes take turns, in the order of each class's first."""
    groups: dict[str, list[Example]] = {}
    for example in examples:
        groups.setdefault(example.label, []).append(example)
    longest = max(map(len, groups.values()), default=0)
    return [group[turn] for turn in range(longest) for group in groups.values() if turn < len(group)]


@dataclass(frozen=True)
class Query:
    """A text that demonstrations are to be chosen for.

    Attributes:
        pool: the D examples to choose from, as `Strategy.context` returned them.
        labels: the classes.
        itself: numbers of those that are the text itself; to show them would give its answer away.
        likeness: (D,) cosines between text and examples, from -1 to 1; None unless `Showing.by_likeness`.
        number: of the set, from 0.
        seed: of `rng`.
    """

    pool: tuple[Example, ...]
    labels: tuple[str, ...]
    itself: frozenset[int]
    likeness: NDArray[np.float64] | None
    number: int
    seed: tuple[int, ...]

    @property
    def others(self) -> list[int]:
        """The numbers of the examples that are not the text itself."""
        return [number for number in range(len(self.pool)) if number not in self.itself]

    @property
    def nearest(self) -> list[int]:
        """The same, the most alike first; of equals the first in the pool.

        Raises:
            ValueError: without `likeness`.
        """
        if self.likeness is None:
            raise ValueError("likeness is measured for strategies whose `showing` has by_likeness=True")
        alike = self.likeness
        return sorted(self.others, key=lambda number: -alike[number])

    @cached_property
    def rng(self) -> np.random.Generator:
        """Random numbers of this text and set: the same whatever other texts there are, in a run and afterwards."""
        import numpy as np  # here, for a command's help wants strategies and no numbers

        return np.random.default_rng(self.seed)
