"""The result table says what a run reached and what it cost, in numbers a person can read."""

from __future__ import annotations

import re
from typing import Any

import pytest

from promptkit.drawing.text import human_count
from promptkit.reports import result_table
from promptkit.reports.table import human_bytes
from promptkit.runs import Cost, LearntParameters, RunRecord, Scores, Seconds, TaskInfo, Versions
from promptkit.runs.record import BackboneInfo, RunOptions


def run(strategy: str, *, shots: int | None, parameters: LearntParameters, **cost: Any) -> RunRecord:
    return RunRecord(
        options=RunOptions(
            strategy=strategy,
            data="reviews-en",
            model="promptkit-mini",
            templates=("{text} {mask}",),
            verbalizer=None,
            readout="cloze",
            slots="same",
            shots=shots,
            seed=0,
            epochs=1,
            lr=1e-3,
            batch_size=8,
            weight_decay=0.0,
            max_length=64,
            device="CPU",
            mode="graph",
        ),
        task=TaskInfo(name="t", fingerprint="0", labels=("a", "b"), language="en", train=1, dev=1, test=1),
        backbone=BackboneInfo(name="m", fingerprint="0", architecture="bert", parameters=22_000_000),
        versions=Versions(python="3", mindspore="2", numpy="1", tokenizers="0", platform="x"),
        dev=Scores(accuracy=0.81, f1=0.8, n=100, majority=0.5),
        test=Scores(accuracy=0.7849, f1=0.7, n=300, majority=0.501),
        parameters=parameters,
        cost=Cost(**cost),
    )


RECORDS = (
    run(
        "soft",
        shots=None,
        parameters=LearntParameters(prompt=3840, head=770),
        artifact_bytes=15_500,
        seconds=Seconds(total=41.26),
        peak_memory_mb=1234.4,
    ),
    run(
        "pet",
        shots=16,
        parameters=LearntParameters(backbone=22_700_000),
        artifact_bytes=90_800_000,
        seconds=Seconds(total=7.0),
    ),
)


def cells_of(table: str) -> list[list[str]]:
    """The cells of head and rows, by where the rule between them says that columns are."""
    head, rule, *rows = table.split("\n")
    places = [match.span() for match in re.finditer("-+", rule)]
    return [[line[start:end].strip() for start, end in places] for line in (head, *rows)]


def test_golden_table() -> None:
    rows = cells_of(result_table(RECORDS))
    assert rows[0] == [
        "strategy",
        "shots",
        "dev",
        "test",
        "majority",
        "learnt (prompt / encoder / head)",
        "artifact",
        "seconds",
        "peak MB",
    ]
    soft = ["soft", "full", "81.0 %", "78.5 %", "50.1 %", "3.8 K / 0 / 770", "15.5 KB", "41.3", "1,234"]
    pet = ["pet", "16", "81.0 %", "78.5 %", "50.1 %", "0 / 0 / 0 + 22.7 M backbone", "90.8 MB", "7.0", "-"]
    assert rows[1:] == [soft, pet]


def test_further_metrics_stand_behind_the_majority_and_those_a_run_lacks_are_blank() -> None:
    scores = {"accuracy": 0.5, "f1": 0.5, "n": 3, "majority": 0.5}
    more = RECORDS[0].model_copy(update={"test": Scores(**scores, f1_positive=0.81234, mcc=None)})
    head, first, second = cells_of(result_table([more, RECORDS[1]]))
    assert head[3:7] == ["test", "majority", "f1_positive", "mcc"]
    assert (first[5:7], second[5:7]) == (["0.812", "-"], ["-", "-"])
    assert len(head) == len(first) == 11


def test_the_terminal_table_has_a_rule_below_the_head_and_lines_of_one_width() -> None:
    lines = result_table(RECORDS).split("\n")
    assert set(lines[1]) == {"-", " "}
    assert len(lines) == 4
    assert len({len(line) for line in lines}) == 1


def test_a_table_of_nothing_is_its_head() -> None:
    assert result_table([]).startswith("strategy")


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0"), (999, "999"), (1000, "1.0 K"), (12_345, "12.3 K"), (999_949, "999.9 K"), (999_950, "1.0 M")],
)
def test_counts_to_read(count: int, text: str) -> None:
    assert human_count(count) == text


def test_bytes_to_read() -> None:
    assert human_bytes(999) == "999 B"
    assert human_bytes(12_345) == "12.3 KB"
    assert human_bytes(2_500_000_000) == "2.5 GB"


def test_the_name_of_a_metric_is_one_line() -> None:
    odd = RECORDS[0].model_copy(
        update={"test": Scores(accuracy=0.5, f1=0.5, n=3, majority=0.5, **{"f1:a|b\nc": 0.5})}
    )
    assert " f1:a|b c " in result_table([odd]).split("\n")[0]


def test_further_metrics_of_a_run_are_columns_as_they_are() -> None:
    plain = RECORDS[0]
    more = plain.model_copy(update={"test": Scores(accuracy=0.5, f1=0.5, n=300, majority=0.5, mcc=-0.0625)})
    cells = cells_of(result_table([more, plain]))
    place = cells[0].index("mcc")
    assert cells[0][place - 1] == "majority"
    assert (cells[1][place], cells[2][place]) == ("-0.062", "-")
    assert "mcc" not in result_table([plain])
