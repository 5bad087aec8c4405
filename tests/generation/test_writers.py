"""How a writer chooses tokens is as it is asked, through each of its doors; its prompts leave room for the answer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("mindspore")

import promptkit
from promptkit.cli import main
from promptkit.generation import Sampling, pick
from promptkit.running.writer import make_writer

TEMPLATE, TEXT = "{text} ? {mask}", "the film was good"


@pytest.fixture
def asked_for(monkeypatch: pytest.MonkeyPatch) -> list[Sampling]:
    """How each token that is written was to be chosen."""
    found: list[Sampling] = []

    def note(scores: Any, how: Sampling, rng: Any) -> int:
        found.append(how)
        return pick(scores, how, rng)

    monkeypatch.setattr("promptkit.generation.writing.pick", note)
    return found


@pytest.mark.parametrize("door", ["whole", "stream", "command", "command of several"])
def test_temperature_top_p_and_seed_say_how_tokens_are_chosen(
    place: Path, asked_for: list[Sampling], capsys: pytest.CaptureFixture[str], door: str
) -> None:
    model, how = str(place / "model"), {"temperature": 0.7, "top_p": 0.9, "seed": 3}
    if door.startswith("command"):
        options = [f"--{name.replace('_', '-')}={value}" for name, value in how.items()]
        asking = ["--model", model, "--template", TEMPLATE, "--max-tokens", "1"]
        assert main(["generate", *asking, *options, TEXT, *([TEXT] if "several" in door else [])]) == 0
        capsys.readouterr()
    else:
        writer = make_writer(model, TEMPLATE, max_tokens=1)
        assert list(writer.write([TEXT], **how) if door == "whole" else writer.stream(TEXT, **how))
    assert set(asked_for) == {Sampling(0.7, 0.9, 3)}


def test_a_loaded_prompt_leaves_room_for_the_answer(asked: dict[str, Any], tmp_path: Path) -> None:
    """The model holds 160 tokens, which its prompts may fill as far as the run says."""
    settings = {**asked, "max_length": 160, "max_tokens": 2, "limit": 1, "templates": ("{instruction} ? {mask}",)}
    promptkit.run("hard", **settings, out=tmp_path / "run")
    writer = promptkit.load_writer(tmp_path / "run")
    assert len(writer.write([f"{TEXT} " * 50])) == 1
