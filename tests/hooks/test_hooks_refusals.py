"""A plugin with a fault is refused with one line, and nobody else notices."""

from __future__ import annotations

import textwrap
from types import SimpleNamespace

import pytest

from promptkit.hooks import PluginHost, hookimpl
from promptkit.hooks.validation import describe_exception

STRATEGY = """
from promptkit import Strategy, hookimpl

class Bad(Strategy):
    name = "bad-strategy"
    summary = "Has a fault somewhere."

    def build(self, backbone, task):
        raise NotImplementedError
"""

FAULTS = {
    "wrong argument name": (
        STRATEGY + "@hookimpl\ndef promptkit_register_strategies(registry):\n    registry(Bad)\n",
        "wrong signature: promptkit_register_strategies(registry) must be "
        "promptkit_register_strategies(register)",
    ),
    "argument left out": (
        STRATEGY + "@hookimpl\ndef promptkit_register_strategies():\n    pass\n",
        "wrong signature: promptkit_register_strategies() must be promptkit_register_strategies(register)",
    ),
    "one argument more": (
        STRATEGY + "@hookimpl\ndef promptkit_register_strategies(register, host):\n    pass\n",
        "wrong signature: promptkit_register_strategies(register, host) must be",
    ),
    "argument with a default": (
        STRATEGY + "@hookimpl\ndef promptkit_register_strategies(register=None):\n    pass\n",
        "wrong signature: promptkit_register_strategies(register=None) must be",
    ),
    "unknown hook": (
        STRATEGY + "@hookimpl\ndef promptkit_register_strategy(register):\n    register(Bad)\n",
        "unknown hook 'promptkit_register_strategy'. Did you mean 'promptkit_register_strategies'?",
    ),
    "unknown hook without the marker": (
        STRATEGY + "def promptkit_register_stategies(register):\n    register(Bad)\n",
        "unknown hook 'promptkit_register_stategies'. Did you mean 'promptkit_register_strategies'?",
    ),
    "marker forgotten": (
        STRATEGY + "def promptkit_register_strategies(register):\n    register(Bad)\n",
        "promptkit_register_strategies is not marked with @promptkit.hookimpl",
    ),
    "no hook at all": (STRATEGY, "it implements no hook. Hooks: promptkit_register_strategies, "),
    "generator": (
        STRATEGY + "@hookimpl\ndef promptkit_register_strategies(register):\n    yield register(Bad)\n",
        "promptkit_register_strategies must be a plain function",
    ),
    "async": (
        STRATEGY + "@hookimpl\nasync def promptkit_register_strategies(register):\n    register(Bad)\n",
        "promptkit_register_strategies must be a plain function",
    ),
    "wrapper": (
        STRATEGY + "@hookimpl(wrapper=True)\ndef promptkit_register_strategies(register):\n    yield\n",
        "promptkit_register_strategies is a hook wrapper",
    ),
    "abstract class": (
        STRATEGY
        + "class Abstract(Strategy):\n    name = 'abstract'\n    summary = 'No build.'\n"
        + "@hookimpl\ndef promptkit_register_strategies(register):\n"
        + "    register(Bad)\n    register(Abstract)\n",
        "Abstract is abstract: build not defined",
    ),
    "not a Strategy": (
        STRATEGY + "@hookimpl\ndef promptkit_register_strategies(register):\n    register(dict)\n",
        "<class 'dict'> is not a subclass of promptkit.Strategy",
    ),
    "instance in place of the class": (
        STRATEGY + "@hookimpl\ndef promptkit_register_strategies(register):\n    register(Bad())\n",
        "an instance of Bad is no strategy; register the class, not an instance",
    ),
    "duplicate name": (
        STRATEGY
        + "class Twin(Bad):\n    name = 'good-strategy'\n"
        + "@hookimpl\ndef promptkit_register_strategies(register):\n    register(Bad)\n    register(Twin)\n",
        "the strategy name 'good-strategy' is taken by plugin 'a_good' of a_good-dist 1.2",
    ),
    "same name twice": (
        STRATEGY + "@hookimpl\ndef promptkit_register_strategies(register):\n"
        "    register(Bad)\n    register(Bad)\n",
        "it registers the strategy name 'bad-strategy' twice",
    ),
    "swallowed error": (
        STRATEGY + "@hookimpl\ndef promptkit_register_strategies(register):\n    register(Bad)\n"
        "    try:\n        register(dict)\n    except Exception:\n        pass\n",
        "<class 'dict'> is not a subclass of promptkit.Strategy",
    ),
    "exception in the hook": (
        STRATEGY + "@hookimpl\ndef promptkit_register_strategies(register):\n"
        "    register(Bad)\n    raise ValueError('two\\nlines')\n",
        "promptkit_register_strategies failed: ValueError: two lines (made_up_plugin_bad.py, line 13)",
    ),
    "exit in the hook": (
        STRATEGY + "@hookimpl\ndef promptkit_register_strategies(register):\n"
        "    register(Bad)\n    raise SystemExit(3)\n",
        "promptkit_register_strategies failed: SystemExit: 3",
    ),
    "exception on import": ("1 / 0\n", "import failed: ZeroDivisionError: division by zero"),
    "missing dependency": (
        "import no_such_module\n",
        "ModuleNotFoundError: No module named 'no_such_module' (made_up_plugin_bad.py, line 1)",
    ),
    "SyntaxError": ("def broken(:\n", "SyntaxError: invalid syntax (made_up_plugin_bad.py, line 1)"),
    "SystemExit on import": ("import sys\nsys.exit(0)\n", "import failed: SystemExit: 0"),
}  # fmt: skip


