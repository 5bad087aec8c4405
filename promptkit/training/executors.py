"""Executors that are kept, with their compiled graphs, for the next model that differs in its values only."""

from __future__ import annotations

from promptkit.training.execution import Executor
from promptkit.training.likeness import likeness


class Executors:
    """Those of one run, or of several whose models are of one build: seeds, say.

    What comes out is what a new executor would give, to the bit; only compiling is saved.
    """

    def __init__(self) -> None:
        self._kept: list[Executor] = []

    def kept_for(self, fresh: Executor) -> Executor:
        """Return the executor to use for a fresh one: an earlier one whose graphs serve, or the fresh one.

        Its own `model` is the one to go on with; it has the values of the fresh executor's.
        """
        for earlier in self._kept if fresh.model.keeps_graph else ():
            # One that fell back to PyNative mode has nothing to offer, and its warning belongs into every record.
            if (
                fresh.mode == "pynative"
                or earlier.mode != fresh.mode
                or likeness(earlier.objective, fresh.objective) is None
            ):
                continue
            if earlier.model is not fresh.model:
                found = likeness(earlier.model, fresh.model)
                if found is None:
                    continue
                found.take_over()
            earlier.begin_as(fresh)
            return earlier
        # What can never serve another is not kept: it holds its model, of which there may be one a seed.
        self._kept = [each for each in self._kept if each.mode != "pynative"]
        if fresh.mode != "pynative" and fresh.model.keeps_graph:
            self._kept.append(fresh)
        return fresh

    def release(self) -> None:
        """Let go of the models and of all that was compiled for them."""
        for executor in self._kept:
            executor.release()
        self._kept.clear()
