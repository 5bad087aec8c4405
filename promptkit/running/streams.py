"""The random numbers of a run: each purpose has a stream of its own, so that what draws more moves nothing else.

The numbers are part of what a seed means: with another one every record would come out another.
"""

from __future__ import annotations

import numpy as np

START = 1
"""What the model of a template starts from; a loaded prompt is built from the same."""
SHUFFLE = 2
"""The batches of a model, and what its steps draw."""
POOL = 3
"""The examples that a template's demonstrations are taken from."""
SHOWN = 4
"""Which of them a text is shown; a number in front of the seed, see `make_context`."""
ASKED = 5
"""What a strategy draws where it proposes prompts, or teaches the models of a round."""


def generator(seed: int, purpose: int, *numbers: int) -> np.random.Generator:
    """Return a stream from its beginning.

    Args:
        seed: of the run.
        purpose: one of those above.
        numbers: of the template, of the round. NumPy fills up with zeros: of round 0 is as good as of none.
    """
    return np.random.default_rng([seed, purpose, *numbers])
