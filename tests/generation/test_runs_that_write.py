"""Answers that a metric has written: what a run does where none can be, and the key it goes by."""

from __future__ import annotations

from typing import Any, NoReturn

import pytest

pytest.importorskip("mindspore")

import promptkit
from promptkit import UserError
from promptkit.running.config import make_config
from promptkit.running.plan import make_plan

ASKING: dict[str, Any] = {"strategy": "hard", "templates": ("{instruction} ? {mask}",)}


def test_answers_that_cannot_be_written_do_not_cost_the_run(
    asked: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> NoReturn:
        raise UserError("it is dumb.")

    monkeypatch.setattr("promptkit.generation.writing.write", fail)
    record = promptkit.run(**ASKING, **asked, limit=1, metrics=("rouge",), save=False).record
    assert "no answers were written: it is dumb." in record.warnings
    assert record.test.perplexity > 1


def test_an_engine_that_writes_none_is_refused_before_anything_is_trained(
    asked: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("promptkit.backbones.face.Writing", type("NotThisOne", (), {}))
    monkeypatch.setattr("promptkit.running.rounds.run_rounds", lambda *_: pytest.fail("it went on"))
    with pytest.raises(
        UserError, match="--metric has answers written, and engine 'native' writes none; leave it out"
    ):
        promptkit.run(**ASKING, **asked, metrics=("rouge",), save=False)


def test_how_long_answers_may_be_is_in_the_key(asked: dict[str, Any]) -> None:
    keys = {make_plan(make_config(**ASKING, **{**asked, "max_tokens": count})).key for count in (8, 8, 9)}
    assert len(keys) == 2
