"""Plugins: the hooks they implement, and the host that finds, checks and keeps them."""

from __future__ import annotations

from promptkit.hooks.describe import OptionCard, StrategyCard, strategy_card
from promptkit.hooks.entries import DatasetEntry, MetricEntry, ModelEntry, StrategyEntry
from promptkit.hooks.guard import exit_message, no_exit
from promptkit.hooks.manager import PluginHost, Refusal, get_host
from promptkit.hooks.spec import hookimpl, hookspec

__all__ = [
    "DatasetEntry",
    "MetricEntry",
    "ModelEntry",
    "OptionCard",
    "PluginHost",
    "Refusal",
    "StrategyCard",
    "StrategyEntry",
    "exit_message",
    "get_host",
    "hookimpl",
    "hookspec",
    "no_exit",
    "strategy_card",
]
