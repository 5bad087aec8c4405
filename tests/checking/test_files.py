"""Only regular files of whole characters are read; everything else is one line, and nothing hangs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from promptkit.checking import check_encoding, decode, missing, read_bytes, read_text, user_path
from promptkit.errors import UserError


def refusal(path: Path, **options: object) -> str:
    with pytest.raises(UserError) as caught:
        read_text(path, **options)  # type: ignore[arg-type]
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 500
    return message


def test_a_pipe_is_refused_without_waiting_for_its_writer(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.json")
    assert "is a pipe, not a file" in refusal(tmp_path / "pipe.json")


def test_folders_and_devices_are_no_files(tmp_path: Path) -> None:
    assert "is a folder, not a file" in refusal(tmp_path)
    assert "is a device, not a file" in refusal(Path("/dev/zero"))


def test_links_that_lead_nowhere(tmp_path: Path) -> None:
    (tmp_path / "circle").symlink_to(tmp_path / "circle")
    (tmp_path / "dangling").symlink_to(tmp_path / "gone")
    assert "symbolic links" in refusal(tmp_path / "circle")
    assert "is a symbolic link that leads nowhere" in refusal(tmp_path / "dangling")
    assert "Did you mean" not in str(missing(tmp_path / "circle"))


def test_names_that_no_file_can_have(tmp_path: Path) -> None:
    assert "name too long" in refusal(tmp_path / ("x" * 5_000)).lower()
    assert "holds a NUL" in refusal(tmp_path / "a\0b")
    assert "the name is too long" in str(missing(tmp_path / ("x" * 300)))


def test_a_missing_file_names_the_nearest(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    assert "Did you mean 'config.json'?" in refusal(tmp_path / "confg.json")


def test_too_large_and_empty(tmp_path: Path) -> None:
    (tmp_path / "large").write_text("x" * 1_001)
    (tmp_path / "empty").write_text(" \n")
    assert "is too large: 1,001 bytes; at most 1,000 are read" in refusal(tmp_path / "large", most=1_000)
    assert "is empty" in refusal(tmp_path / "empty")
    assert read_bytes(tmp_path / "empty", may_be_empty=True) == b" \n"


def test_bytes_that_are_no_text_are_placed(tmp_path: Path) -> None:
    (tmp_path / "text").write_bytes(b"\xef\xbb\xbfone\ntwo \xff")
    assert "line 2, byte 5: not UTF-8 (0xff)" in refusal(tmp_path / "text")


CHINESE = "房间很干净，服务也不错。\n"


@pytest.mark.parametrize("encoding", [None, "utf-8", "ascii"])
@pytest.mark.parametrize("text", [CHINESE, "text,label\n" + CHINESE, "ok\n" * 50_000 + "好", CHINESE * 5_001])
def test_bytes_that_look_chinese_get_the_encoding_of_chinese(tmp_path: Path, text: str, encoding: str | None) -> None:
    (tmp_path / "a.csv").write_bytes(text.encode("gb18030"))
    assert refusal(tmp_path / "a.csv", encoding=encoding).endswith("name its encoding, e.g. --encoding gb18030.")


@pytest.mark.parametrize(
    "content",
    [
        "Schön, très bien".encode("cp1252"),
        "schön".encode("cp1252"),
        "à la crème brûlée, ".encode() + b"\xe9t\xe9s",
        "дом".encode("cp1251"),
        "房間很乾淨，服務也不錯。".encode("big5"),
        "部屋がとてもきれいでした".encode("shift_jis"),
        CHINESE.encode("gb18030")[:-2] + b"\xff\n",
        CHINESE.encode()[:-2],
        ("很好" * 5).encode()[:-1],
    ],
)
def test_other_bytes_are_not_called_chinese(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.csv").write_bytes(content)
    assert refusal(tmp_path / "a.csv").endswith("name its encoding, e.g. --encoding cp1252.")


def test_a_chinese_file_that_breaks_off_is_not_told_the_encoding_it_has(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes("很好".encode("gb18030")[:-1])
    assert "cp1252" in refusal(tmp_path / "a.csv", encoding="gb18030")


@pytest.mark.parametrize("name", ["undefined", "base64", "rot13", "hex", "utf-9", "a\0b", "\ud800", "x" * 9_999, ""])
def test_what_is_no_text_encoding(name: str) -> None:
    with pytest.raises(UserError, match="unknown encoding") as caught:
        check_encoding(name)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "name", ["idna", "punycode", "utf-7", "utf-16", "unicode_escape", "shift_jis", "raw_unicode_escape"]
)
@pytest.mark.parametrize(
    "content", [b"\\ud800", b"\\", b"+2AA-", b"\xff\xfe\x00", b"xn--\xff-", b"+", b"x" * 200 + b"-\xff"]
)
def test_every_encoding_gives_text_or_one_line(name: str, content: bytes) -> None:
    try:
        decode(content, Path("file"), name).encode()
    except UserError as error:
        assert str(error).startswith("file")  # noqa: PT017


def test_a_home_that_is_not_there() -> None:
    with pytest.raises(UserError, match="no such home directory"):
        user_path("~nobody-of-this-name/data.csv")
    assert user_path("a/b") == Path("a/b")
