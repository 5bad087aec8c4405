"""Models by id: found in the caches, fetched when asked for, resumed, checked, and never half there."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from hosts import COMMIT, OTHER, Host

from promptkit.backbones.catalog import find_model
from promptkit.backbones.native.decoder.tokenizer import tokenizer_files
from promptkit.errors import UserError
from promptkit.hub import Access, revision_of

WEIGHTS = bytes(range(256)) * 400
FILES = {"config.json": b"{}", "model.safetensors": WEIGHTS, "vocab.txt": b"a\n", "README.md": b"#", "x.py": b"boom"}
NAMES = ["owner/tiny", "tiny", "hub:tiny", "ms:owner/tiny"]


def put(host: Host, name: str, files: dict[str, bytes] = FILES) -> None:
    """Let a host have a model under the name that a user gives it."""
    plain = name.removeprefix("hub:").removeprefix("ms:")
    host.put(plain, files, revision="master" if name.startswith("ms:") else COMMIT)


def left_behind(caches: Path) -> list[str]:
    """Return what lies in the caches, whole or not, but for what a cache says of itself."""
    return sorted(it.name for it in caches.rglob("*") if it.is_file() and it.name not in ("CACHEDIR.TAG", "main"))


@pytest.mark.parametrize("name", NAMES)
def test_a_model_is_fetched_and_then_found_without_the_network(host: Host, name: str, request) -> None:
    put(host, name)
    found = find_model(name, access=Access(mirror=host.url))
    # What promptkit does not read is not fetched: no code least of all.
    assert {it.name: it.read_bytes() for it in found.iterdir()} == {
        key: FILES[key] for key in ("config.json", "model.safetensors", "vocab.txt")
    }
    assert revision_of(found) == ("master" if name.startswith("ms:") else COMMIT)
    request.getfixturevalue("no_network")
    assert find_model(name) == found
    assert find_model(name, access=Access(download=True, mirror=host.url, offline=True)) == found


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.usefixtures("no_network")
def test_what_is_not_in_a_cache_is_not_asked_for(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for access in (Access(), Access(download=True, mirror="https://mirror.example", offline=True)):
        with pytest.raises(UserError, match="--offline keeps" if access.offline else "--download"):
            find_model(name, access=access)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(UserError, match="HF_HUB_OFFLINE keeps promptkit off the network"):
        find_model(name, access=Access(download=True))


@pytest.mark.parametrize("name", ["owner/tiny", "ms:owner/tiny"])
def test_a_download_that_breaks_off_goes_on_where_it_stopped(host: Host, name: str, caches: Path) -> None:
    put(host, name)
    # The second time nothing comes, which is no reason to give up.
    host.breaks["model.safetensors"] = [32_768, 0, 16_384]
    found = find_model(name, access=Access(mirror=host.url))
    assert (found / "model.safetensors").read_bytes() == WEIGHTS
    assert [first for path, first in host.asked if path == "model.safetensors"] == [0, 32_768, 32_768, 49_152]
    assert not [it for it in left_behind(caches) if "promptkit" in it]


@pytest.mark.parametrize("name", ["owner/tiny", "ms:owner/tiny"])
def test_the_same_command_goes_on_after_one_that_gave_up(host: Host, name: str, caches: Path) -> None:
    put(host, name)
    host.breaks["model.safetensors"] = [49_152, 0, 0, 0, 0]
    with pytest.raises(UserError) as refusal:
        find_model(name, access=Access(mirror=host.url))
    assert str(refusal.value) == (
        f"model '{name}' could not be downloaded: the connection to 127.0.0.1 broke off in 'model.safetensors' after "
        "49152 bytes of 102400; the same command goes on from there."
    )
    with pytest.raises(UserError, match="not in the local cache"):
        find_model(name)
    host.asked.clear()
    host.breaks.clear()
    found = find_model(name, access=Access(mirror=host.url))
    assert (found / "model.safetensors").read_bytes() == WEIGHTS
    assert ("model.safetensors", 49_152) in host.asked
    # What had come whole is not fetched again.
    assert "config.json" not in [path for path, _ in host.asked]


@pytest.mark.parametrize("name", ["owner/tiny", "ms:owner/tiny"])
@pytest.mark.parametrize("path", ["model.safetensors", "config.json"])
def test_a_wrong_checksum_is_refused_and_nothing_of_it_kept(host: Host, name: str, path: str, caches: Path) -> None:
    put(host, name)
    host.lies[path] = FILES[path][:-1] + b"?"
    with pytest.raises(UserError) as refusal:
        find_model(name, access=Access(mirror=host.url))
    assert str(refusal.value) == (
        f"model '{name}' could not be downloaded: '{path}' does not have the checksum that the host says; nothing of "
        "it was kept."
    )
    assert not [it for it in caches.rglob("*") if it.is_file() and it.read_bytes() == host.lies[path]]
    with pytest.raises(UserError, match="not in the local cache"):
        find_model(name)
    host.lies.clear()
    assert (find_model(name, access=Access(mirror=host.url)) / path).read_bytes() == FILES[path]


@pytest.mark.parametrize("name", ["owner/tiny", "ms:owner/tiny"])
def test_a_file_of_the_cache_that_was_damaged_is_fetched_again(host: Host, name: str) -> None:
    put(host, name)
    weights = find_model(name, access=Access(mirror=host.url)) / "model.safetensors"
    weights.resolve().write_bytes(WEIGHTS[:-2] + b"no")
    find_model(name, access=Access(mirror=host.url))
    assert weights.read_bytes() == WEIGHTS


def test_the_beginning_of_another_file_is_not_gone_on_with(host: Host, caches: Path) -> None:
    put(host, "ms:owner/tiny")
    part = caches / "ms/models/owner--tiny/.promptkit/master/model.safetensors.promptkit-part"
    part.parent.mkdir(parents=True)
    part.write_bytes(b"?" * (len(WEIGHTS) + 1))
    found = find_model("ms:owner/tiny", access=Access(mirror=host.url))
    assert (found / "model.safetensors").read_bytes() == WEIGHTS


@pytest.mark.parametrize("name", ["owner/tiny", "ms:owner/tiny"])
def test_several_at_once_do_not_disturb_each_other(host: Host, name: str, caches: Path) -> None:
    put(host, name)
    host.breaks["model.safetensors"] = [16_384] * 3
    found: list[Path] = []
    both = [
        threading.Thread(target=lambda: found.append(find_model(name, access=Access(mirror=host.url))))
        for _ in range(6)
    ]
    for each in both:
        each.start()
    for each in both:
        each.join(30)
    assert len(found) == 6
    assert {(it / "model.safetensors").read_bytes() for it in found} == {WEIGHTS}
    assert not [it for it in left_behind(caches) if "promptkit" in it]


def test_a_revision_is_the_one_that_is_loaded_and_stays_it(host: Host) -> None:
    host.put("owner/tiny", FILES)
    host.put("owner/tiny", {**FILES, "config.json": b"[]"}, revision=OTHER)
    host.commits |= {"v2": OTHER, "refs/pr/1": OTHER}
    access = Access(mirror=host.url)
    for revision in ("v2", "refs/pr/1", OTHER):
        found = find_model("owner/tiny", access=access, revision=revision)
        assert revision_of(found) == OTHER
        assert found == find_model("owner/tiny", revision=revision) == find_model(f"owner/tiny@{revision}")
        assert (found / "config.json").read_bytes() == b"[]"
    assert revision_of(find_model("owner/tiny", access=access)) == COMMIT
    # The branch moves on; the commit is still the same model.
    host.commits["main"] = OTHER
    assert revision_of(find_model("owner/tiny", access=access)) == OTHER
    assert revision_of(find_model("owner/tiny", revision=COMMIT)) == COMMIT


@pytest.mark.parametrize(
    ("name", "revision", "expected"),
    [
        ("owner/tiny@a", "b", "'owner/tiny@a' names a revision, and --revision b another one"),
        ("owner/tiny", "../../x", "--revision takes a branch, a tag or a commit"),
        ("promptkit-mini", "main", "is at hand and has no revisions"),
        ("ms:tiny", None, "lacks an owner"),
        ("owner/tiny:part", None, "behind the colon stands a GGUF file, NAME.gguf"),
    ],
)
def test_ids_that_cannot_be_are_one_line(name: str, revision: str | None, expected: str) -> None:
    with pytest.raises(UserError, match=expected):
        find_model(name, access=Access(mirror="https://mirror.example"), revision=revision)


@pytest.mark.parametrize("name", ["owner/tiny-GGUF", "ms:owner/tiny-GGUF"])
def test_one_gguf_file_of_several_is_named_behind_a_colon(host: Host, name: str, request) -> None:
    put(host, name, {"tiny-q4_0.gguf": WEIGHTS, "tiny-q8_0.gguf": WEIGHTS * 2, "README.md": b"#"})
    access = Access(mirror=host.url)
    with pytest.raises(UserError, match=r"it holds GGUF files; name one behind a colon, e\.g\. :tiny-q4_0\.gguf\.$"):
        find_model(name, access=access)
    with pytest.raises(
        UserError, match=r"unknown GGUF file 'tiny-q4\.gguf'\. Did you mean 'tiny-q4_0\.gguf'\? Known: "
    ):
        find_model(f"{name}:tiny-q4.gguf", access=access)
    found = find_model(f"{name}:tiny-q8_0.gguf", access=access)
    assert (found.name, found.read_bytes()) == ("tiny-q8_0.gguf", WEIGHTS * 2)
    assert not (found.parent / "tiny-q4_0.gguf").exists()
    assert revision_of(found) == ("master" if name.startswith("ms:") else COMMIT)
    request.getfixturevalue("no_network")
    assert find_model(f"{name}:tiny-q8_0.gguf") == found
    # The folder is in the cache, the other file is not.
    with pytest.raises(UserError, match="in the local cache in part only; add --download"):
        find_model(f"{name}:tiny-q4_0.gguf")


def test_a_cache_that_holds_a_tokenizer_alone_is_no_model(host: Host, request) -> None:
    """Another program may have fetched no more than that."""
    put(host, "owner/tiny")
    (find_model("owner/tiny", access=Access(mirror=host.url)) / "model.safetensors").unlink()
    request.getfixturevalue("no_network")
    with pytest.raises(UserError, match="in the local cache in part only; add --download"):
        find_model("owner/tiny")


def test_split_weights_come_with_their_index(host: Host) -> None:
    split = {f"model-0000{n}-of-00002.safetensors": bytes([n]) * 9 for n in (1, 2)}
    put(host, "owner/tiny", {"config.json": b"{}", "model.safetensors.index.json": b"{}", **split})
    assert len(list(find_model("owner/tiny", access=Access(mirror=host.url)).iterdir())) == 4


@pytest.mark.parametrize("name", ["owner/tiny", "ms:owner/tiny"])
def test_a_pickle_is_refused_before_it_is_fetched(host: Host, name: str) -> None:
    put(host, name, {"config.json": b"{}", "pytorch_model.bin": WEIGHTS, "vocab.txt": b"a"})
    with pytest.raises(
        UserError, match=r"its weights are a pickle \(pytorch_model.bin\).*--revision.*save_pretrained"
    ):
        find_model(name, access=Access(mirror=host.url))
    assert host.asked == []


def test_paths_that_lead_elsewhere_are_refused(host: Host, caches: Path) -> None:
    for name in ("owner/tiny", "ms:owner/tiny"):
        put(host, name, {"config.json": b"{}", "../model.safetensors": b"", "model.safetensors": b""})
        with pytest.raises(UserError, match="lists its files in a way that is not"):
            find_model(name, access=Access(mirror=host.url))
    assert left_behind(caches) == []


@pytest.mark.parametrize(
    ("mirror", "expected"),
    [
        ("ftp://mirror.example", "the mirror is no address"),
        ("http://127.0.0.1:9", "127.0.0.1 cannot be reached"),
        (None, "127.0.0.1 does not allow it"),
    ],
)
def test_a_host_that_has_nothing_is_one_line(host: Host, mirror: str | None, expected: str) -> None:
    with pytest.raises(UserError, match=f"^model 'owner/none' could not be downloaded: {expected}"):
        find_model("owner/none", access=Access(mirror=mirror or host.url))


@pytest.mark.parametrize("name", ["owner/tiny", "ms:owner/tiny"])
def test_an_endpoint_of_the_environment_is_a_mirror(host: Host, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    put(host, name)
    monkeypatch.setenv("MODELSCOPE_ENDPOINT", host.url)
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", host.url)
    with pytest.raises(UserError, match="add --download"):
        find_model(name)
    assert host.asked == []
    assert (find_model(name, access=Access(download=True)) / "model.safetensors").read_bytes() == WEIGHTS


def test_what_an_older_client_of_modelscope_fetched_is_found(caches: Path) -> None:
    older = caches / "ms" / "hub" / "models" / "owner" / "tiny-0___5b"
    older.mkdir(parents=True)
    for name in ("config.json", "model.safetensors"):
        (older / name).write_text("{}")
    assert find_model("ms:owner/tiny-0.5b") == older


@pytest.mark.parametrize("name", ["owner/tiny", "ms:owner/tiny"])
def test_a_listing_that_breaks_off_is_asked_for_again(host: Host, name: str, monkeypatch) -> None:
    monkeypatch.setattr("promptkit.hub.transfer._WAIT", 0.0)
    put(host, name)
    host.breaks["a listing"] = [7, 0]
    assert (find_model(name, access=Access(mirror=host.url)) / "model.safetensors").read_bytes() == WEIGHTS
    host.breaks["a listing"] = [7] * 9
    with pytest.raises(UserError, match=r"could not be downloaded: 127\.0\.0\.1 cannot be reached, or is busy"):
        find_model(name, access=Access(mirror=host.url))


def test_all_that_a_tokenizer_is_read_from_is_fetched(host: Host, tmp_path: Path) -> None:
    """What is read where it happens to lie, and not fetched, would give two fingerprints to one model."""
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        (tmp_path / name).write_text("{}", encoding="utf-8")
    names = [read.name for read in tokenizer_files(tmp_path)]
    assert "chat_template.jinja" in names
    put(host, "owner/tiny", {**FILES, **dict.fromkeys(names, b"{}")})
    found = find_model("owner/tiny", access=Access(mirror=host.url))
    assert {it.name for it in found.iterdir()} >= set(names)
