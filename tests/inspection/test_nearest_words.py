"""Nearest words and principal components, against brute force and scikit-learn."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from promptkit.inspection.vectors import nearest_words, principal_components, similarity, word_rows

PIECES = ["[PAD]", "[unused1]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "<S>", "[", "good", "##ly", "好", "[unused99]"]


class FakeTokenizer:
    pad_id, unk_id, cls_id, sep_id, mask_id = 0, 2, 3, 4, 5
    marks_spaces = False

    def __init__(self, pieces: list[str]) -> None:
        self.pieces = pieces
        self.vocab_size = len(pieces)

    def token(self, id: int) -> str:
        return self.pieces[id]

    def encode(self, text: str) -> list[int]:
        raise NotImplementedError

    def encode_many(self, texts: Any) -> list[list[int]]:
        raise NotImplementedError


def many(count: int) -> FakeTokenizer:
    return FakeTokenizer([f"w{number}" for number in range(count)])


def test_special_tokens_and_unused_rows_are_no_words() -> None:
    assert [PIECES[row] for row in word_rows(FakeTokenizer(PIECES))] == ["[", "good", "##ly", "好"]


@pytest.mark.parametrize("k", [1, 5, 200])
def test_nearest_words_are_those_of_brute_force(k: int) -> None:
    rng = np.random.default_rng(0)
    table = rng.normal(size=(150, 12)).astype(np.float32)
    vectors = rng.normal(size=(7, 12)).astype(np.float32)
    rows = np.array([row for row in range(150) if row % 7])
    found = nearest_words(vectors, table, rows, many(150), k)
    for vector, near in zip(vectors.astype(float), found, strict=True):
        cosines = {row: vector @ table[row] / np.linalg.norm(vector) / np.linalg.norm(table[row]) for row in rows}
        expected = sorted(rows, key=lambda row: -cosines[row])[:k]
        assert [word.id for word in near] == expected
        assert [word.word for word in near] == [f"w{row}" for row in expected]
        assert np.allclose([word.cosine for word in near], [cosines[row] for row in expected], atol=1e-6)
        distances = [np.linalg.norm(vector - table[row]) for row in expected]
        assert np.allclose([word.distance for word in near], distances, atol=1e-6)


def test_vectors_that_are_embeddings_find_their_words() -> None:
    table = np.random.default_rng(1).normal(size=(60, 8)).astype(np.float32)
    for row, near in zip(
        (3, 17, 59), nearest_words(table[[3, 17, 59]], table, np.arange(60), many(60), 2), strict=True
    ):
        assert (near[0].id, near[0].distance) == (row, 0.0)
        assert near[0].cosine == pytest.approx(1, abs=1e-12)
        assert near[1].cosine < 1


def test_of_equal_words_the_first_comes_first() -> None:
    table = np.ones((30, 4), np.float32)
    near = nearest_words(table[:1], table, np.arange(30), many(30), 3)[0]
    assert [word.id for word in near] == [0, 1, 2]


def test_zeros_have_cosine_0_with_everything() -> None:
    cosine, distance = similarity(np.zeros((2, 3)), np.array([[0.0, 3.0, 4.0], [0.0, 0.0, 0.0]]))
    assert cosine.tolist() == [0, 0]
    assert distance.tolist() == [5, 0]
    table = np.array([[0, 0], [1, 0]], np.float32)
    near = nearest_words(np.array([[2, 0]], np.float32), table, np.arange(2), many(2), 2)[0]
    assert [(word.id, word.cosine) for word in near] == [(1, 1.0), (0, 0.0)]


@pytest.mark.parametrize("shape", [(2, 5), (3, 2), (9, 40), (40, 9), (6, 1)])
def test_principal_components_are_scikit_learns_up_to_sign(shape: tuple[int, int]) -> None:
    from sklearn.decomposition import PCA

    vectors = np.random.default_rng(2).normal(size=shape)
    count = min(2, *shape)
    reference = PCA(n_components=count, svd_solver="full").fit(vectors)
    expected = reference.transform(vectors)
    found = principal_components(vectors)
    for number in range(count):
        sign = np.sign(found.points[:, number] @ expected[:, number])
        assert np.allclose(found.points[:, number], sign * expected[:, number], atol=1e-9)
    assert np.allclose(found.shares[:count], reference.explained_variance_ratio_, atol=1e-12)
    assert not found.points[:, count:].any()


def test_the_signs_follow_from_the_axes_alone() -> None:
    """The loading of greatest size is positive, whatever sign the decomposition happens to give."""
    vectors = np.array([[0.0, 0.0, 0.0], [-5.0, 1.0, 0.0], [-9.0, -1.0, 0.0]])
    found = principal_components(vectors).points
    assert found[0, 0] > found[1, 0] > found[2, 0]
    assert np.allclose(principal_components(vectors + 100.0).points, found, atol=1e-9)


def test_vectors_that_do_not_differ_are_one_point() -> None:
    found = principal_components(np.ones((4, 6)))
    assert not found.points.any()
    assert found.shares.tolist() == [0, 0]
    assert not principal_components(np.ones((1, 6))).points.any()
