"""The lexical baseline finds words that tell, repeats, and takes data on which there is nothing to learn."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from promptkit.evaluation import LexicalResult, tfidf_baseline

SHARED = Path(__file__).resolve().parents[2].parent / "shared" / "data"
TRAIN = ("a good film", "a bad film", "good good music", "bad bad music")
LABELS = (1, 0, 1, 0)


def fit(
    train: tuple[str, ...] = TRAIN,
    labels: tuple[int, ...] = LABELS,
    test: tuple[str, ...] = ("good play", "bad play"),
    language: str = "en",
) -> LexicalResult:
    return tfidf_baseline(train, labels, ("so good",), test, language=language)


def test_words_that_tell_are_found() -> None:
    result = fit()
    assert result.test_predicted.tolist() == [1, 0]
    assert result.dev_predicted.tolist() == [1]
    assert result.test_predicted.dtype == np.int64
    # a good bad film music; "a good", "good film", "a bad", "bad film", "good good", ...; and an intercept.
    words = {word for text in TRAIN for word in text.split()}
    pairs = {pair for text in TRAIN for pair in zip(text.split(), text.split()[1:], strict=False)}
    assert result.parameters == len(words) + len(pairs) + 1
    assert result.train_seconds > 0
    assert result.predict_seconds > 0


def test_order_of_words_counts() -> None:
    train = ("good not bad", "bad not good") * 4
    assert fit(train, (1, 0) * 4, ("good not bad", "bad not good")).test_predicted.tolist() == [1, 0]


def test_signs_of_vowels_are_of_the_word() -> None:
    result = fit(("किताब", "कतब") * 4, (1, 0) * 4, ("किताब", "कतब"), language="hi")
    assert result.test_predicted.tolist() == [1, 0]
    assert result.parameters == 2 + 1


def test_chinese_is_read_by_characters() -> None:
    result = fit(("房间很好", "房间很差", "味道好", "味道差"), test=("服务好", "服务差"), language="zh")
    assert result.test_predicted.tolist() == [1, 0]
    assert (result.settings["analyzer"], fit().settings["analyzer"]) == ("char", "word")


def test_three_classes_have_a_row_of_coefficients_each() -> None:
    result = fit(("up", "down", "side"), (0, 1, 2), ("side", "up", "down"))
    assert result.test_predicted.tolist() == [2, 0, 1]
    assert result.parameters == 3 * (3 + 1)


def test_classes_keep_their_indices_if_train_lacks_one() -> None:
    assert fit(("up", "down"), (0, 2), ("down", "up")).test_predicted.tolist() == [2, 0]


def test_it_repeats() -> None:
    assert np.array_equal(fit().test_predicted, fit().test_predicted)
    assert fit().settings == fit().settings


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("train", "labels", "answer"),
    [(TRAIN, (1, 1, 1, 1), 1), (("!", "?", "...", ""), (0, 1, 1, 1), 1), (("", ""), (1, 0), 0)],
)
def test_with_nothing_to_learn_it_is_the_majority(
    train: tuple[str, ...], labels: tuple[int, ...], answer: int
) -> None:
    result = fit(train, labels)
    assert result.test_predicted.tolist() == [answer, answer]
    assert result.parameters == 0


@pytest.mark.filterwarnings("error")
def test_unseen_words_and_an_empty_split_are_no_trouble() -> None:
    assert fit(test=("", "zzz")).test_predicted.shape == (2,)
    assert fit(test=()).test_predicted.shape == (0,)


def test_labels_must_match_the_texts() -> None:
    with pytest.raises(ValueError, match="4 training texts with labels of shape"):
        fit(labels=(1, 0))
    with pytest.raises(ValueError, match="0 training texts"):
        fit((), ())


def test_importing_it_imports_nothing_heavy() -> None:
    code = (
        "import sys, promptkit.evaluation, promptkit.reports; "
        "print([m for m in ('sklearn', 'scipy', 'mindspore', 'matplotlib') if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


@pytest.mark.skipif(not (SHARED / "rt-polarity").is_dir(), reason="needs rt-polarity in ../shared/data")
def test_rt_polarity_is_where_a_bag_of_words_is_known_to_be() -> None:
    from promptkit.data import load_task

    task = load_task(str(SHARED / "rt-polarity"))
    texts = {name: [example.text for example in task.split(name)] for name in ("train", "dev", "test")}
    labels = {name: [task.label_index(example.label) for example in task.split(name)] for name in texts}
    result = tfidf_baseline(texts["train"], labels["train"], texts["dev"], texts["test"], language=task.language)
    assert 0.75 <= float((result.test_predicted == labels["test"]).mean()) <= 0.78
