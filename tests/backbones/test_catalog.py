"""From a name to a checkpoint directory: what is asked of the Hub, and what is said where there is nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from promptkit.backbones.catalog import find_model
from promptkit.errors import UserError


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[tuple[str, bool]]:
    """A Hub that has bert-base-chinese, in its cache too once it was fetched; lists (name, fetched)."""
    asked: list[tuple[str, bool]] = []

    def snapshot(name: str, *, local_files_only: bool, **_: Any) -> str:
        there = ("bert-base-chinese", True) in asked
        asked.append((name, not local_files_only))
        if name != "bert-base-chinese" or (local_files_only and not there):
            raise OSError("404 Client Error.\nRepository Not Found")
        return str(tmp_path)

    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot)
    monkeypatch.chdir(tmp_path)
    return asked


@pytest.mark.parametrize("how", [{"download": True}, {"mirror": "https://mirror.example"}])
def test_a_hub_id_without_an_owner_is_fetched_and_then_found(
    hub: list[tuple[str, bool]], tmp_path: Path, how: dict[str, Any]
) -> None:
    assert find_model("bert-base-chinese", **how) == tmp_path
    assert find_model("bert-base-chinese") == tmp_path
    assert hub == [("bert-base-chinese", True), ("bert-base-chinese", False)]


def test_an_unknown_name_without_download_is_no_more_than_looked_for_in_the_cache(
    hub: list[tuple[str, bool]],
) -> None:
    with pytest.raises(UserError) as refusal:
        find_model("promptkit-mimi")
    assert str(refusal.value) == (
        "unknown model 'promptkit-mimi'. Did you mean 'promptkit-mini'? Known: promptkit-mini. "
        "If it is a model of the Hub, add --download."
    )
    assert hub == [("promptkit-mimi", False)]


def test_a_misspelt_name_that_the_hub_does_not_have_gets_the_near_one(hub: list[tuple[str, bool]]) -> None:
    with pytest.raises(UserError) as refusal:
        find_model("promptkit-mimi", download=True)
    assert str(refusal.value) == (
        "model 'promptkit-mimi' could not be downloaded: 404 Client Error. Did you mean 'promptkit-mini'?"
    )


@pytest.mark.parametrize("name", ["nil?", "two words", "a/b/c", "a\nb"])
def test_what_is_no_hub_id_is_not_asked_for(hub: list[tuple[str, bool]], name: str) -> None:
    with pytest.raises(UserError, match="unknown model"):
        find_model(name, download=True)
    assert hub == []


def test_shipped_models_and_directories_come_before_the_hub(hub: list[tuple[str, bool]], tmp_path: Path) -> None:
    (tmp_path / "bert-base-chinese").mkdir()
    assert find_model("bert-base-chinese", download=True) == Path("bert-base-chinese")
    assert (find_model("promptkit-mini", download=True) / "config.json").is_file()
    assert hub == []
