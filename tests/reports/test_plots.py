"""Plots are whole SVG, the same every time, safe beside each other in a page, and say what the figures say."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fake_comparisons import fake_comparison
from page_files import SVG, identifiers, words

from promptkit.analysis import Summary, summarise
from promptkit.analysis.confusion import shares
from promptkit.analysis.front import front
from promptkit.analysis.names import with_shots
from promptkit.analysis.rows import Row
from promptkit.analysis.selection import featured
from promptkit.drawing import plots
from promptkit.drawing.confusion import tint
from promptkit.drawing.plots import PLOTS
from promptkit.runs import RunRecord
from promptkit.runs.record import Epoch
from promptkit.runs.stored import StoredComparison, StoredRun

VARIANTS = {"soft": ("tokens=1", "tokens=5", "tokens=20"), "pet": ("great / terrible", "good / bad")}


@pytest.fixture(scope="module")
def full() -> Summary:
    """Two strategies with variants, one without, two K, three seeds."""
    return summarise(fake_comparison(variants=VARIANTS, test_examples=60))


@pytest.fixture(scope="module")
def drawn(full: Summary) -> dict[str, str]:
    return {name: svg for name, plot in PLOTS.items() if (svg := plot(full)) is not None}


def changed(comparison: StoredComparison, change: Callable[[StoredRun], StoredRun]) -> StoredComparison:
    entries = [replace(entry, run=entry.run and change(entry.run)) for entry in comparison.entries]
    return replace(comparison, entries=tuple(entries))


def test_every_plot_is_drawn_where_there_is_something_for_each(drawn: dict[str, str]) -> None:
    assert list(drawn) == list(PLOTS)


@pytest.mark.parametrize("name", list(PLOTS))
def test_a_plot_is_an_image_with_a_name_and_a_description(drawn: dict[str, str], name: str) -> None:
    root = ET.fromstring(drawn[name])
    assert root.tag == f"{SVG}svg"
    assert root.attrib["role"] == "img"
    title, description = list(root)[:2]
    assert (title.tag, description.tag) == (f"{SVG}title", f"{SVG}desc")
    assert root.attrib["aria-labelledby"] == title.attrib["id"]
    assert root.attrib["aria-describedby"] == description.attrib["id"]
    assert title.text in words(drawn[name])
    assert description.text is not None
    assert re.search(r"\d %", description.text)
    assert [float(side) for side in root.attrib["viewBox"].split()[:2]] == [0, 0]


@pytest.mark.parametrize("name", list(PLOTS))
def test_a_plot_names_what_it_counts_and_in_which_unit(drawn: dict[str, str], name: str) -> None:
    expected = {
        "accuracy": {"test accuracy, %", "training examples a class (K)"},
        "learning-curves": {"dev accuracy, %", "training loss, nats", "epoch"},
        "cost": {"test accuracy, %", "training time, seconds a run (logarithmic)"},
        "variant-curves": {"test accuracy, %", "tokens"},
        "variant-dots": {"test accuracy, %"},
        "confusion": {"true class", "predicted class"},
    }
    assert expected[name] <= set(words(drawn[name]))


def test_plots_have_no_identifier_in_common_and_lose_no_reference(drawn: dict[str, str]) -> None:
    every = [identifier for svg in drawn.values() for identifier in identifiers(svg)]
    assert len(every) == len(set(every))
    for name, svg in drawn.items():
        used = set(re.findall(r"url\(#([^)]+)\)", svg)) | set(re.findall(r'href="#([^"]+)"', svg))
        assert used
        assert used <= set(identifiers(svg)), name


def test_plots_fetch_nothing_style_nothing_around_them_and_run_nothing(drawn: dict[str, str]) -> None:
    for svg in drawn.values():
        spaces = {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}
        assert set(re.findall(r"https?://[^\s\"<]+", svg)) <= spaces
        tags = {element.tag.removeprefix(SVG) for element in ET.fromstring(svg).iter()}
        assert tags.isdisjoint({"style", "script", "metadata", "image", "foreignObject", "a"})


def test_the_same_summary_gives_the_same_bytes(full: Summary, drawn: dict[str, str]) -> None:
    assert {name: plot(full) for name, plot in PLOTS.items()} == drawn


def test_another_process_with_other_hashes_gives_the_same_bytes_whatever_its_matplotlibrc(tmp_path: Path) -> None:
    (tmp_path / "matplotlibrc").write_text("svg.fonttype: path\nfont.size: 20\naxes.grid: False\n")
    code = (
        "from fake_comparisons import fake_comparison; from promptkit.drawing import plots; "
        "from promptkit.analysis import summarise; "
        "print(plots.cost(summarise(fake_comparison(test_examples=40, shots=(16,)))))"
    )
    here = str(Path(__file__).parent)
    answers = []
    for number in ("1", "2"):
        environment = {**os.environ, "PYTHONPATH": here, "PYTHONHASHSEED": number}
        if number == "2":
            environment["MATPLOTLIBRC"] = str(tmp_path)
        run = subprocess.run(
            [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
        )
        answers.append(run.stdout)
    assert answers[0] == answers[1]
    assert answers[0].startswith("<svg")


@pytest.mark.filterwarnings("error")
def test_names_with_signs_that_mean_something_elsewhere_are_shown_as_they_are() -> None:
    odd = ("$10 & <b>", "a_b^{2} %", "_hidden", "好 / 差")
    summary = summarise(fake_comparison(strategies=("soft",), variants={"soft": odd}, test_examples=40, seeds=(0,)))
    svg = plots.variant_dots(summary)
    assert svg is not None
    assert set(odd) <= set(words(svg))


def test_what_no_xml_may_hold_is_replaced() -> None:
    bad = ("bell \x07", "half \ud800")
    summary = summarise(fake_comparison(strategies=("soft",), variants={"soft": bad}, test_examples=40, seeds=(0,)))
    svg = plots.variant_dots(summary)
    assert svg is not None
    assert {"bell \ufffd", "half \ufffd"} <= set(words(svg))
    svg.encode()


def test_nothing_to_show_is_none() -> None:
    baselines = summarise(fake_comparison(strategies=(), test_examples=40, shots=(16,), baselines=("majority",)))
    assert {name: plot(baselines) for name, plot in PLOTS.items()} == dict.fromkeys(PLOTS)
    hard = summarise(fake_comparison(strategies=("hard",), test_examples=40, baselines=()))
    assert {name for name, plot in PLOTS.items() if plot(hard)} == {"accuracy", "confusion"}


def test_one_strategy_with_one_seed_and_one_k_is_drawn_without_bars() -> None:
    summary = summarise(
        fake_comparison(strategies=("soft",), baselines=(), shots=(16,), seeds=(0,), test_examples=40)
    )
    found = {name: svg for name, plot in PLOTS.items() if (svg := plot(summary)) is not None}
    assert set(found) == {"accuracy", "learning-curves", "cost", "confusion"}
    assert "standard deviation" not in found["accuracy"]


def test_accuracy_shows_the_variant_that_dev_picked(full: Summary, drawn: dict[str, str]) -> None:
    assert {"soft (picked on dev)", "pet (picked on dev)", "ptuning"} <= set(words(drawn["accuracy"]))
    for pick in full.picks:
        value = f"{pick.strategy}, {pick.variant} ({'full' if pick.shots == 'full' else f'{pick.shots} shots'}): "
        assert value + f"{100 * pick.test.mean:.1f} %" in drawn["accuracy"]


def test_baselines_stand_in_the_accuracy_plot(drawn: dict[str, str]) -> None:
    baselines = {"baseline: majority class", "baseline: TF-IDF + logistic regression", "baseline: hard (zero-shot)"}
    assert baselines <= set(words(drawn["accuracy"]))


def test_cost_says_how_much_each_strategy_learns_and_sets_apart_what_trains_nothing(drawn: dict[str, str]) -> None:
    said = set(words(drawn["cost"]))
    assert {"soft: 3.8 K learnt", "hard (zero-shot) (baseline): nothing learnt", "none"} <= said
    assert "hard (zero-shot): no training" in drawn["cost"]


def test_cost_rings_the_rows_that_no_other_beats_in_time_and_accuracy(full: Summary, drawn: dict[str, str]) -> None:
    best = [with_shots(row.label, row.shots) for row in front([*featured(full), *full.baselines])]
    assert best
    assert f"No row is both faster and more accurate: {', '.join(best)}." in drawn["cost"]
    assert "no row is both faster and more accurate" in words(drawn["cost"])


@pytest.mark.parametrize("right", [True, False])
def test_black_text_is_read_on_every_cell_of_a_confusion_matrix(right: bool) -> None:
    def luminance(share: float) -> float:
        parts = tint(share, right=right)
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return float(np.dot((0.2126, 0.7152, 0.0722), linear))

    found = [luminance(share) for share in np.linspace(0, 1, 21)]
    assert all((value + 0.05) / 0.05 > 7 for value in found)
    assert found == sorted(found, reverse=True)
    assert max(tint(1.0, right=right)) - min(tint(1.0, right=right)) > 0.3, "a hue, not grey"


def test_many_long_variants_are_still_told_apart() -> None:
    names = tuple(f"a variant with a long name, number {number}" for number in range(3))
    svg = plots.variant_dots(summarise(fake_comparison(strategies=("soft",), variants={"soft": names}, seeds=(0,))))
    assert svg is not None
    assert all(any(line.endswith(f"number {number}") for line in words(svg)) for number in range(3))


def test_numeric_variants_are_a_curve_and_others_dots(drawn: dict[str, str]) -> None:
    curve, dots = words(drawn["variant-curves"]), words(drawn["variant-dots"])
    assert {"soft", "1", "5", "20"} <= set(curve)
    assert "pet" not in curve
    assert {"pet", "great / terrible", "good / bad"} <= set(dots)
    assert "soft" not in dots


@pytest.mark.parametrize("number", ["1e400", "1e-320"])
def test_numbers_that_no_axis_holds_are_names(number: str) -> None:
    names = {"soft": (f"lr={number}", "lr=1e308")}
    summary = summarise(fake_comparison(strategies=("soft",), variants=names, test_examples=40, seeds=(0,)))
    assert plots.variant_curves(summary) is None
    assert plots.variant_dots(summary) is not None


@pytest.mark.parametrize(("classes", "named"), [(29, 29), (36, 36), (150, 50)])
def test_very_many_classes_have_colours_alone(monkeypatch: pytest.MonkeyPatch, classes: int, named: int) -> None:
    summary = summarise(fake_comparison(strategies=("soft",), shots=(16,), seeds=(0,), test_examples=60))
    labels = tuple(f"{number}" for number in range(classes))

    def spread(row: Row) -> tuple[Any, Any]:
        return np.eye(classes), 2 * np.eye(classes)

    for row in summary.rows:
        for run in row.runs:
            object.__setattr__(run.record.task, "labels", labels)
    monkeypatch.setattr("promptkit.drawing.confusion.shares", spread)
    svg = plots.confusion(summary)
    assert svg is not None
    assert len(svg) < 400_000
    found = words(svg)
    assert not any("%" in word for word in found)
    assert len(set(labels) & set(found)) == named, "as many as there is room for"


def test_variants_of_two_options_are_no_curve() -> None:
    mixed = {"soft": ("tokens=1", "layers=5")}
    summary = summarise(fake_comparison(strategies=("soft",), variants=mixed, test_examples=40, seeds=(0,)))
    assert plots.variant_curves(summary) is None
    assert plots.variant_dots(summary) is not None


def test_confusion_counts_are_those_of_the_predictions(full: Summary) -> None:
    row = next(row for row in full.rows if row.label == "soft, tokens=5")
    share, count = shares(row)
    expected = np.zeros((2, 2))
    for run in row.runs:
        for true, predicted in zip(run.truth, run.predicted, strict=True):
            expected[true, predicted] += 1 / len(row.runs)
    np.testing.assert_allclose(count, expected)
    np.testing.assert_allclose(share.sum(axis=1), 1)
    assert row.test.mean == pytest.approx(np.trace(count) / count.sum())


def test_a_class_that_never_comes_up_has_a_share_of_nothing() -> None:
    def one_sided(run: StoredRun) -> StoredRun:
        return replace(run, truth=np.zeros_like(run.truth))

    summary = summarise(changed(fake_comparison(strategies=("soft",), seeds=(0,), test_examples=40), one_sided))
    share, _ = shares(summary.rows[-1])
    assert share[1].tolist() == [0, 0]
    svg = plots.confusion(summary)
    assert svg is not None
    assert "nan" not in svg.lower()


def test_the_mean_curve_ends_where_the_first_seed_stopped_and_a_loss_that_is_missing_leaves_a_gap() -> None:
    def shorter(run: StoredRun) -> StoredRun:
        record = run.record
        if not isinstance(record, RunRecord) or not record.history:
            return run
        kept = record.history[: 3 if record.options.seed == 0 else 4]
        history = (kept[0].model_copy(update={"loss": None}), *kept[1:])
        return replace(run, record=record.model_copy(update={"history": history}))

    comparison = fake_comparison(strategies=("soft",), baselines=(), shots=(16,), seeds=(0, 1), test_examples=40)
    svg = plots.learning_curves(summarise(changed(comparison, shorter)))
    assert svg is not None
    assert "from epoch 1 to 3" in svg
    assert "4" in words(svg)
    assert "nan" not in svg.lower()


def test_a_run_of_several_templates_counts_with_their_mean() -> None:
    def ensemble(run: StoredRun) -> StoredRun:
        record = run.record
        if not isinstance(record, RunRecord):
            return run
        history = tuple(
            Epoch(epoch=epoch, template=template, loss=0.5, dev_accuracy=0.4 + 0.2 * template)
            for template in (0, 1)
            for epoch in (1, 2)
        )
        return replace(run, record=record.model_copy(update={"history": history}))

    comparison = fake_comparison(strategies=("soft",), baselines=(), shots=(16,), seeds=(0,), test_examples=40)
    svg = plots.learning_curves(summarise(changed(comparison, ensemble)))
    assert svg is not None
    assert "dev accuracy 50.0 % to 50.0 % from epoch 1 to 2" in svg
