"""Packed rows: nothing is lost, nothing is torn, and little is padding."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptkit.backbones.face import BackboneInfo
from promptkit.data import Batch, Packer, Rows, plan_rows, plan_scoring_rows, rows_for_any

PAD = 7
MINI = BackboneInfo("masked", "bert", 12, 384, 12, 12, 32, 30_522, 512, 33_000_000, 42_000_000)


@dataclass(frozen=True)
class Text:
    """An encoded example whose ids are its own, so that a torn or mixed one shows."""

    token_ids: tuple[int, ...]
    virtual_ids: tuple[int, ...]
    read: tuple[int, ...]
    front: int = 0


def texts_of(lengths: Sequence[int], slots: int = 1) -> list[Text]:
    """Return an example of each length: consecutive ids, virtual tokens here and there, reads from the end."""
    starts = 100 + np.concatenate([[0], np.cumsum(lengths)])
    return [
        Text(
            tuple(range(int(start), int(start) + length)),
            tuple(place if place % 3 == 1 else -1 for place in range(length)),
            tuple((length - 1 - slot) % length for slot in range(slots)),
        )
        for start, length in zip(starts[:-1], lengths, strict=True)
    ]


def packer(lengths: Sequence[int], rows: Rows, *, batch_size: int = 8, slots: int = 1) -> Packer:
    labels = [number % 3 for number in range(len(lengths))]
    return Packer(texts_of(lengths, slots), labels, batch_size=batch_size, rows=rows, pad_id=PAD)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def check_batch(batch: Batch, texts: Sequence[Text], rows: Rows) -> list[int]:
    """Assert that a batch holds whole examples and padding and nothing else; return the examples' numbers."""
    given = {name: np.asarray(array) for name, array in batch.inputs.items()}
    slots = len(texts[0].read)
    shapes = {name: array.shape for name, array in given.items()}
    assert shapes.pop("read") == (rows.count, rows.examples, slots)
    assert set(shapes.values()) == {(rows.count, rows.length)}
    assert all(array.dtype == np.int32 for array in given.values())
    places = rows.count * rows.examples
    assert batch.labels.shape == batch.weights.shape == batch.index.shape == (places,)
    assert (batch.labels.dtype, batch.weights.dtype, batch.index.dtype) == (np.int32, np.float32, np.int64)

    seen = np.zeros((rows.count, rows.length), bool)
    index = batch.index.reshape(rows.count, rows.examples)
    for row, place in np.ndindex(*index.shape):
        number, where = int(index[row, place]), row * rows.examples + place
        own = np.flatnonzero(given["segment_ids"][row] == place + 1)
        if number < 0:
            assert not len(own)
            assert (batch.weights[where], batch.labels[where]) == (0, 0)
            assert (given["read"][row, place] == 0).all()
            continue
        text, size = texts[number], len(texts[number].token_ids)
        assert list(own) == list(range(own[0], own[0] + size))
        assert tuple(given["token_ids"][row, own]) == text.token_ids
        assert tuple(given["virtual_ids"][row, own]) == text.virtual_ids
        assert list(given["position_ids"][row, own]) == list(range(size))
        assert tuple(given["read"][row, place] - own[0]) == text.read
        assert (batch.weights[where], batch.labels[where]) == (1, number % 3)
        assert not seen[row, own].any()
        seen[row, own] = True
    for name, filler in (("token_ids", PAD), ("segment_ids", 0), ("position_ids", 0), ("virtual_ids", -1)):
        assert (given[name][~seen] == filler).all(), name
    return [int(number) for number in batch.index if number >= 0]


@st.composite
def packings(draw: Any) -> tuple[list[int], Rows, int, int]:
    """Lengths, rows that hold the longest, a batch size and the number of reads."""
    lengths = draw(st.lists(st.integers(1, 40), min_size=1, max_size=60))
    length = max(lengths) + draw(st.integers(0, 50))
    rows = Rows(draw(st.integers(1, 5)), length, draw(st.integers(1, 9)))
    return lengths, rows, draw(st.integers(1, 20)), draw(st.integers(1, 3))


