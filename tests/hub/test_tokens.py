"""A token is sent to the host it is for, and stands nowhere else: no error, log, record or file."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from hosts import COMMIT, Host, serving

from promptkit.backbones.catalog import find_model
from promptkit.errors import UserError
from promptkit.hub import Access

TOKEN = "hf_QuiteSecretTokenOfATest0123456789"
FILES = {"config.json": b"{}", "model.safetensors": b"0" * 500}


@pytest.fixture(autouse=True)
def tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.setenv("MODELSCOPE_API_TOKEN", TOKEN)


@pytest.mark.parametrize(("name", "revision"), [("owner/tiny", COMMIT), ("ms:owner/tiny", "master")])
def test_a_token_is_sent_and_seen_nowhere(
    host: Host, name: str, revision: str, caches: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    host.put("owner/tiny", FILES, revision=revision)
    host.breaks["model.safetensors"] = [100, 0, 0, 0, 0, 0]
    said = []
    for mirror in (host.url, host.url, "http://127.0.0.1:9"):
        try:
            find_model(name, access=Access(mirror=mirror))
        except UserError as error:
            said.append(f"{error!r} {error.__cause__!r}")
    assert len(said) == 2
    assert set(host.tokens) == {f"Bearer {TOKEN}"}
    written = [it.read_bytes() for it in caches.rglob("*") if it.is_file()]
    assert not any(TOKEN in it for it in (*said, caplog.text, *capfd.readouterr()))
    assert not any(TOKEN.encode() in it for it in written)


def test_a_password_in_a_mirror_is_in_no_error() -> None:
    for mirror in ("http://me:secret@127.0.0.1:9", "me:secret@mirror"):
        with pytest.raises(UserError) as refusal:
            find_model("owner/tiny", access=Access(mirror=mirror))
        assert "secret" not in str(refusal.value)


def test_no_token_goes_to_another_host(host: Host) -> None:
    """A host may send one on, as the Hub does for large files."""
    host.put("owner/tiny", FILES)
    with serving(Host(files=host.files)) as other:
        # 127.0.0.1 and localhost are two hosts to whoever keeps secrets apart.
        elsewhere = other.url.replace("127.0.0.1", "localhost")
        host.redirects = elsewhere
        find_model("owner/tiny", access=Access(mirror=host.url))
        assert set(other.tokens) == {None}
