"""A prompt that hardly moved is said to have hardly moved: in the figures, in the text and on the page."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("mindspore")

from chromium import CHROMIUM
from page_of_inspection import widths_on_a_phone

from promptkit.inspection import attribute, inspect_prompt
from promptkit.inspection.movement import TOLERANCE, Movement, movement
from promptkit.inspection.page import attribution_page, report_page
from promptkit.inspection.picture import draw
from promptkit.inspection.text import cosine_text, distance_text, movement_text, report_text, short_name

SOFT = "{soft:4}{text} it was {mask} ."
Artifact = Callable[..., Path]


def went(moved: list[float], norms: list[float] | None = None, cosines: list[float] | None = None) -> Movement:
    size = len(moved)
    return movement(
        [f"V{i}" for i in range(size)],
        np.array(moved),
        np.array(norms or [1.0] * size),
        np.array(cosines or [1.0] * size),
        scale=2.0,
    )


def test_the_tolerance_is_a_share_of_the_norm_that_each_token_started_with() -> None:
    found = went([0.1, 0.1], norms=[1.0, 0.5], cosines=[0.999, 0.98])
    assert (found.within, found.of, found.hardly_moved) == (1, 2, False)
    assert (found.furthest, found.largest_move, found.lowest_cosine) == ("V1", 0.1, 0.98)
    assert found.largest_share == pytest.approx(0.2)
    assert went([TOLERANCE]).hardly_moved
    assert not went([TOLERANCE * 1.01]).hardly_moved


def test_a_token_that_started_as_nothing_is_held_against_the_words() -> None:
    assert went([0.1], norms=[0.0]).largest_share == pytest.approx(0.05)


def test_it_is_said_in_words_with_the_figures() -> None:
    assert movement_text(went([0.0, 0.0])).startswith("The prompt did not move: every virtual token is where")
    text = movement_text(went([0.005, 0.002], cosines=[0.99996, 1.0]))
    assert text.startswith("The prompt hardly moved: no virtual token went further than 10 % of the norm it started")
    assert "Furthest went V0: 0.005, 0.5 % of the norm it started with; the lowest cosine" in text
    assert "cosine to the start is 0.9999." in text
    assert text.endswith("Nearest words tell how it was initialised, not what it learnt.")
    assert movement_text(went([0.5, 0.01])).startswith("1 of 2 virtual tokens hardly moved")
    far = movement_text(went([2.0, 0.5]))
    assert far.startswith("Every virtual token went further than 10 % of the norm it started with.")
    assert "Furthest went V0: 2.00, 200 % of" in far
    assert "initialised" not in far


def test_small_figures_are_not_rounded_away() -> None:
    assert [distance_text(value) for value in (0.0, 0.0053, 0.12, 1.678)] == ["0.00", "0.0053", "0.12", "1.68"]
    assert [cosine_text(value) for value in (1.0, 0.99999, 0.5, -0.3)] == ["1.0000", "0.9999", "0.5000", "-0.3000"]


def test_text_page_and_json_say_it(artifact: Artifact) -> None:
    still = inspect_prompt(artifact("soft", SOFT, change=lambda path, tensor: tensor * np.float32(1.001)))
    said = "The prompt hardly moved"
    assert said in report_text(still)
    assert said in report_page(still)
    (plain,) = json.loads(json.dumps(still.to_dict()))["templates"]
    assert plain["movement"]["hardly_moved"] is True
    assert plain["movement"]["tolerance"] == TOLERANCE
    assert 0 < plain["movement"]["largest_move"] < 0.1
    far = inspect_prompt(artifact("soft", SOFT, change=lambda path, tensor: tensor * np.float32(2)))
    assert said not in report_text(far) + report_page(far)
    assert not far.templates[0].movement.hardly_moved


def test_where_a_token_started_is_seen_around_one_that_stayed(artifact: Artifact) -> None:
    from promptkit.inspection.picture import _LOOKS

    assert "where it started" in draw(inspect_prompt(artifact("soft", SOFT)))
    assert _LOOKS["start"]["markersize"] > _LOOKS["token"]["markersize"] + 3
    assert _LOOKS["start"]["markerfacecolor"] == "none"


def test_no_path_of_the_machine_is_on_a_page(artifact: Artifact, tmp_path: Path) -> None:
    import promptkit

    path = artifact("soft", SOFT)
    report = inspect_prompt(path)
    page = report_page(report) + attribution_page(attribute(promptkit.load(path), "good film"), str(path))
    assert str(tmp_path) not in page + report_text(report)
    assert str(Path(report.model).parent) not in page + report_text(report)
    assert path.name in page
    assert "bert-odd" in page


def test_runs_and_models_are_called_by_their_names() -> None:
    names = ("/a/b/soft-1", "runs/mine/soft-1/prompt.safetensors", "soft-1", "google-bert/bert-base", "7", "/")
    assert [short_name(name) for name in names] == ["soft-1", "soft-1", "soft-1", "google-bert/bert-base", "7", "/"]


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="no chromium on PATH to open the page in")
def test_nothing_of_a_page_is_cut_on_a_phone(artifact: Artifact, tmp_path: Path) -> None:
    def widen(path: str, tensor: Any) -> Any:
        return tensor + np.float32(0.25)

    page = report_page(inspect_prompt(artifact("soft", SOFT, change=widen), nearest=9))
    view, widest, last = widths_on_a_phone(page, tmp_path)
    assert widest <= view, last
