"""Sources of several encodings: an epoch draws one, and scores of several are averaged."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("mindspore")

from packs import random_texts

from promptkit.data import Packer, Rows
from promptkit.training import PackedSource
from promptkit.training.search import _Search

ROWS = Rows(2, 24, 4)


def packers(count: int, examples: int = 6) -> list[Packer]:
    rng = np.random.default_rng(0)
    return [
        Packer(
            random_texts(rng, rng.integers(4, 9, examples).tolist(), vocabulary=50), list(range(examples)),
            batch_size=4, rows=ROWS, pad_id=0,
        )
        for _ in range(count)
    ]  # fmt: skip


def tokens(source: PackedSource, rng: np.random.Generator | None) -> set[int]:
    return {int(token) for batch in source.epoch(rng) for token in np.unique(batch.inputs["token_ids"])}


def test_an_epoch_draws_one_of_several_packers_and_a_state_draws_it_again() -> None:
    several = packers(3)
    source = PackedSource(*several)
    assert (source.size, source.views) == (6, 1)
    alone = [tokens(PackedSource(each), None) for each in several]
    assert tokens(source, None) == alone[0]
    rng = np.random.default_rng(1)
    seen = []
    for _ in range(20):
        state = rng.bit_generator.state
        seen.append(alone.index(tokens(source, rng)))
        rng.bit_generator.state = state
        assert alone.index(tokens(source, rng)) == seen[-1]
    assert set(seen) == {0, 1, 2}


def test_one_packer_draws_nothing_but_the_order() -> None:
    (packer,) = packers(1)
    mine, theirs = np.random.default_rng(2), np.random.default_rng(2)
    list(PackedSource(packer).epoch(mine))
    list(packer.epoch(theirs))
    assert mine.bit_generator.state == theirs.bit_generator.state


def test_views_are_counted_as_one_example_each() -> None:
    (packer,) = packers(1)
    source = PackedSource(packer, views=3)
    assert (source.size, source.views) == (2, 3)
    assert sorted(int(n) for step in source.epoch(None) for n in step.index if n >= 0) == list(range(6))


def test_a_batch_of_a_search_counts_as_often_as_it_is_read() -> None:
    source = PackedSource(*packers(1))
    executor: Any = SimpleNamespace(
        judge=lambda scores, labels: (0.0, 0.0),
        model=SimpleNamespace(own_parameters=dict),
        scores_of_batch=lambda batch: np.zeros((len(batch.weights), 2)),
        loss_and_gradients=lambda batch: (SimpleNamespace(asnumpy=lambda: 0.0), ()),
    )
    work = _Search(executor, source, source, np.zeros(6, int), np.random.default_rng(0), "", True, None)
    batch = work.batch()
    assert (source.tokens, source.positions) == (0, 0)
    for times in (1, 2, 3):
        _ = work.loss(batch) if times < 3 else work.gradients(batch)
        assert source.tokens == times * (batch.inputs["segment_ids"] > 0).sum() > 0
        assert source.positions == times * batch.inputs["token_ids"].size