@given(packings(), st.one_of(st.none(), st.integers(0, 99)))
def test_every_example_comes_whole_and_once_an_epoch(
    packing: tuple[list[int], Rows, int, int], seed: int | None
) -> None:
    lengths, rows, batch_size, slots = packing
    texts, numbers = texts_of(lengths, slots), list[int]()
    source = packer(lengths, rows, batch_size=batch_size, slots=slots)
    for batch in source.epoch(None if seed is None else rng(seed)):
        here = check_batch(batch, texts, rows)
        assert here, "a batch without an example"
        assert seed is None or len(here) <= batch_size
        numbers += here
    assert sorted(numbers) == list(range(len(lengths)))


@given(packings(), st.integers(0, 99))
def test_the_same_generator_gives_the_same_batches(packing: tuple[list[int], Rows, int, int], seed: int) -> None:
    lengths, rows, batch_size, slots = packing
    once, again = (packer(lengths, rows, batch_size=batch_size, slots=slots).epoch(rng(seed)) for _ in range(2))
    for first, second in zip(once, again, strict=True):
        assert np.array_equal(first.index, second.index)
        assert all(np.array_equal(a, b) for a, b in zip(first.inputs.values(), second.inputs.values(), strict=True))


def test_epochs_of_one_generator_differ_and_those_without_one_do_not() -> None:
    source, shuffle = packer([5, 6, 7, 8] * 20, Rows(2, 16, 2)), rng()
    orders = [np.concatenate([b.index for b in source.epoch(shuffle)]) for _ in range(2)]
    assert not np.array_equal(*orders)
    fixed = [np.concatenate([b.index for b in source.epoch(None)]) for _ in range(2)]
    assert np.array_equal(*fixed)


def test_a_single_short_text_is_a_batch() -> None:
    rows = plan_rows([3], 32)
    (batch,) = packer([3], rows).epoch(None)
    assert rows == Rows(1, 8, 1)
    assert check_batch(batch, texts_of([3]), rows) == [0]


def test_an_example_as_long_as_the_row_fills_it() -> None:
    rows = Rows(1, 16, 4)
    batches = list(packer([16, 4, 12], rows).epoch(rng()))
    assert sorted(sorted(check_batch(b, texts_of([16, 4, 12]), rows)) for b in batches) == [[0], [1, 2]]


def test_what_does_not_fit_opens_the_next_batch() -> None:
    """Rows for 6 examples, a batch size of 8: those left over come first, and nobody waits for ever."""
    lengths = [10] * 40
    held = [[n for n in b.index if n >= 0] for b in packer(lengths, Rows(2, 30, 3)).epoch(rng())]
    order = [int(n) for n in rng().permutation(40)]
    assert [len(h) for h in held] == [6] * 6 + [4]
    for number, here in enumerate(held):
        reach = 8 + 6 * number  # 8 examples are taken at first, and then as many as were packed
        assert set(here) <= set(order[:reach])


def test_no_labels_are_zeros() -> None:
    (batch,) = Packer(texts_of([4, 5]), None, batch_size=2, rows=Rows(1, 16, 3), pad_id=PAD).epoch(None)
    assert list(batch.labels) == [0, 0, 0]
    assert list(batch.weights) == [1, 1, 0]


@pytest.mark.parametrize(
    ("lengths", "labels", "batch_size", "reason"),
    [
        ([], None, 4, "needs examples and a batch size"),
        ([3], None, 0, "needs examples and a batch size"),
        ([3, 4], [0], 4, "1 labels for 2 examples"),
        ([3, 17], None, 4, "rows of 16 do not hold an example of 17 tokens"),
    ],
)
def test_what_cannot_be_packed_is_refused(
    lengths: list[int], labels: list[int] | None, batch_size: int, reason: str
) -> None:
    with pytest.raises(ValueError, match=reason):
        Packer(texts_of(lengths), labels, batch_size=batch_size, rows=Rows(2, 16, 4), pad_id=PAD)


@pytest.mark.parametrize("reads", [[(0,), (0, 1)], [(), ()]])
def test_examples_are_read_at_equally_many_positions(reads: list[tuple[int, ...]]) -> None:
    texts = [Text((1, 2, 3), (-1, -1, -1), read) for read in reads]
    with pytest.raises(ValueError, match="same number of positions, at least 1"):
        Packer(texts, None, batch_size=2, rows=Rows(1, 8, 2), pad_id=PAD)


