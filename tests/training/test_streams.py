"""Each purpose of a run draws from a stream of its own, and from the same one in every version."""

from __future__ import annotations

import numpy as np
import pytest

from promptkit.running.streams import ASKED, POOL, SHOWN, SHUFFLE, START, generator


@pytest.mark.parametrize(
    ("purpose", "numbers", "entropy"),
    [
        (START, (2,), [7, 1, 2]),
        (SHUFFLE, (2, 0), [7, 2, 2]),
        (SHUFFLE, (2, 1), [7, 2, 2, 1]),
        (POOL, (2,), [7, 3, 2]),
        (ASKED, (), [7, 5]),
        (ASKED, (1,), [7, 5, 1]),
    ],
)
def test_a_stream_is_what_earlier_versions_drew_from(
    purpose: int, numbers: tuple[int, ...], entropy: list[int]
) -> None:
    found, wanted = generator(7, purpose, *numbers).bit_generator, np.random.default_rng(entropy).bit_generator
    assert found.state == wanted.state
    words = [it.seed_seq.generate_state(4).tolist() for it in (found, wanted)]  # type: ignore[attr-defined]
    assert words[0] == words[1], "what the steps of a training draw comes from these"


def test_no_two_purposes_share_a_stream() -> None:
    assert len({START, SHUFFLE, POOL, SHOWN, ASKED}) == 5
