"""Which training examples stand beside which text, with their answers; NumPy only.

D examples in the pool that demonstrations are taken from, N texts, H hidden.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from promptkit.data import Example
from promptkit.errors import UserError
from promptkit.prompting.showing import Query, Showing

_DIGITS = 4  # of a cosine; what lies behind them differs between packed rows, and must not decide an order


class Chooser(Protocol):
    """What is asked of a strategy that shows demonstrations; see `promptkit.Strategy`."""

    @property
    def showing(self) -> Showing: ...
    def choose(self, query: Query) -> Sequence[int]: ...
    def arrange(self, pool: Sequence[Example], chosen: Sequence[int]) -> Sequence[int]: ...


class Context:
    """The demonstrations of one template of a run.

    Args:
        pool: the examples to choose from.
        chooser: the strategy.
        labels: the classes.
        fields: of the template.
        seed: what `Query.rng` starts from, beside the text.
        who: how errors name the strategy.

    Attributes:
        pool, showing: as given.
        measure: from texts to states, (N, H); set once there is a model, for strategies that go by likeness.
        drew: whether any choice took random numbers.
    """

    def __init__(
        self,
        pool: Sequence[Example],
        chooser: Chooser,
        labels: Sequence[str],
        fields: Sequence[str],
        seed: Sequence[int],
        who: str,
    ) -> None:
        self.pool, self.showing = tuple(pool), chooser.showing
        self.measure: Callable[[Sequence[Mapping[str, Any]]], NDArray[np.float32]] | None = None
        self.drew = False
        self._chooser, self._labels, self._fields = chooser, tuple(labels), tuple(dict.fromkeys(fields))
        self._seed, self._who = tuple(seed), who
        self._places: dict[str, set[int]] = {}
        for number, example in enumerate(self.pool):
            self._places.setdefault(self._key(example.fields()), set()).add(number)
        self._states: NDArray[np.float64] | None = None

    def chosen(self, texts: Sequence[Mapping[str, Any]], sets: int) -> list[list[tuple[int, ...]]]:
        """Return for each set, for each text, numbers of the pool, the most wanted first.

        Raises:
            UserError: if the strategy chooses what is not in the pool.
        """
        if not texts:
            return [[] for _ in range(sets)]
        keys = [self._key(text) for text in texts]
        likeness = self._likeness(texts) if self.showing.by_likeness else [None] * len(texts)
        return [
            [self._one(key, alike, number) for key, alike in zip(keys, likeness, strict=True)]
            for number in range(sets)
        ]

    def steady(self) -> tuple[int, ...] | None:
        """Return the demonstrations that stand beside every text that is none of them, or None if they vary."""
        if self.showing.by_likeness or self.showing.sets > 1 or self.showing.training_sets > 1:
            return None
        # Two texts that no pool holds; a chooser that draws for each text draws for them as well.
        first, second = self.chosen([dict.fromkeys(self._fields, text) for text in ("\0", "\0\0")], 1)[0]
        return first if first == second else None

    def arrange(self, chosen: Sequence[int]) -> Sequence[int]:
        """Return the demonstrations that fit in the order in which they stand."""
        return self._chooser.arrange(self.pool, chosen)

    def _one(self, key: str, likeness: Any, number: int) -> tuple[int, ...]:
        seed = (*self._seed, number, zlib.crc32(key.encode()))
        query = Query(self.pool, self._labels, frozenset(self._places.get(key, ())), likeness, number, seed)
        chosen = tuple(int(each) for each in self._chooser.choose(query))
        self.drew = self.drew or "rng" in vars(query)
        if len(set(chosen)) < len(chosen) or any(not 0 <= each < len(self.pool) for each in chosen):
            raise UserError(
                f"{self._who}: choose returned {list(chosen)}, not different numbers below {len(self.pool)}."
            )
        return chosen

    def _key(self, text: Mapping[str, Any]) -> str:
        """Return what tells texts apart: the template's fields, white space aside."""
        values = (text.get(name) for name in self._fields)
        return json.dumps([" ".join(v.split()) if isinstance(v, str) else v and list(v) for v in values])

    def _likeness(self, texts: Sequence[Mapping[str, Any]]) -> NDArray[np.float64]:
        """Return (N, D) cosines of states with the pool's mean taken off.

        Without that all texts are alike, for the states of a language model share a large mean (Mu & Viswanath 2018).
        """
        if self.measure is None:
            raise ValueError("likeness is measured by a model, and none is there yet")
        if self._states is None:
            self._states = np.asarray(self.measure([each.fields() for each in self.pool]), np.float64)
        mean = self._states.mean(0)
        states = np.asarray(self.measure(texts), np.float64)
        return np.round(_unit(states - mean) @ _unit(self._states - mean).T, _DIGITS)


def _unit(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    norms = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.divide(vectors, norms, out=np.zeros_like(vectors), where=norms > 0)
