"""Plugins: the hooks they implement, and the host that finds, checks and keeps them."""

from __future__ import annotations

from promptkit.hooks.describe import OptionCard, StrategyCard, strategy_card
from promptkit.hooks.entries import Origin
from promptkit.hooks.events import EpochInfo, RunInfo, RunOutcome
from promptkit.hooks.guard import exit_message, no_exit
from promptkit.hooks.manager import PluginHost, get_host
from promptkit.hooks.spec import hookimpl
from promptkit.hooks.validation import describe_exception

__all__ = [
    "EpochInfo",
    "OptionCard",
    "Origin",
    "PluginHost",
    "RunInfo",
    "RunOutcome",
    "StrategyCard",
    "describe_exception",
    "exit_message",
    "get_host",
    "hookimpl",
    "no_exit",
    "strategy_card",
]
