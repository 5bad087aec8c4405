"""From a name to a checkpoint directory: what is asked of hosts, and what is said where there is nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from promptkit.backbones.catalog import find_model
from promptkit.errors import UserError
from promptkit.hub import Access


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[tuple[str, bool]]:
    """A host that has bert-base-chinese in its cache; lists (name, fetched)."""
    asked: list[tuple[str, bool]] = []

    def snapshot(wanted: Any, access: Access, hint: str = "") -> Path:
        asked.append((wanted.id.name, access.fetches))
        if wanted.id.name != "bert-base-chinese":
            raise UserError(f"model '{wanted.id}' could not be downloaded: nothing.{hint}")
        return tmp_path

    monkeypatch.setattr("promptkit.backbones.catalog.find_snapshot", snapshot)
    monkeypatch.chdir(tmp_path)
    return asked


@pytest.mark.parametrize("how", [{"download": True}, {"mirror": "https://mirror.example"}])
def test_a_hub_id_needs_no_owner(hub: list[tuple[str, bool]], tmp_path: Path, how: dict[str, Any]) -> None:
    assert find_model("bert-base-chinese", access=Access(**how)) == tmp_path
    assert find_model("bert-base-chinese") == tmp_path
    assert hub == [("bert-base-chinese", True), ("bert-base-chinese", False)]


@pytest.mark.parametrize(
    ("offline", "advice"), [(False, "add --download"), (True, "--offline keeps promptkit off the network")]
)
def test_an_unknown_name_without_download_is_no_more_than_looked_for_in_the_cache(
    hub: list[tuple[str, bool]], offline: bool, advice: str
) -> None:
    with pytest.raises(UserError) as refusal:
        find_model("promptkit-mimi", access=Access(offline=offline))
    assert str(refusal.value) == (
        "unknown model 'promptkit-mimi'. Did you mean 'promptkit-mini'? Known: promptkit-mini. "
        f"If it is a model of the Hub, {advice}."
    )
    assert hub == [("promptkit-mimi", False)]


def test_a_misspelt_name_that_the_hub_does_not_have_gets_the_near_one(hub: list[tuple[str, bool]]) -> None:
    with pytest.raises(UserError, match=r"nothing\. Did you mean 'promptkit-mini'\?$"):
        find_model("promptkit-mimi", access=Access(download=True))


@pytest.mark.parametrize("name", ["nil?", "two words", "a/b/c", "a\nb", "../up", "a@b@c"])
def test_what_is_no_id_is_not_asked_for(hub: list[tuple[str, bool]], name: str) -> None:
    with pytest.raises(UserError, match="unknown model"):
        find_model(name, access=Access(download=True))
    assert hub == []


def test_shipped_models_and_directories_come_before_the_hub(hub: list[tuple[str, bool]], tmp_path: Path) -> None:
    (tmp_path / "bert-base-chinese").mkdir()
    assert find_model("bert-base-chinese", access=Access(download=True)) == Path("bert-base-chinese")
    assert (find_model("promptkit-mini", access=Access(download=True)) / "config.json").is_file()
    assert hub == []
