"""What a trained prompt looks like from outside: virtual tokens, prefixes, and what a prediction hangs on."""

from __future__ import annotations

from promptkit.inspection.attribution import Attribution, Piece, TemplateAttribution, attribute
from promptkit.inspection.prefixes import PrefixedLayer, PrefixOfLayers, Size
from promptkit.inspection.report import Mark, PromptReport, VirtualPrompt, VirtualToken, inspect_prompt
from promptkit.inspection.vectors import Neighbour

__all__ = [
    "Attribution",
    "Mark",
    "Neighbour",
    "Piece",
    "PrefixOfLayers",
    "PrefixedLayer",
    "PromptReport",
    "Size",
    "TemplateAttribution",
    "VirtualPrompt",
    "VirtualToken",
    "attribute",
    "inspect_prompt",
]
