"""The frame of the command line: help, usage, exit codes, start-up, plugins."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from types import SimpleNamespace
from typing import Any

import pytest

import promptkit
from promptkit.cli import app as cli_app
from promptkit.hooks import PluginHost, get_host, hookimpl

COMMANDS = (
    "run",
    "compare",
    "report",
    "runs",
    "predict",
    "inspect",
    "preview",
    "strategies",
    "models",
    "datasets",
)
HEAVY = ("mindspore", "evaluate", "datasets", "sklearn", "pandas", "huggingface_hub")
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}


def process(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "promptkit", *arguments],
        capture_output="stdout" not in options,
        text=True,
        env=ENVIRONMENT,
        timeout=60,
        check=False,
        **options,
    )


@pytest.mark.parametrize("arguments", [(), ("--help",), ("-h",)])
def test_help_lists_every_command(call, arguments):
    answer = call(*arguments)
    assert (answer.code, answer.err) == (0, "")
    listed = answer.out.partition("Commands:")[2].splitlines()
    assert {line.split()[0] for line in listed if line.strip()} >= set(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_and_plain_text_without_boxes(call, command):
    answer = call(command, "--help")
    assert answer.code == 0
    assert answer.out.startswith(f"Usage: promptkit {command} ")
    assert "─" not in answer.out


def test_version(call):
    assert call("--version").out == f"promptkit {promptkit.__version__}\n"


def test_the_module_is_the_same_program():
    assert process("--version").stdout == f"promptkit {promptkit.__version__}\n"


@pytest.mark.parametrize(
    ("command", "unwanted"),
    [
        ("--help", (*HEAVY, "numpy")),
        ("strategies", (*HEAVY, "numpy")),
        ("run --help", (*HEAVY, "numpy")),
        ("compare --help", (*HEAVY, "numpy")),
        ("models", HEAVY),
        ("datasets", HEAVY),
        ("preview", HEAVY),
        ("run --strategy sfot", HEAVY),
        ("report", HEAVY),
        ("runs list", HEAVY),
        ("inspect nowhere", HEAVY),
    ],
)
def test_nothing_heavy_is_imported(command, unwanted):
    code = (
        f"import sys; from promptkit.cli import main; main({command.split()!r}); "
        f"print('heavy:', [name for name in {unwanted!r} if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=ENVIRONMENT, timeout=60, check=False
    )
    assert done.stdout.splitlines()[-1] == "heavy: []"


def seconds(*arguments: str) -> tuple[float, float]:
    """Run Python; return its seconds by the clock and those it had a processor for."""
    started = time.perf_counter()
    process = subprocess.Popen([sys.executable, *arguments], stdout=subprocess.DEVNULL, env=ENVIRONMENT)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return time.perf_counter() - started, used.ru_utime + used.ru_stime


LIBRARIES = "import pydantic, typer, typer.rich_utils"  # what the command line cannot do without


@pytest.mark.parametrize("command", ["--help", "strategies", "run --help", "compare --help"])
def test_it_answers_in_half_a_second(command):
    """Of a machine that does nothing else: a process that only computes tells how much slower it is just now.

    Where the libraries alone take more than a fifth of a second the machine is slow, and has as much more time.
    """

    def answer(*arguments: str) -> tuple[float, float]:
        clock, processor = seconds("-c", "import time\nwhile time.process_time() < 0.2: pass")
        waited, computed = seconds(*arguments)
        return waited * min(1.0, processor / clock), computed

    # The best of some: a moment's load must not fail the test, a heavy import must.
    libraries, answers = [], []
    for _ in range(4):
        libraries.append(answer("-c", LIBRARIES))
        answers.append(answer("-m", "promptkit", *command.split()))
    for needed, taken in zip(zip(*libraries, strict=True), zip(*answers, strict=True), strict=True):
        assert min(taken) < 0.5 * max(1.0, min(needed) / 0.2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["rnu"], "unknown command 'rnu'. Did you mean 'run'?"),
        (["--vershun"], "no such option '--vershun'. Did you mean '--version'?"),
        (["run", "--strategyy", "soft"], "no such option '--strategyy'. Did you mean '--strategy'?"),
        (["preview", "--tmplate", "x"], "no such option '--tmplate'. Did you mean '--template'?"),
        (["run"], "missing option '--strategy'."),
        (["predict"], "missing argument 'RUN'."),
        (["run", "--strategy"], "'--strategy' requires an argument"),
        (["run", "--strategy", "soft", "--seed", "one"], "invalid value for '--seed'"),
        (["models", "extra"], "unexpected extra argument"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(call, arguments, message):
    answer = call(*arguments)
    assert answer.code == 2
    assert answer.out == ""
    assert answer.err.startswith("error: ")
    assert answer.err.count("\n") == 1
    assert message in answer.err.replace("Option '--strategy'", "'--strategy'")


def test_bytes_that_are_no_text_are_the_users_error(call):
    answer = call("predict", "run", "\udcff")
    assert (answer.code, answer.err) == (2, "error: argument 3 of the command line is not valid UTF-8.\n")


def test_a_reader_that_goes_away_is_met_with_silence():
    reader, writer = os.pipe()
    os.close(reader)
    done = process("datasets", stdout=writer, stderr=subprocess.PIPE)
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, "")


def test_a_character_the_terminal_cannot_show_ends_nothing():
    done = subprocess.run(
        [sys.executable, "-m", "promptkit", "preview", "--template", "{text} 好{mask}", "--readout", "head"],
        capture_output=True,
        text=True,
        env={**ENVIRONMENT, "PYTHONIOENCODING": "latin-1"},
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "\\u597d" in done.stdout


def with_command(monkeypatch: pytest.MonkeyPatch, function: Any, **more: Any) -> None:
    def promptkit_register_commands(app: Any) -> None:
        app.command("greet")(function)

    plugin = SimpleNamespace(promptkit_register_commands=hookimpl(promptkit_register_commands))
    host = PluginHost.from_plugins({"greeter": plugin, **more})
    monkeypatch.setattr(cli_app, "get_host", lambda: host)


def test_a_plugins_command_is_one_of_promptkits(call, monkeypatch):
    with_command(monkeypatch, lambda: print("hello"))
    assert "greet" in call("--help").out
    assert call("greet").out == "hello\n"


def test_a_refused_plugin_is_warned_of_once_and_all_else_works(call, monkeypatch):
    with_command(monkeypatch, lambda: print("hello"), broken=SimpleNamespace())
    first, second = call("greet"), call("greet")
    assert (first.code, first.out) == (0, "hello\n")
    assert first.err.startswith("warning: plugin 'broken' of broken 0 is refused: ")
    assert first.err.count("\n") == 1
    assert second.err == ""


def test_a_plugin_cannot_take_a_commands_name(call, monkeypatch):
    def promptkit_register_commands(app: Any) -> None:
        app.command("run")(lambda: print("mine"))

    plugin = SimpleNamespace(promptkit_register_commands=hookimpl(promptkit_register_commands))
    host = PluginHost.from_plugins({"thief": plugin})
    monkeypatch.setattr(cli_app, "get_host", lambda: host)
    answer = call("--help")
    assert "the command name 'run' is taken" in answer.err
    assert "Train and judge" in answer.out


def test_any_other_exception_keeps_its_traceback(call, monkeypatch):
    def fail() -> None:
        raise ZeroDivisionError("a bug")

    with_command(monkeypatch, fail)
    with pytest.raises(ZeroDivisionError, match="a bug"):
        call("greet")


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (KeyboardInterrupt(), 130, "interrupted\n"),
        (promptkit.UserError("two\nlines"), 2, "error: two lines\n"),
    ],
)
def test_what_a_command_raises_decides_the_exit_code(call, monkeypatch, error, code, line):
    def fail() -> None:
        raise error

    with_command(monkeypatch, fail)
    answer = call("greet")
    assert (answer.code, answer.err) == (code, line)


def test_a_bug_exits_with_1_and_a_traceback():
    code = (
        "import sys, promptkit.cli.app as app\n"
        "def fail(): raise ZeroDivisionError('a bug')\n"
        "app.get_host = fail\n"
        "from promptkit.cli import main\n"
        "sys.exit(main(['models']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("Traceback")
    assert done.stderr.rstrip().endswith("ZeroDivisionError: a bug")


def test_the_real_host_has_the_built_in_strategies():
    if not get_host().strategies:
        pytest.skip("promptkit is not installed: its entry points are not there")
    done = process("strategies", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    assert all(f'"name": "{name}"' in done.stdout for name in ("hard", "pet", "ptuning", "soft"))
