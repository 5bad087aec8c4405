"""The table of a comparison: readable figures in three formats, all the digits in the fourth."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import replace

import pytest
from fake_comparisons import fake_comparison

from promptkit.analysis import Summary, summarise
from promptkit.analysis.statistics import Difference, Spread
from promptkit.errors import UserError
from promptkit.reports import comparison_table
from promptkit.reports.comparison import FORMATS
from promptkit.reports.figures import difference_text, p_text, score_text, short_number
from promptkit.reports.markdown import markdown_text
from promptkit.reports.wording import method_text, notes, time_text

NASTY = r"50% of_it & {x} \y #1"


def cells_of(table: str) -> list[list[str]]:
    """Return head and cells of a Markdown table."""
    lines = [line for line in table.split("\n") if line.startswith("|")]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]


@pytest.fixture(scope="module")
def summary() -> Summary:
    return summarise(fake_comparison(variants={"soft": ("tokens=1", "tokens=5")}, missing=[("pet", "", 16, 0)]))


def test_runs_of_several_versions_of_mindspore_are_said(summary: Summary) -> None:
    said = "Runs were made with MindSpore"
    assert not any(note.startswith(said) for note in notes(summary))
    row = summary.rows[-1]
    run = row.runs[0]
    versions = run.record.versions.model_copy(update={"mindspore": "0.9"})
    other = replace(run, record=run.record.model_copy(update={"versions": versions}))
    changed = replace(summary, rows=(*summary.rows[:-1], replace(row, runs=(other, *row.runs[1:]))))
    (note,) = (note for note in notes(changed) if note.startswith(said))
    assert note.startswith(f"{said} 0.9 and ")


def test_golden_markdown_rows() -> None:
    summary = summarise(fake_comparison(strategies=("ptuning",), shots=(16,), test_examples=200))
    soft = summary.rows[-1]
    against = soft.against
    assert against is not None
    row = replace(
        soft,
        test=Spread(0.4951, 0.0288, 3),
        f1=Spread(0.4, 0.0, 3),
        dev=Spread(0.5, 0.125, 3),
        against=replace(against, difference=Difference(-0.16, -0.2242, -0.0958, 0.0002), p_adjusted=0.0006),
        train_seconds=50.04,
        predict_per_second=1234.5,
        peak_memory_mb=None,
    )
    head, _, *rows = cells_of(comparison_table(replace(summary, rows=(*summary.rows[:-1], row)), "github"))
    assert dict(zip(head, rows[-1], strict=True)) == {
        "strategy": "ptuning",
        "shots": "16",
        "seeds": "3",
        "test": "49.5 (2.9) !",
        "F1": "40.0 (0.0)",
        "dev": "50.0 (12.5)",
        "tried": "5",
        "vs baseline": "-16.0 [-22.4, -9.6]",
        "p": "< 0.001",
        "learnt p/e/h": "0 / 2.1 M / 0",
        "artifact": "16.0 KB",
        "train s": "50.0",
        "pred/s": "1,234",
        "peak MB": "-",
    }
    zero_shot = dict(zip(head, rows[-2], strict=True))
    assert (zero_shot["strategy"], zero_shot["shots"], zero_shot["seeds"]) == ("hard (zero-shot)", "-", "1")
    assert (zero_shot["vs baseline"], zero_shot["p"], zero_shot["artifact"]) == ("best baseline", "-", "544 B")


def test_baselines_come_first_and_say_so(summary: Summary) -> None:
    shuffled = replace(summary, rows=tuple(reversed(summary.rows)))
    head, _, *rows = cells_of(comparison_table(shuffled, "github"))
    said = [row[head.index("vs baseline")] for row in rows]
    assert [text in ("baseline", "best baseline") for text in said] == [True] * 5 + [False] * 8
    best = {row[0] for row, text in zip(rows, said, strict=True) if text == "best baseline"}
    assert best == {each.label for each in summary.strongest.values()}
    # The word models of 16 shots are not what anything is compared with.
    assert said[[row[:2] for row in rows].index(["TF-IDF + logistic regression", "16"])] == "baseline"


def test_a_terminal_has_room_for_it_one_line_a_row(summary: Summary) -> None:
    lines = comparison_table(summary).split("\n")
    table, notes = lines[: 2 + len(summary.rows)], lines[3 + len(summary.rows) :]
    assert lines[len(table)] == ""
    assert set(table[1]) == {"-", " "}
    assert len({len(line) for line in table}) == 1
    assert len(table[0]) < 170
    assert max(map(len, notes)) <= 118


@pytest.mark.parametrize("format", ["simple", "github", "latex"])
def test_method_notes_and_picks_stand_below(summary: Summary, format: str) -> None:
    table = " ".join(comparison_table(summary, format).replace("\\", "").split())  # type: ignore[arg-type]
    for text in (method_text(summary), *notes(summary), "! not told apart from the majority class", "per cent: mean"):
        assert text in table
    assert "Picked on dev, soft (full): tokens=" in table
    assert "the best of 2 variants by 10 dev scores" in table
    assert "1 of 37 runs is missing: pet (16 shots), seed 0" in table


@pytest.mark.parametrize("format", ["simple", "github", "latex"])
def test_the_verdict_is_the_first_line_below(format: str) -> None:
    summary = summarise(fake_comparison(strategies=("soft",), shots=(16,)))
    below = comparison_table(summary, format).split("\n\n", 1)[1]  # type: ignore[arg-type]
    verdict = "soft with 16 examples a class is not told apart from hard (zero-shot) on reviews-en."
    assert verdict in below.split("Test, F1")[0]


def with_metric(summary: Summary, name: str, values: dict[str, float | None]) -> Summary:
    """The same comparison whose runs of some strategies have one more metric on test."""
    entries = []
    for entry in summary.comparison.entries:
        run = entry.run
        if run is not None and entry.cell.strategy in values:
            test = run.record.test.model_copy(update={name: values[entry.cell.strategy]})
            run = replace(run, record=run.record.model_copy(update={"test": test}))
        entries.append(replace(entry, run=run))
    return summarise(replace(summary.comparison, entries=tuple(entries)))


def test_further_metrics_of_the_runs_are_columns_as_they_are() -> None:
    plain = summarise(fake_comparison(strategies=("soft", "pet", "ptuning"), shots=(16,), test_examples=60))
    summary = with_metric(plain, "mcc", {"soft": 0.25, "pet": None})
    head, _, *rows = cells_of(comparison_table(summary, "github"))
    assert head[head.index("F1") + 1] == "mcc"
    shown = {row[0]: row[head.index("mcc")] for row in rows}
    assert (shown["soft"], shown["pet"], shown["ptuning"]) == ("0.250 (0.000)", "-", "-")
    assert "mcc" in comparison_table(summary).split("\n")[0]
    assert comparison_table(summary, "latex").startswith(r"\begin{tabular}{" + "l" + 14 * "r" + "}")
    read = {row["strategy"]: row for row in csv.DictReader(io.StringIO(comparison_table(summary, "csv")))}
    assert (read["soft"]["test_mcc"], read["soft"]["test_mcc_std"]) == ("0.25", "0.0")
    assert (read["pet"]["test_mcc"], read["ptuning"]["test_mcc_std"]) == ("", "")
    assert "mcc" not in comparison_table(plain, "csv")


def test_the_mark_is_explained_only_where_there_is_one() -> None:
    table = comparison_table(summarise(fake_comparison(strategies=("soft",), shots=("full",))))
    assert "!" not in table


@pytest.mark.parametrize("format", FORMATS)
def test_without_times_two_tables_of_a_comparison_are_equal(format: str) -> None:
    first = fake_comparison(strategies=("soft",))

    def slower(entry: object) -> object:
        run = entry.run  # type: ignore[attr-defined]
        cost = run.record.cost
        seconds = cost.seconds.model_copy(update={"train": cost.seconds.train + 7, "total": 1.0, "predict": 3.0})
        update = {"seconds": seconds, "predict_examples_per_second": 1.0, "peak_memory_mb": 9999.0}
        record = run.record.model_copy(update={"cost": cost.model_copy(update=update), "created": "later"})
        return replace(entry, run=replace(run, record=record))  # type: ignore[type-var]

    second = replace(first, entries=tuple(map(slower, first.entries)))  # type: ignore[arg-type]
    one, other = (summarise(comparison) for comparison in (first, second))
    assert comparison_table(one, format, times=False) == comparison_table(other, format, times=False)  # type: ignore[arg-type]
    assert comparison_table(one, format) != comparison_table(other, format)  # type: ignore[arg-type]


def test_csv_reads_back_to_the_same_numbers(summary: Summary) -> None:
    table = comparison_table(summary, "csv")
    read = list(csv.DictReader(io.StringIO(table)))
    assert len(read) == len(summary.rows) == len(table.split("\n")) - 1
    for fields, row in zip(read, summary.rows, strict=True):
        assert (fields["role"], fields["strategy"], fields["variant"]) == (row.role, row.strategy, row.variant)
        assert fields["shots"] == ("" if row.shots is None else str(row.shots))
        assert float(fields["test_accuracy"]) == row.test.mean
        assert fields["test_accuracy_std"] == ("" if row.test.std is None else repr(row.test.std))
        assert (float(fields["test_f1"]), float(fields["dev_accuracy"])) == (row.f1.mean, row.dev.mean)
        assert fields["no_better_than_majority"] == str(row.no_better_than_majority).lower()
        assert int(fields["encoder_parameters"]) == row.parameters.encoder
        if row.against is None:
            assert fields["p"] == fields["difference"] == fields["baseline"] == ""
        else:
            difference = row.against.difference
            ends = [float(fields[name]) for name in ("difference", "difference_low", "difference_high", "p")]
            assert ends == [difference.mean, difference.low, difference.high, difference.p]
            assert float(fields["p_adjusted"]) == row.against.p_adjusted
            assert fields["baseline"] == row.against.baseline
        assert fields["peak_memory_mb"] == ("" if row.peak_memory_mb is None else repr(row.peak_memory_mb))


def test_csv_keeps_any_variant() -> None:
    variant = 'great, "very"\ngood'
    summary = summarise(fake_comparison(strategies=("soft",), variants={"soft": (variant,)}, shots=(16,)))
    read = list(csv.DictReader(io.StringIO(comparison_table(summary, "csv"), newline="")))
    assert read[-1]["variant"] == variant


def test_csv_holds_no_text_that_a_spreadsheet_executes() -> None:
    summary = summarise(fake_comparison(strategies=("soft",), variants={"soft": ("=1+1", "-1")}, shots=(16,)))
    read = list(csv.DictReader(io.StringIO(comparison_table(summary, "csv"), newline="")))
    assert [row["variant"] for row in read[-2:]] == ["'=1+1", "-1"]
    assert any(row["difference_low"].startswith("-") and float(row["difference_low"]) < 0 for row in read)


def test_latex_escapes_names_and_notes() -> None:
    summary = summarise(fake_comparison(strategies=("soft",), variants={"soft": (NASTY, "other")}, shots=(16,)))
    best = summary.picks[0]
    table = comparison_table(replace(summary, picks=(replace(best, variant=NASTY),)), "latex")
    escaped = r"50\% of\_it \& \{x\} \textbackslash{}y \#1"
    cell, pick = (
        line for line in table.split("\n") if "of" in line and "it" in line and "50" in line and "x" in line
    )
    assert f"soft, {escaped}" in cell
    assert f"Picked on dev, soft (16 shots): {escaped}, the best" in pick
    assert table.startswith(r"\begin{tabular}{lrrrrrrrrrrrrr}")
    for command in (r"\toprule", r"\midrule", r"\bottomrule", r"\end{tabular}"):
        assert command in table
    rows = table.split(r"\midrule")[1].split(r"\bottomrule")[0].strip().split("\n")
    assert {len(re.findall(r"(?<!\\)&", row)) for row in rows} == {13}
    # Nothing that LaTeX would take for a command or a comment is left in the text.
    notes = table.split(r"\noindent")[1]
    assert not re.search(r"(?<!\\)[%&#_$]", notes)


def test_markdown_shows_a_variant_as_it_is() -> None:
    variant = "a | <mask> *b*\nc"
    summary = summarise(fake_comparison(strategies=("soft",), variants={"soft": (variant,)}, shots=(16,)))
    rows = cells_of(comparison_table(summary, "github"))
    assert rows[-1][0] == r"soft, a \| \<mask> \*b\* c"
    assert {len(row) for row in rows} == {14}


def test_markdown_shows_the_name_of_a_metric_as_it_is() -> None:
    plain = summarise(fake_comparison(strategies=("soft",), shots=(16,)))
    summary = with_metric(plain, "f1:bad|_x_\ny", {"soft": 0.25})
    head, _, *rows = cells_of(comparison_table(summary, "github"))
    assert head[head.index("F1") + 1] == r"f1:bad\|\_x\_ y"
    assert {len(row) for row in rows} == {len(head)}
    assert "f1:bad|_x_ y" in comparison_table(summary).split("\n")[0]


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("[x](url) [ ]", r"\[x](url) \[ ]"),
        ("_a_ __b__", r"\_a\_ \_\_b\_\_"),
        ("~~b~~ *c* `d`", r"\~\~b\~\~ \*c\* \`d\`"),
        (r"a\b <i> | &lt; &#35;", r"a\\b \<i> \| \&lt; \&#35;"),
        ("two\nlines", "two lines"),
        ("f1_positive, 3 & 4, K = 16 - 8", "f1_positive, 3 & 4, K = 16 - 8"),
    ],
)
def test_what_markdown_would_take_for_markup_is_escaped(text: str, escaped: str) -> None:
    assert markdown_text(text) == escaped


@pytest.mark.parametrize("format", FORMATS)
def test_an_empty_comparison_has_a_table_too(format: str) -> None:
    comparison = fake_comparison(shots=(16,))
    empty = replace(comparison, entries=tuple(replace(entry, run=None) for entry in comparison.entries))
    table = comparison_table(summarise(empty), format)  # type: ignore[arg-type]
    assert table.startswith("role,strategy" if format == "csv" else ("strategy", "| strategy", r"\begin"))


def test_an_unknown_format_is_refused_with_the_nearest() -> None:
    with pytest.raises(UserError, match="Did you mean 'latex'"):
        comparison_table(summarise(fake_comparison(shots=(16,))), "latx")  # type: ignore[arg-type]


def test_scores_differences_and_p_values_to_read() -> None:
    assert score_text(Spread(0.68, 0.018, 3)) == "68.0 (1.8)"
    assert score_text(Spread(1.0, None, 1)) == "100.0"
    assert difference_text(Difference(0.032, 0.011, 0.054, 0.01)) == "+3.2 [1.1, 5.4]"
    assert difference_text(Difference(-0.0004, -0.0302, 0.0, 1.0)) == "0.0 [-3.0, 0.0]"
    assert [p_text(p) for p in (1.0, 0.0444, 0.001, 0.00099)] == ["1.000", "0.044", "0.001", "< 0.001"]
    # A difference that counts is not shown as one that does not.
    assert [p_text(p) for p in (0.0494, 0.0496, 0.04999, 0.05, 0.0504)] == [
        "0.049",
        "< 0.05",
        "< 0.05",
        "0.050",
        "0.050",
    ]


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "-"), (0, "0"), (0.041, "0.04"), (0.96, "1.0"), (9.7, "9.7"), (99.96, "100"), (24_394.06, "24,394")],
)
def test_times_and_speeds_to_read(value: float | None, text: str) -> None:
    assert short_number(value) == text


def test_less_than_a_minute_is_said_in_seconds() -> None:
    short = time_text(summarise(fake_comparison(strategies=(), shots=(16,), seeds=(0,))).rows)
    assert re.search(r"took \d+\.\d seconds in all", short)
    assert re.search(r"took \d+\.\d minutes in all", time_text(summarise(fake_comparison()).rows))