@pytest.mark.parametrize("case", FAULTS)
def test_a_faulty_plugin_is_refused_in_one_line_and_the_rest_goes_on(case, install_plugin, good_source, capsys):
    source, fault = FAULTS[case]
    before = set(PluginHost.discover().strategies)
    install_plugin("a_good", good_source)
    install_plugin("bad", source)
    install_plugin("c_late", good_source.replace("good-strategy", "late-strategy"))

    host = PluginHost.discover()
    host.report_refusals()

    assert set(host.strategies) == before | {"good-strategy", "late-strategy"}
    assert host.strategies["good-strategy"].origin.distribution == "a_good-dist"
    (refusal,) = [it for it in host.refusals if it.origin.plugin == "bad"]
    assert str(refusal).startswith("plugin 'bad' of bad-dist 1.2 is refused: ")
    assert fault in str(refusal)
    (line,) = [it for it in capsys.readouterr().err.splitlines() if "bad-dist" in it]
    assert line == f"warning: {refusal}"


def test_a_refusal_is_reported_once(capsys):
    host = PluginHost.from_plugins({"empty": SimpleNamespace()})
    host.report_refusals()
    host.report_refusals()
    assert capsys.readouterr().err.count("empty") == 2  # plugin and distribution, in a single line


def test_an_entry_point_to_nothing_is_refused(install_plugin, good_source):
    install_plugin("lost", good_source, points_to="no_such_module_anywhere")
    install_plugin("attr", good_source, points_to="made_up_plugin_attr:missing")
    faults = {it.origin.plugin: it.fault for it in PluginHost.discover().refusals}
    assert faults["lost"].startswith("import failed: ModuleNotFoundError: No module named 'no_such_module")
    assert faults["attr"].startswith("import failed: AttributeError: ")


def test_ctrl_c_while_loading_is_not_taken_for_a_fault(install_plugin):
    install_plugin("slow", "raise KeyboardInterrupt\n")
    with pytest.raises(KeyboardInterrupt):
        PluginHost.discover()


def test_what_a_plugin_prints_goes_to_standard_error(install_plugin, good_source, capsys):
    install_plugin("noisy", "print('hello from import')\n" + textwrap.dedent(good_source))
    assert "good-strategy" in PluginHost.discover().strategies
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "hello from import" in printed.err


def test_a_plugin_that_cannot_be_looked_into_is_refused():
    class Hostile:
        def __dir__(self):
            raise SystemExit(5)

    (refusal,) = PluginHost.from_plugins({"hostile": Hostile()}).refusals
    assert refusal.fault.startswith("check failed: SystemExit: 5")


def test_an_optional_hook_of_a_later_version_is_let_pass():
    def promptkit_register_from_the_future(register):
        raise AssertionError("never called")

    def promptkit_register_strategies(register):
        pass

    plugin = SimpleNamespace(
        promptkit_register_from_the_future=hookimpl(promptkit_register_from_the_future, optionalhook=True),
        promptkit_register_strategies=hookimpl(promptkit_register_strategies),
    )
    assert PluginHost.from_plugins({"early": plugin}).refusals == []


class TestDescribeException:
    def test_long_messages_are_cut_and_lines_joined(self):
        text = describe_exception(ValueError("first\nsecond " + "x" * 1000))
        assert text.startswith("ValueError: first second xxx")
        assert len(text) < 300
        assert "\n" not in text

    def test_an_exception_that_cannot_be_printed_does_not_raise(self):
        class HostileError(Exception):
            def __str__(self):
                raise RuntimeError("no")

        assert describe_exception(HostileError()).startswith("HostileError")

    def test_no_message_leaves_the_kind(self):
        assert describe_exception(KeyError()) == "KeyError"
