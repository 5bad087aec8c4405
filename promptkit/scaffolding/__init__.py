"""New plugins: what `promptkit new` writes, from the templates beside this file."""

from __future__ import annotations

from promptkit.scaffolding.writing import KINDS, NewPlugin, write_plugin

__all__ = ["KINDS", "NewPlugin", "write_plugin"]
