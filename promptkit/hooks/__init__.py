"""Plugins: the hooks they implement, and the host that finds, checks and keeps them."""

from __future__ import annotations

from promptkit.hooks.describe import OptionCard, StrategyCard, strategy_card
from promptkit.hooks.entries import DatasetEntry, MetricEntry, ModelEntry, Origin, StrategyEntry
from promptkit.hooks.events import EpochInfo, RunInfo, RunOutcome
from promptkit.hooks.guard import exit_message, no_exit
from promptkit.hooks.manager import PluginHost, Refusal, get_host
from promptkit.hooks.spec import hookimpl, hookspec
from promptkit.hooks.validation import describe_exception

__all__ = [
    "DatasetEntry",
    "EpochInfo",
    "MetricEntry",
    "ModelEntry",
    "OptionCard",
    "Origin",
    "PluginHost",
    "Refusal",
    "RunInfo",
    "RunOutcome",
    "StrategyCard",
    "StrategyEntry",
    "describe_exception",
    "exit_message",
    "get_host",
    "hookimpl",
    "hookspec",
    "no_exit",
    "strategy_card",
]
