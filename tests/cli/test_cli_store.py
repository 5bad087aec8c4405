"""What `promptkit run` leaves in the store and in a checkpoint folder."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from promptkit.runs import Store

pytest.importorskip("mindspore")


def small(call, model, data, *more):
    return call("run", "--data", data, "--model", model, "--mode", "pynative", "--shots", "4", "--quiet", *more)


def test_a_run_is_listed_unless_it_has_a_place_of_its_own(call, model, reviews, place):
    assert small(call, model, reviews, "--strategy", "hard").code == 0
    assert small(call, model, reviews, "--strategy", "hard", "--out", "mine").code == 0
    with Store.open(place / "runs", create=False) as store:
        runs = store.runs()
    assert [run.name for run in runs] == ["hard-reviews-4shot-s0-001"]
    assert call("runs", "list").out.count("hard-reviews") == 1
    answer = call("predict", "1", "the film was great", "--json")
    assert answer.code == 0, answer.err


def test_a_store_that_cannot_be_used_is_found_before_the_training(call, model, reviews, place):
    (place / "runs").mkdir()
    with sqlite3.connect(place / "runs" / "store.sqlite3") as connection:
        connection.execute("CREATE TABLE other (x)")
    answer = small(call, model, reviews, "--strategy", "hard")
    assert answer.code == 2
    assert len(answer.err.splitlines()) == 1
    assert [path.name for path in (place / "runs").iterdir()] == ["store.sqlite3"]


def test_a_checkpoint_is_kept_and_belongs_to_its_run(call, model, reviews, place):
    soft = ("--strategy", "soft", "--set", "tokens=2", "--epochs", "2", "--checkpoint", "state")
    first = small(call, model, reviews, *soft)
    assert first.code == 0, first.err
    assert [path.name for path in Path("state").iterdir()] == ["member-0.safetensors"]
    again = small(call, model, reviews, *soft)
    assert again.code == 0
    with Store.open(place / "runs", create=False) as store:
        one, two = (run.record for run in store.runs())
    assert (one.history, one.test) == (two.history, two.test)
    other = small(call, model, reviews, *soft, "--lr", "0.5")
    assert other.code == 2
    assert "'state' holds the state of another run" in other.err