@pytest.mark.parametrize(("lengths", "batch_size"), [([], 8), ([4, 0], 8), ([4], 0)])
def test_rows_are_planned_for_something(lengths: list[int], batch_size: int) -> None:
    with pytest.raises(ValueError, match="at least one"):
        plan_rows(lengths, batch_size)


def epoch_of(lengths: Sequence[int], rows: Rows, batch_size: int, seed: int | None) -> tuple[float, float, int]:
    """Return how full the rows of an epoch are, its examples a batch (the last left out) and its positions."""
    source = packer(lengths, rows, batch_size=min(batch_size, len(lengths)))
    counts = [int(b.weights.sum()) for b in source.epoch(None if seed is None else rng(seed))]
    positions = len(counts) * rows.count * rows.length
    return sum(lengths) / positions, float(np.mean(counts[:-1] or counts)), positions


def sentences(count: int, seed: int = 0) -> list[int]:
    """Lengths like those of film review sentences in a template: mean about 42 tokens, from 8 to 88."""
    return [int(n) for n in np.clip(rng(seed).gamma(5.0, 6.5, count) + 10, 8, 88)]


def reviews(count: int) -> list[int]:
    """Lengths like those of whole reviews cut at 256: most are cut."""
    return [int(n) for n in np.clip(rng().lognormal(5.4, 0.6, count), 20, 256)]


# Lengths, the batch size, and how full rows are at least in training: less where few texts share a batch or a row.
REALISTIC = {
    "sentences": (sentences(960), 32, 0.9),
    "sentences in small batches": (sentences(960), 8, 0.87),
    "sentences in batches of 64": (sentences(960), 64, 0.9),
    "short texts": ([int(n) for n in rng().integers(6, 20, 700)], 32, 0.9),
    "headlines of about the same length": ([int(n) for n in rng().normal(30, 3, 700).clip(20, 40)], 32, 0.9),
    "reviews": (reviews(600), 32, 0.87),
}


@pytest.mark.parametrize("name", REALISTIC)
def test_realistic_texts_fill_their_rows_and_their_batches(name: str) -> None:
    lengths, batch_size, full = REALISTIC[name]
    rows = plan_rows(lengths, batch_size, MINI)
    fill, examples, _ = epoch_of(lengths, rows, batch_size, seed=0)
    assert fill >= full
    assert 0.9 * batch_size <= examples <= batch_size
    assert epoch_of(lengths, rows, batch_size, seed=None)[0] >= 0.9


@given(st.lists(st.integers(1, 300), min_size=1, max_size=80), st.integers(1, 40))
def test_planned_rows_hold_every_example_and_are_planned_alike(lengths: list[int], batch_size: int) -> None:
    rows = plan_rows(lengths, batch_size, MINI)
    assert rows == plan_rows(list(lengths), batch_size, MINI)
    assert rows.length >= max(lengths)
    assert rows.length % 8 == 0
    assert 1 <= rows.examples <= max(1, min(batch_size, len(lengths)))
    numbers = [n for b in packer(lengths, rows, batch_size=batch_size).epoch(rng()) for n in b.index if n >= 0]
    assert sorted(numbers) == list(range(len(lengths)))


