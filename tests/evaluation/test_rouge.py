"""ROUGE of written texts: its numbers by hand, and how metrics of texts fail. Those of the docstring run as well."""

from __future__ import annotations

from pathlib import Path

import pytest

from promptkit.errors import UserError
from promptkit.evaluation import check_text_metric, compute_texts

BROKEN = """
import datasets
import evaluate


class Broken(evaluate.Metric):
    def _info(self):
        text = datasets.Value("string")
        features = datasets.Features({"predictions": text, "references": text})
        return evaluate.MetricInfo(description="", citation="", features=features)

    def _compute(self, predictions, references):
        raise RuntimeError("no use")
"""


@pytest.mark.parametrize(
    ("written", "expected", "one", "two", "longest"),
    [
        ("Tie it twice.", "tie IT twice", 1.0, 1.0, 1.0),
        ("a b c d", "d c b a", 1.0, 0.0, 0.25),
        ("a a a b", "a b b", 4 / 7, 2 / 5, 4 / 7),
        ("", "a b", 0.0, 0.0, 0.0),
        ("!?", "...", 0.0, 0.0, 0.0),
        # 用 PVC 管 against 用 管 and 子: letters stay together, characters do not.
        ("用PVC管", "用管子", 2 / 3, 0.0, 2 / 3),
        ("它's 3.5度", "它 s 3 5 度", 1.0, 1.0, 1.0),
        # Signs of vowels make words: rat and flee, book and no word, ga and ka with its mark.
        ("หนู", "หนี", 0.0, 0.0, 0.0),
        ("किताब की", "कतब का", 0.0, 0.0, 0.0),
        ("cafe\u0301 か\u3099", "cafe か", 0.0, 0.0, 0.0),
    ],
)
def test_numbers_by_hand(written: str, expected: str, one: float, two: float, longest: float) -> None:
    found = compute_texts(["rouge"], [written], [expected])
    assert found == pytest.approx({"rouge1": one, "rouge2": two, "rougeL": longest})


NAMED = BROKEN.replace(
    'raise RuntimeError("no use")', 'return {"f1": 0.5, "accuracy": 0.25, "perplexity": 3.0, "found": 1.0}'
)


def test_no_value_is_called_what_a_record_has_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "exact.py").write_text(NAMED)
    found = compute_texts([str(tmp_path / "exact.py")], ["a"], ["a"])
    assert found == {"exact_f1": 0.5, "exact_accuracy": 0.25, "exact_perplexity": 3.0, "found": 1.0}


def test_several_texts_come_to_their_mean() -> None:
    assert compute_texts(["rouge"], ["a b", "c"], ["a b", "d"])["rougeL"] == pytest.approx(0.5)


def test_a_metric_that_fails_costs_its_own_value(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text(BROKEN)
    said: list[str] = []
    found = compute_texts([str(tmp_path / "broken.py"), "rouge"], ["a"], ["a"], warn=said.append)
    assert found == {"broken": None, "rouge1": 1.0, "rouge2": 0.0, "rougeL": 1.0}
    assert len(said) == 1
    assert "no use" in said[0]
    with pytest.raises(UserError, match="no use"):
        compute_texts([str(tmp_path / "broken.py")], ["a"], ["a"])


@pytest.mark.parametrize("name", ["accuracy", "f1:good"])
def test_a_metric_of_classes_is_refused(name: str) -> None:
    with pytest.raises(UserError, match=f"^metric '{name}' is for classes"):
        check_text_metric(name)
