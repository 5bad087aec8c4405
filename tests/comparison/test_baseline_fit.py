"""What the TF-IDF baseline learns from and reads: train alone, in the data's language, both texts of a pair."""

from __future__ import annotations

from pathlib import Path

from promptkit.comparison import make_experiment
from promptkit.comparison.baselines import plan_baselines
from promptkit.running.loader import Loader
from promptkit.runs.baseline import BaselineRecord


def measured(folder: Path, *columns: str, **splits: list[tuple[str, ...]]) -> BaselineRecord:
    """The record of the baseline on a folder of such rows."""
    for split, rows in splits.items():
        lines = "".join("\t".join(row) + "\n" for row in (columns, *rows))
        (folder / f"{split}.tsv").write_text(lines, encoding="utf-8")
    experiment = make_experiment(data=str(folder), strategies=[], shots=["full"], seeds=1)
    (baseline,) = (it for it in plan_baselines(experiment, Loader()) if it.place.strategy == "tfidf")
    return baseline.measure()[0]


def test_it_learns_from_train_and_not_from_dev(tmp_path: Path) -> None:
    record = measured(
        tmp_path, "label", "text",
        train=[("a", "good film"), ("b", "bad film")], dev=[("b", "good plot"), ("a", "bad plot")],
        test=[("a", "good story"), ("b", "bad story")],
    )  # fmt: skip
    assert (record.test.accuracy, record.dev.accuracy) == (1.0, 0.0)


def test_it_reads_in_the_language_of_the_data(tmp_path: Path) -> None:
    (tmp_path / "dataset.json").write_text('{"language": "zh"}', encoding="utf-8")
    rows = [("a", "房间很好"), ("b", "房间很差")]
    record = measured(tmp_path, "label", "text", train=rows, dev=rows, test=[("a", "味道好"), ("b", "味道差")])
    assert record.settings["analyzer"] == "char"
    assert record.test.accuracy == 1.0


def test_it_reads_the_second_text_of_a_pair(tmp_path: Path) -> None:
    rows = [("a", "it", "good"), ("b", "it", "bad")]
    record = measured(tmp_path, "label", "text", "text_b", train=rows, dev=rows, test=rows)
    assert record.test.accuracy == 1.0