@pytest.mark.parametrize("batch_size", [1, 8, 32])
@pytest.mark.parametrize("count", [1, 2, 7, 32, 64])
def test_few_examples_are_no_dearer_than_one_padded_row_each(count: int, batch_size: int) -> None:
    lengths = sentences(count)
    rows = plan_rows(lengths, batch_size, MINI)
    padded = -(-max(lengths) // 8) * 8 * len(lengths)
    assert epoch_of(lengths, rows, batch_size, seed=0)[2] <= padded


@pytest.mark.parametrize("batch_size", [8, 32])
def test_one_long_text_among_short_ones_costs_little_more_than_it_must(batch_size: int) -> None:
    """Its row has to be that long; padded, all others would be too."""
    lengths = [5] * 500 + [500]
    rows = plan_rows(lengths, batch_size, MINI)
    _, examples, positions = epoch_of(lengths, rows, batch_size, seed=0)
    assert rows.length == 504
    assert rows.count == 1
    assert examples >= 0.9 * batch_size
    assert positions <= 504 * (len(lengths) / batch_size + 2)


def cost(lengths: Sequence[int], rows: Rows, batch_size: int) -> float:
    """Positions of an epoch, each dearer in a longer row: what `plan_rows` says it weighs."""
    dearer = 17 * MINI.heads / MINI.hidden_size**2 * rows.length
    return epoch_of(lengths, rows, batch_size, seed=None)[2] * (1 + dearer)


@given(st.lists(st.integers(1, 120), min_size=40, max_size=120), st.sampled_from([4, 16, 32]))
def test_the_plan_is_no_dearer_than_rows_as_long_as_the_longest_text(lengths: list[int], batch_size: int) -> None:
    rows = plan_rows(lengths, batch_size, MINI)
    longest = -(-max(lengths) // 8) * 8
    one_each = Rows(min(batch_size, len(lengths)), longest, 1)
    assert cost(lengths, rows, batch_size) <= cost(lengths, one_each, batch_size)


def test_attention_makes_long_rows_dear() -> None:
    """The same texts get shorter rows in a model in which attention weighs more against the matrix products."""
    narrow = BackboneInfo("masked", "bert", 2, 32, 16, 16, 2, 1000, 512, 100_000, 100_000)
    lengths = sentences(960)
    assert plan_rows(lengths, 32, narrow).length < plan_rows(lengths, 32).length


def test_few_examples_take_as_many_batches_as_they_must() -> None:
    """What is left over of three batches seldom makes a fourth, whatever order the examples come in."""
    batches, fills = list[int](), list[float]()
    for seed in range(5):
        lengths = sentences(96, seed)
        rows = plan_rows(lengths, 32, MINI)
        batches += [len(list(packer(lengths, rows, batch_size=32).epoch(rng(order)))) for order in range(8)]
        fills += [epoch_of(lengths, rows, 32, seed=order)[0] for order in range(8)]
    assert set(batches) <= {3, 4}
    assert batches.count(4) <= len(batches) // 8
    assert np.mean(fills) > 0.8


@pytest.mark.parametrize("count", [8, 16, 32, 64, 128])
def test_draws_of_one_size_are_trained_in_the_same_rows(count: int) -> None:
    """So a graph that was compiled for one draw serves the next."""
    typical = sentences(512, 99)
    planned = [plan_rows(sentences(count, seed), 32, MINI, typical=typical) for seed in range(20)]
    usual = max(planned, key=planned.count)
    assert planned.count(usual) >= 19
    for seed in range(20):
        lengths = sentences(count, seed)
        batches = list(packer(lengths, planned[seed], batch_size=32).epoch(rng(seed)))
        assert count > 32 or len(batches) == 1


def test_a_draw_that_is_not_typical_still_fits() -> None:
    typical = [10] * 200
    assert plan_rows([10] * 8, 8, MINI, typical=typical) == plan_rows([9] * 8, 8, MINI, typical=typical)
    assert plan_rows([10] * 7 + [100], 8, MINI, typical=typical).length >= 100
    rows = plan_rows([10] * 4 + [12] * 4, 8, MINI, typical=[3] * 200)
    assert len(list(packer([10] * 4 + [12] * 4, rows).epoch(rng()))) == 1


@pytest.mark.parametrize("counts", [[64], [100], [128, 1066], [700, 700]])
def test_scoring_fills_its_rows(counts: list[int]) -> None:
    sets = [sentences(count, seed) for seed, count in enumerate(counts)]
    rows = plan_scoring_rows(sets, 32, MINI)
    positions = sum(epoch_of(lengths, rows, 32, seed=None)[2] for lengths in sets)
    assert sum(map(sum, sets)) / positions > 0.9


def test_scoring_rows_hold_what_is_longer_than_all_they_were_planned_for() -> None:
    assert plan_scoring_rows([[10, 20], []], 4, MINI, longest=30).length >= 30
    with pytest.raises(ValueError, match="at least one set"):
        plan_scoring_rows([[]], 4)


@given(st.lists(st.integers(3, 40), min_size=1, max_size=60), st.integers(1, 32), st.sampled_from([40, 64, 96]))
def test_rows_that_hold_the_longest_hold_any_others(lengths: list[int], batch_size: int, length: int) -> None:
    size = min(batch_size, len(lengths))
    rows = rows_for_any(lengths, size, Rows(1, length, 8))
    source = packer(lengths, rows, batch_size=size)
    for seed in range(3):
        assert next(iter(source.epoch(rng(seed)))).weights.sum() == size
