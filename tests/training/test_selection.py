"""Which epoch dev picks: near ties of accuracy are decided by the loss."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("mindspore")

from mindspore import Parameter, Tensor, ops

from promptkit.backbones.device import set_device
from promptkit.training.selection import Selection

set_device("CPU")


def offered(scores: list[tuple[float, float]], examples: int = 32) -> tuple[Selection, Parameter]:
    """A selection that was offered one weight with the value of each epoch's number."""
    weight = Parameter(Tensor(np.zeros(1, np.float32)), name="weight")
    selection = Selection([weight], examples)
    for epoch, (accuracy, loss) in enumerate(scores, 1):
        ops.assign(weight, Tensor(np.array([epoch], np.float32)))
        selection.offer(epoch, accuracy, loss)
    return selection, weight


def picked(scores: list[tuple[float, float]], examples: int = 32) -> int:
    selection, weight = offered(scores, examples)
    selection.restore()
    assert selection.best is not None
    assert float(weight.asnumpy()[0]) == selection.best.epoch
    return selection.best.epoch


def test_of_equal_accuracies_the_lowest_loss_wins_and_not_the_first() -> None:
    assert picked([(0.75, 0.60), (0.75, 0.55), (0.75, 0.50), (0.75, 0.52)]) == 3


def test_an_accuracy_within_one_standard_error_of_the_highest_counts_as_equal() -> None:
    # sqrt(0.75 * 0.25 / 32) is 0.077.
    assert picked([(0.75, 0.60), (0.69, 0.40)]) == 2
    assert picked([(0.75, 0.60), (0.65, 0.40)]) == 1


def test_with_many_examples_accuracies_that_differ_are_told_apart() -> None:
    assert picked([(0.75, 0.60), (0.69, 0.40)], examples=3200) == 1


def test_an_epoch_that_was_out_of_reach_stays_so_and_one_in_reach_may_fall_out_of_it() -> None:
    assert picked([(0.70, 0.40), (0.76, 0.50), (0.88, 0.60)]) == 3


def test_of_entirely_equal_epochs_the_first_is_kept() -> None:
    assert picked([(0.75, 0.5), (0.75, 0.5)]) == 1


def test_patience_counts_scorings_since_accuracy_or_loss_was_better_than_ever() -> None:
    assert offered([(0.5, 0.7), (0.5, 0.6), (0.6, 0.65)])[0].stale == 0
    assert offered([(0.5, 0.7), (0.5, 0.7), (0.5, 0.8)])[0].stale == 2
    assert offered([(0.6, 0.7), (0.4, 0.5), (0.5, 0.6)])[0].stale == 1


def test_a_state_goes_on_where_it_was_taken() -> None:
    scores = [(0.70, 0.60), (0.72, 0.62), (0.69, 0.55)]
    selection, weight = offered(scores)
    again = Selection([weight], 32)
    again.load(*selection.state())
    for each in (selection, again):
        each.offer(4, 0.74, 0.58)
    assert [(it.epoch, it.values) for it in selection.candidates] == [
        (it.epoch, it.values) for it in again.candidates
    ]
    assert selection.stale == again.stale


@pytest.mark.parametrize("count", [1, 3, 7])
def test_no_candidate_is_worse_than_another_in_both(count: int) -> None:
    rng = np.random.default_rng(count)
    scores: list[tuple[Any, Any]] = [(a, b) for a, b in rng.uniform(0.5, 0.9, (30, 2))]
    kept = offered(scores, examples=20)[0].candidates
    for one in kept:
        assert not any(o.accuracy >= one.accuracy and o.loss <= one.loss for o in kept if o is not one)
