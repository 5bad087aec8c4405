"""Batches: static shapes, every example once, widths that cost least."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptkit.data import Batcher, plan_widths

PAD = 99


@dataclass(frozen=True)
class Row:
    """The three attributes of an encoded example that a batcher reads."""

    input_ids: tuple[int, ...]
    virtual_ids: tuple[int, ...]
    mask_positions: tuple[int, ...]


def rows(lengths):
    """Example i of length n holds the tokens i, i + 1, ...; its first is virtual, its last masked."""
    return [Row(tuple(range(i, i + n)), (0,) + (-1,) * (n - 1), (n - 1,)) for i, n in enumerate(lengths)]


def batcher(lengths, widths, *, labels=None, batch_size=2, readout="mask"):
    return Batcher(rows(lengths), labels, batch_size=batch_size, widths=widths, pad_id=PAD, readout_positions=readout)


def cost(widths, lengths, batch_size, unit, compile_cost):
    """What a plan costs, counted batch by batch."""
    total, below = compile_cost * len(widths), 0
    for width in widths:
        count = sum(below < n <= width for n in lengths)
        total += unit * width * batch_size * -(-count // batch_size)
        below = width
    return total


def cheapest(lengths, batch_size, unit, compile_cost, multiple, max_widths):
    """The least cost over all plans there are."""
    longest = -(-max(lengths) // multiple) * multiple
    shorter = range(multiple, longest, multiple)
    plans = ((*chosen, longest) for count in range(max_widths) for chosen in combinations(shorter, count))
    return min(cost(plan, lengths, batch_size, unit, compile_cost) for plan in plans)


@given(
    lengths=st.lists(st.integers(1, 30), min_size=1, max_size=25),
    batch_size=st.integers(1, 6),
    passes=st.integers(1, 3),
    token_cost=st.integers(0, 3),
    compile_cost=st.integers(0, 200),
    multiple=st.sampled_from([3, 4, 8]),
    max_widths=st.integers(1, 4),
)
def test_planned_widths_cost_no_more_than_any_other_plan(
    lengths, batch_size, passes, token_cost, compile_cost, multiple, max_widths
):
    widths = plan_widths(
        lengths,
        batch_size,
        passes=passes,
        token_cost=token_cost,
        compile_cost=compile_cost,
        multiple=multiple,
        max_widths=max_widths,
    )
    assert list(widths) == sorted(set(widths))
    assert all(width % multiple == 0 for width in widths)
    assert max(lengths) <= widths[-1] < max(lengths) + multiple
    assert len(widths) <= max_widths
    unit = passes * token_cost
    assert cost(widths, lengths, batch_size, unit, compile_cost) == cheapest(
        lengths, batch_size, unit, compile_cost, multiple, max_widths
    )


def test_one_pass_over_few_examples_compiles_once_and_many_passes_pay_for_more():
    lengths = [5] * 32 + [60] * 32
    plan = {"token_cost": 1e-4, "compile_cost": 1.0}
    assert plan_widths(lengths, 32, passes=1, **plan) == (64,)
    assert plan_widths(lengths, 32, passes=100, **plan) == (8, 64)


def test_free_compilation_gives_every_rounded_length_its_width_up_to_the_limit():
    lengths = [1, 8, 9, 17, 30, 30, 64]
    free = {"passes": 1, "token_cost": 1.0, "compile_cost": 0.0}
    assert plan_widths(lengths, 1, **free) == (8, 16, 24, 32, 64)
    assert plan_widths(lengths, 1, max_widths=2, **free) == (32, 64)


@pytest.mark.parametrize(
    ("lengths", "options"),
    [
        ([], {}),
        ([0], {}),
        ([4], {"multiple": 0}),
        ([4], {"max_widths": 0}),
        ([4], {"passes": -1}),
    ],
)
def test_a_plan_over_nothing_is_refused(lengths, options):
    with pytest.raises(ValueError, match=r"plan_widths needs|negative"):
        plan_widths(lengths, 2, **{"passes": 1, "token_cost": 1, "compile_cost": 1, **options})


def test_a_batch_holds_padded_rows_and_fillers_of_weight_nought():
    only = batcher([3, 2, 4], [4], labels=[1, 0, 1], batch_size=4)
    (batch,) = only.epoch(None)
    assert batch.input_ids.tolist() == [[1, 2, PAD, PAD], [0, 1, 2, PAD], [2, 3, 4, 5], [1, 2, PAD, PAD]]
    assert batch.attention_mask.tolist() == [[1, 1, 0, 0], [1, 1, 1, 0], [1, 1, 1, 1], [1, 1, 0, 0]]
    assert batch.virtual_ids.tolist() == [[0, -1, -1, -1]] * 4
    assert batch.positions.tolist() == [[1], [2], [3], [1]]
    assert batch.labels.tolist() == [0, 1, 1, 0]
    assert batch.weights.tolist() == [1, 1, 1, 0]
    assert batch.index.tolist() == [1, 0, 2, -1]
    assert only.num_batches == 1
    assert only.padded_share == pytest.approx(7 / 16)


def test_the_four_arrays_are_the_first_four_fields_in_the_promised_types():
    (batch,) = batcher([3], [8]).epoch(None)
    assert batch.arrays[0] is batch.input_ids
    assert batch.arrays[1] is batch.attention_mask
    assert batch.arrays[2] is batch.virtual_ids
    assert batch.arrays[3] is batch.positions
    everything = (*batch.arrays, batch.labels, batch.weights, batch.index)
    types = ["int32", "float32", "int32", "int32", "int32", "float32", "int64"]
    assert [array.dtype.name for array in everything] == types


def test_without_labels_they_are_unknown_and_the_first_token_is_read_where_asked():
    (batch,) = batcher([3, 2], [4], readout="first").epoch(None)
    assert batch.labels.tolist() == [-1, -1]
    assert batch.positions.tolist() == [[0], [0]]


@given(
    lengths=st.lists(st.integers(1, 24), min_size=1, max_size=40),
    batch_size=st.integers(1, 7),
    widths=st.sets(st.sampled_from([4, 8, 12, 16]), max_size=3),
    seed=st.none() | st.integers(0, 5),
)
def test_an_epoch_holds_every_example_once_in_few_shapes(lengths, batch_size, widths, seed):
    widths = [*sorted(widths), 24]
    labels = [i % 3 for i in range(len(lengths))]
    made = batcher(lengths, widths, labels=labels, batch_size=batch_size)
    batches = list(made.epoch(None if seed is None else np.random.default_rng(seed)))
    assert len(batches) == made.num_batches
    assert {batch.input_ids.shape for batch in batches} <= {(batch_size, width) for width in widths}
    seen = []
    for batch in batches:
        assert (batch.weights == (batch.index >= 0)).all()
        assert batch.weights[0] == 1
        for r, i in enumerate(batch.index):
            example = i if i >= 0 else batch.index[0]
            n = lengths[example]
            assert batch.input_ids[r].tolist() == [*range(example, example + n)] + [PAD] * (
                batch.input_ids.shape[1] - n
            )
            assert batch.attention_mask[r].sum() == n
            assert batch.labels[r] == labels[example]
        seen += [i for i in batch.index.tolist() if i >= 0]
    assert sorted(seen) == list(range(len(lengths)))
    real = sum((batch.attention_mask * batch.weights[:, None]).sum() for batch in batches)
    assert made.padded_share == pytest.approx(1 - real / sum(batch.input_ids.size for batch in batches))


def order(made, rng):
    return [batch.index.tolist() for batch in made.epoch(rng)]


def test_order_without_rng_goes_by_length_and_with_rng_by_its_seed():
    made = batcher([9, 2, 5, 2, 16, 7, 1, 12], [8, 16])
    assert order(made, None) == [[6, 1], [3, 2], [5, -1], [0, 7], [4, -1]]
    assert order(made, np.random.default_rng(1)) == order(made, np.random.default_rng(1))
    assert order(made, np.random.default_rng(1)) != order(made, np.random.default_rng(2))


def test_shuffling_mixes_the_widths_and_who_shares_a_batch():
    made = batcher([3] * 40 + [12] * 40, [8, 16])
    shuffled = list(made.epoch(np.random.default_rng(0)))
    widths = [batch.input_ids.shape[1] for batch in shuffled]
    assert widths != sorted(widths)
    assert {tuple(sorted(batch.index)) for batch in shuffled} != {(i, i + 1) for i in range(0, 80, 2)}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"encoded": []}, "needs examples"),
        ({"batch_size": 0}, "needs examples"),
        ({"labels": [1]}, "1 labels for 2 examples"),
        ({"widths": [8, 4]}, "must ascend"),
        ({"widths": [2]}, "hold the length 3"),
        ({"readout_positions": "last"}, "'mask' or 'first'"),
        ({"encoded": [Row((1,), (-1,), ()), Row((1,), (-1,), ())]}, r"found \[0\]"),
        ({"encoded": [Row((1, 2), (-1, -1), (0, 1)), Row((1,), (-1,), (0,))]}, r"found \[1, 2\]"),
    ],
)
def test_what_cannot_be_batched_is_refused(change, message):
    options = {"batch_size": 2, "widths": [4], "pad_id": PAD, "readout_positions": "mask"}
    given_ = {"encoded": rows([3, 2]), "labels": None, **options, **change}
    with pytest.raises(ValueError, match=message):
        Batcher(given_.pop("encoded"), given_.pop("labels"), **given_)


def test_it_takes_what_the_encoder_makes():
    prompting = pytest.importorskip("promptkit.prompting")
    encoded = prompting.Encoded(
        input_ids=(1, 5, 2),
        virtual_ids=(-1, -1, -1),
        mask_positions=(1,),
        dropped=0,
        unknown=0,
        field_tokens=1,
    )
    made = Batcher([encoded], [0], batch_size=1, widths=[8], pad_id=0, readout_positions="mask")
    (batch,) = made.epoch(None)
    assert batch.input_ids.tolist() == [[1, 5, 2, 0, 0, 0, 0, 0]]
    assert batch.positions.tolist() == [[1]]
